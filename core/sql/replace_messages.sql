-- Replaces all messages after a position by others, which get the next positions: none is given out twice. Whatever is cut off
-- is gone for every reader with this commit; much of it is removed by the sweep. Like the deletion of a message it always takes
-- an epoch and returns the window.
--
--   p_after                             the position that stays the last of the old ones; 0: all are replaced
--   p_ids, p_ids_in_bodies, p_bodies    parallel: the new messages. An id of what is cut off may be used again
--   p_if_version                        the version that the conversation must be at; null: any
--   p_idempotency_key, p_fingerprint    null, or what identifies the request when it is tried again
--
-- outcome: replaced | duplicate (it was done before, or there is nothing to do; nothing is written) | conflict (stored_ids
-- are those of messages that stay) | message_deleted (stored_ids were stored, and deleted) | beyond (stored_seqs has the last position) |
-- absent | version_mismatch (s has the version alone) | refused
--
-- removed is how many messages were cut off. The rest is as in add_messages.
create or replace function replace_messages(
    p_shard integer, p_owner_id text, p_conversation_id text, p_after bigint,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_if_version bigint,
    p_idempotency_key text, p_fingerprint bytea,
    p_has_intent boolean, p_epoch bigint, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out removed bigint,
    out stored_ids text[], out stored_seqs bigint[], out stored_ats bigint[], out stored_bodies text[], out s snapshot)
    language plpgsql as $$
declare
    c conversations;
    moment timestamptz;
    cut_from bigint := p_after;
    is_done boolean;
    added bigint := cardinality(p_ids);
begin
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    row_epoch := c.epoch;
    if c.key is null or c.deleted_at is not null then
        outcome := 'absent';
        return;
    end if;
    if p_idempotency_key is not null then
        stored_ids := message_ids_under_key(p_idempotency_key, p_fingerprint, c);
    end if;
    if stored_ids is not null then
        outcome := 'duplicate';
        select k.removed into removed from idempotency_keys k
            where k.shard = p_shard and k.owner_id = p_owner_id and k.idempotency_key = p_idempotency_key;
        select seqs, ats, bodies into stored_seqs, stored_ats, stored_bodies from stored_messages(c, stored_ids);
        s := snapshot_of(c, false, true, p_capacity);
        return;
    end if;

    -- What is cut off already is not cut off again.
    if p_after > c.cut_after and p_after < c.cut_until then
        cut_from := c.cut_after;
    end if;
    -- A request under a key is known by its key. Where these messages follow the position already it was done, and what others
    -- have added since stays. A caller who names a version asks for what is there to be just that.
    if p_idempotency_key is null and follow_already(c, cut_from, p_ids, p_ids_in_bodies, p_bodies)
            and (p_if_version is null or messages_after(c, cut_from) = added) then
        is_done := true;
        removed := 0;
    else
        stored_ids := deleted_message_ids(c, p_ids);
        if stored_ids is not null then
            outcome := 'message_deleted';
            return;
        end if;
        select array_agg(m.message_id) into stored_ids from (
            select seq, message_id from messages
                where shard = p_shard and conversation_key = c.key and message_id = any (p_ids) offset 0) m
            where m.seq <= cut_from;
        if stored_ids is not null then
            outcome := 'conflict';
            return;
        end if;
        if p_if_version <> c.version then
            outcome := 'version_mismatch';
            s.version := c.version;
            return;
        end if;
        if p_after > c.last_seq then
            outcome := 'beyond';
            stored_seqs := array[c.last_seq];
            return;
        end if;
        removed := messages_after(c, cut_from);
        is_done := removed = 0 and added = 0;
    end if;

    if is_done then
        outcome := 'duplicate';
    elsif p_has_intent and p_epoch is distinct from c.epoch then
        outcome := 'refused';
        return;
    else
        outcome := 'replaced';
        moment := greatest(clock_timestamp(), c.updated_at);
        c := cut_messages(c, cut_from, removed, p_ids);
        insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
            select p_shard, c.key, c.last_seq + given.at, given.id, given.id_in_body, given.body::json, moment
            from unnest(p_ids, p_ids_in_bodies, p_bodies) with ordinality as given(id, id_in_body, body, at);
        update conversations r set
            epoch = r.epoch + 1,
            version = r.version + 1,
            last_seq = r.last_seq + added,
            message_count = r.message_count - removed + added,
            updated_at = moment,
            last_message_at = case when added > 0 then moment else r.last_message_at end,
            cut_after = c.cut_after,
            cut_until = c.cut_until
            where r.shard = p_shard and r.key = c.key returning * into c;
        perform defer_invalidation(c);
    end if;
    if p_idempotency_key is not null then
        perform store_idempotency_key(p_idempotency_key, p_fingerprint, p_ids, removed, c);
    end if;
    select seqs, ats into stored_seqs, stored_ats from stored_messages(c, p_ids);
    s := snapshot_of(c, outcome = 'replaced', true, p_capacity);
end $$;
