-- Owners who have records of their own, outside of any conversation. The row is what their writers lock.
create table owners (
    key             bigint generated always as identity,
    shard           integer not null,
    -- In the order of its bytes, in which exports go.
    owner_id        text collate "C" not null,
    -- The revision of the last commit that wrote one of these records.
    record_revision bigint  not null default 0,
    primary key (key, shard),
    unique (owner_id, shard)
);

-- Records: bytes under keys, of a conversation or of an owner. Postgres alone has them.
create table records (
    -- The key of the conversation, or that of the owner's row as a negative number.
    scope_key    bigint      not null,
    revision     bigint      not null,
    updated_at   timestamptz not null,
    shard        integer     not null,
    -- In the order of its bytes.
    key          text collate "C" not null,
    -- Null stands for application/octet-stream.
    content_type text,
    value        bytea       not null,
    primary key (scope_key, key, shard)
);

-- A value stays in its row up to about 8 KB, compressed where the row would be larger than 2 KB: one row is read, and none of the TOAST table.
-- A list does not read larger ones unless it answers them.
alter table records alter column value set storage main;
