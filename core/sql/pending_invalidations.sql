-- Notes that the cached copy of a conversation may be stale: the sweep drops the copy.
create or replace function defer_invalidation(c conversations) returns void
    language sql as $$
    insert into pending_invalidations (conversation_key, owner_id, conversation_id, version)
        values (c.key, c.owner_id, c.conversation_id, c.version)
        on conflict (conversation_key) do update set version = excluded.version
$$;
