-- A later change of a table is a later file. What reads and writes the tables is in ../sql.

-- One row per conversation. A deleted conversation leaves its row as a tombstone, so that its id is never reused.
create table conversations (
    key             bigint generated always as identity primary key,
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
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    last_message_at timestamptz,
    deleted_at      timestamptz,
    constraint conversations_owner_id_conversation_id_key unique (owner_id, conversation_id)
) with (fillfactor = 50);

-- Lists are read in this order; the id breaks ties, so that a page boundary never skips one.
create index conversations_owner_id_updated_at_idx
    on conversations (owner_id, updated_at, conversation_id) where deleted_at is null;

-- No foreign key: a conversation's row is never removed, and every insert already holds its lock.
create table messages (
    conversation_key bigint      not null,
    seq              bigint      not null,
    message_id       text        not null,
    -- The client chose the id, and the body carries it; otherwise the store made it, beside the body.
    id_in_body       boolean     not null,
    -- `json`, not `jsonb`: key order, the spelling of numbers and \u0000 survive.
    body             json        not null,
    created_at       timestamptz not null,
    constraint messages_pkey primary key (conversation_key, seq),
    constraint messages_conversation_key_message_id_key unique (conversation_key, message_id)
);

-- Conversations are found by their metadata. The pairs stand in a table of their own, which only a change of metadata
-- touches: an index on the conversations' rows would be written with every message.
create table metadata_pairs (
    owner_id         text   not null,
    -- The hash of key and value, so that the longest of them fit into an index.
    pair             bytea  not null,
    conversation_key bigint not null,
    constraint metadata_pairs_pkey primary key (owner_id, pair, conversation_key)
);

-- A conversation at one version, as snapshot_of reads it.
create type snapshot as (
    deleted boolean, epoch bigint, took_epoch boolean, version bigint, conversation text, first_seq bigint,
    window_seqs bigint[], window_ids text[], window_ats bigint[], window_bodies text[]
);
