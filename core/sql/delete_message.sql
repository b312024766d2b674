-- Deletes one message. It invalidates facts in every cached copy, so it always takes an epoch, which voids whatever is in
-- flight, and returns the window.
--
-- outcome: deleted | absent (no such message or conversation) | moving (another generation) | refused
create or replace function delete_message(
    p_owner_id text, p_conversation_id text, p_message_id text,
    p_has_intent boolean, p_epoch bigint, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    row_epoch := c.epoch;
    if not found or c.deleted_at is not null then
        outcome := 'absent';
        return;
    end if;
    perform 1 from messages m where m.conversation_key = c.key and m.message_id = p_message_id;
    if not found then
        outcome := 'absent';
    elsif p_has_intent and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'deleted';
        delete from messages m where m.conversation_key = c.key and m.message_id = p_message_id;
        update conversations r set
            epoch = r.epoch + 1, version = r.version + 1, message_count = r.message_count - 1,
            updated_at = greatest(clock_timestamp(), r.updated_at)
            where r.key = c.key returning * into c;
        perform defer_invalidation(c);
        s := snapshot_of(c, true, true, p_capacity);
    end if;
end $$;
