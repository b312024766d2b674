-- A later change of a table is a later file. What reads and writes the tables is in ../sql.

-- Every table has a column `shard`, by which a distributed Postgres can spread the rows: that of the owner, shard_of in
-- ../sql/shard_of.sql. It is in every unique index, last, where it only makes the index one that a shard can keep by itself.

-- One row per conversation. A deleted conversation leaves its row as a tombstone, so that its id is never reused.
create table conversations (
    key             bigint generated always as identity,
    shard           integer     not null,
    owner_id        text        not null,
    conversation_id text        not null,
    title           text,
    metadata        json        not null default '{}',
    -- Whoever validates the cached copy takes the next epoch from here; a commit under an older one is refused.
    -- In no index, so that taking one stays a heap-only update.
    epoch           bigint      not null default 0,
    -- Counts every change of the conversation: what writes return and readers pass as `min_version`.
    version         bigint      not null default 0,
    -- The highest position ever given out, assigned under this row's lock: positions have no gaps but for deletions.
    last_seq        bigint      not null default 0,
    message_count   bigint      not null default 0,
    -- The revision of the last commit that wrote a record beside the messages. In no index either.
    record_revision bigint      not null default 0,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    last_message_at timestamptz,
    deleted_at      timestamptz,
    -- The conversation of the same owner that this one began as a copy of, and up to which position; null: of none.
    forked_from     text,
    forked_at       bigint,
    -- The positions after cut_after and up to cut_until were cut off: whoever reads messages leaves them out, and the sweep
    -- removes them. 0 and 0: none are left.
    cut_after       bigint      not null default 0,
    cut_until       bigint      not null default 0,
    primary key (key, shard),
    unique (owner_id, conversation_id, shard)
) with (fillfactor = 50);

-- Lists are read in this order; the id breaks ties, so that a page boundary never skips one.
create index conversations_owner_id_updated_at_idx
    on conversations (owner_id, updated_at, conversation_id, shard) where deleted_at is null;

-- The forks of a conversation, in the same order.
create index conversations_owner_id_forked_from_updated_at_idx
    on conversations (owner_id, forked_from, updated_at, conversation_id, shard)
    where forked_from is not null and deleted_at is null;

-- Otherwise a plan would count on an owner's rows being spread over all shards.
create statistics conversations_shard_of_owner (dependencies) on shard, owner_id from conversations;

-- No foreign key: a conversation's row is never removed, and every insert already holds its lock.
create table messages (
    -- What is aligned to eight bytes comes first, then the rest: between them nothing is left empty.
    conversation_key bigint      not null,
    seq              bigint      not null,
    created_at       timestamptz not null,
    shard            integer     not null,
    -- The client chose the id, and the body carries it; otherwise the store made it, beside the body.
    id_in_body       boolean     not null,
    message_id       text        not null,
    -- `json`, not `jsonb`: key order, the spelling of numbers and \u0000 survive.
    body             json        not null,
    primary key (conversation_key, seq, shard),
    -- By the id first, so that no plan takes it for the way to the messages of a conversation, however few it expects.
    unique (message_id, conversation_key, shard)
);

-- Deleted messages, each by its id and place: a late retry does not bring one back, and a page may begin where one was.
create table deleted_messages (
    conversation_key bigint  not null,
    seq              bigint  not null,
    shard            integer not null,
    message_id       text    not null,
    primary key (conversation_key, seq, shard),
    unique (message_id, conversation_key, shard)
);

-- Conversations are found by their metadata. The pairs stand in a table of their own, which only a change of metadata
-- touches: an index on the conversations' rows would be written with every message.
create table metadata_pairs (
    owner_id         text   not null,
    -- The hash of key and value, so that the longest of them fit into an index.
    pair             bytea  not null,
    conversation_key bigint  not null,
    shard            integer not null,
    primary key (owner_id, pair, conversation_key, shard)
);

-- A conversation at one version, as snapshot_of reads it.
create type snapshot as (
    deleted boolean, epoch bigint, took_epoch boolean, version bigint, conversation text, first_seq bigint,
    window_seqs bigint[], window_ids text[], window_ats bigint[], window_bodies text[]
);
