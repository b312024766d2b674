-- Conversations whose cached copy may be stale, because the cache was not updated. The sweep drops the copy, then the row,
-- provided that no newer version has been noted meanwhile.
create table pending_invalidations (
    conversation_key bigint      not null,
    owner_id         text        not null,
    conversation_id  text        not null,
    version          bigint      not null,
    since            timestamptz not null default now(),
    shard            integer     not null,
    primary key (conversation_key, shard)
);
create index pending_invalidations_since_idx on pending_invalidations (since);

-- Messages to be removed: those of deleted conversations, and what was cut off conversations that go on. A purge goes by
-- positions and remembers how far it is: whatever the planner believes of a table that shrinks under it, a batch reads only the
-- messages that it removes, and none that earlier batches left dead in the index.
create table purges (
    conversation_key bigint      not null,
    since            timestamptz not null default now(),
    next_seq         bigint      not null default 1,
    -- The last position that was cut off; null: the conversation was deleted.
    until_seq        bigint,
    -- The key from which on there are still records of a conversation that was deleted; null: there are none.
    next_record      text collate "C" default '',
    shard            integer     not null,
    primary key (conversation_key, shard)
);
create index purges_since_idx on purges (since);
