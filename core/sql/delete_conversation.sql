-- Deletes a conversation: its row stays as a tombstone without content; a few messages go at once, and of a long
-- conversation the rest is purged by the sweep, so that the caller does not wait for them. Nobody can read them
-- meanwhile. Deleting a deleted conversation is no error.
--
-- outcome: deleted | absent | version_mismatch | refused
--
--   p_if_version    the version that it must be at; null: any
--   p_if_expired    delete it only if it has expired: otherwise it is absent
create or replace function delete_conversation(
    p_shard integer, p_owner_id text, p_conversation_id text, p_if_version bigint, p_if_expired boolean,
    p_has_intent boolean, p_epoch bigint, p_generation text,
    out outcome text, out row_epoch bigint, out version bigint)
    language plpgsql as $$
#variable_conflict use_column
declare
    moment timestamptz;
    c conversations;
begin
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    -- As it is stored: one that has expired is still to be deleted.
    select * into c from conversations r where r.shard = p_shard and r.key = c.key;
    moment := clock_timestamp();
    row_epoch := c.epoch;
    version := c.version;
    if c.key is null or c.erased or (p_if_expired and not has_expired(c.updated_at, c.expires_after)) then
        outcome := 'absent';
    elsif c.deleted_at is not null then
        outcome := 'deleted';
    elsif p_if_version <> c.version then
        outcome := 'version_mismatch';
    elsif p_has_intent and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'deleted';
        insert into purges (shard, conversation_key) values (p_shard, c.key)
            on conflict (conversation_key, shard) do update set next_seq = 1, until_seq = null, next_record = '';
        perform purge_messages(p_shard, c.key, 1000);
        select * into c from make_tombstones(p_shard, p_owner_id, array[c.key], moment, false);
        perform defer_invalidation(c);
        version := c.version;
    end if;
end $$;
