-- Deletes one message. It invalidates facts in every cached copy, so it always takes an epoch, which voids whatever is in
-- flight, and returns the window.
--
-- outcome: deleted | duplicate (it was) | absent (no such message or conversation) | version_mismatch (s has the version alone) |
-- refused
--
--   p_if_version    the version that the conversation must be at; null: any
create or replace function delete_message(
    p_shard integer, p_owner_id text, p_conversation_id text, p_message_id text, p_if_version bigint,
    p_has_intent boolean, p_epoch bigint, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    moment timestamptz;
    c conversations;
    found_seq bigint;
begin
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    moment := clock_timestamp();
    row_epoch := c.epoch;
    if c.key is null or c.deleted_at is not null then
        outcome := 'absent';
        return;
    end if;
    select m.seq into found_seq from messages m
        where m.shard = p_shard and m.conversation_key = c.key and m.message_id = p_message_id
            and (m.seq > c.cut_until or m.seq <= c.cut_after);
    if found_seq is null then
        if deleted_message_ids(c, array[p_message_id]) is not null then
            outcome := 'duplicate';
            s := snapshot_of(c, false, true, p_capacity);
        else
            outcome := 'absent';
        end if;
    elsif p_if_version <> c.version then
        outcome := 'version_mismatch';
        s.version := c.version;
    elsif p_has_intent and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'deleted';
        delete from messages m where m.shard = p_shard and m.conversation_key = c.key and m.seq = found_seq;
        insert into deleted_messages (shard, conversation_key, seq, message_id)
            values (p_shard, c.key, found_seq, p_message_id);
        update conversations r set
            epoch = r.epoch + 1, version = r.version + 1, message_count = r.message_count - 1,
            updated_at = greatest(moment, r.updated_at)
            where r.shard = p_shard and r.key = c.key returning * into c;
        perform defer_invalidation(c);
        s := snapshot_of(c, true, true, p_capacity);
    end if;
end $$;
