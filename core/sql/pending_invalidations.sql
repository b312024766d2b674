-- Notes that the cached copy of a conversation may be stale: the sweep drops the copy.
create or replace function defer_invalidation(c conversations) returns void
    language plpgsql as $$
begin
    insert into pending_invalidations (shard, conversation_key, owner_id, conversation_id, version)
        values (c.shard, c.key, c.owner_id, c.conversation_id, c.version)
        on conflict (conversation_key, shard) do update set version = excluded.version;
end $$;
