-- Sets fields of a conversation.
--
-- outcome: updated | duplicate (it was, under this key) | absent | version_mismatch (s has the version alone) | refused
--
--   p_if_version    the version that it must be at; null: any
create or replace function update_conversation(
    p_shard integer, p_owner_id text, p_conversation_id text, p_fields json,
    p_idempotency_key text, p_fingerprint bytea, p_if_version bigint,
    p_has_intent boolean, p_epoch bigint, p_is_valid boolean, p_want_window boolean, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    moment timestamptz;
    c conversations;
    take boolean := not p_has_intent or not p_is_valid;
begin
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    moment := clock_timestamp();
    row_epoch := c.epoch;
    if c.key is null or c.deleted_at is not null then
        outcome := 'absent';
    elsif p_idempotency_key is not null and message_ids_under_key(p_idempotency_key, p_fingerprint, c) is not null then
        outcome := 'duplicate';
        s := snapshot_of(c, false, true, p_capacity);
    elsif p_if_version <> c.version then
        outcome := 'version_mismatch';
        s.version := c.version;
    elsif p_has_intent and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'updated';
        c := set_conversation_fields(c, p_fields);
        update conversations r set
            epoch = r.epoch + take::int,
            version = r.version + 1,
            updated_at = greatest(moment, r.updated_at)
            where r.shard = p_shard and r.key = c.key returning * into c;
        if p_idempotency_key is not null then
            perform store_idempotency_key(p_idempotency_key, p_fingerprint, '{}', 0, c);
        end if;
        if not p_has_intent then
            perform defer_invalidation(c);
        end if;
        s := snapshot_of(c, take, p_want_window or take, p_capacity);
    end if;
end $$;
