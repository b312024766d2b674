-- The records of the store. Forward only: a later change is a later file.

-- One row a conversation. A deleted conversation leaves its row as a tombstone, so that its id is never reused.
create table conversations (
    key             bigint generated always as identity primary key,
    owner_id        text        not null,
    conversation_id text        not null,
    title           text,
    metadata        json        not null default '{}',
    -- Whoever certifies the cached copy takes the next epoch from here; a commit fenced under another is refused.
    -- In no index, so that taking one stays a heap-only update.
    epoch           bigint      not null default 0,
    -- Counts every change of the conversation: the ticket that writes answer and reads may ask for.
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

-- Conversations whose cached copy may be behind, because the cache could not be told. The sweep drops the copy, then
-- the row, provided that no newer debt has come meanwhile.
create table cache_debt (
    conversation_key bigint      primary key,
    owner_id         text        not null,
    conversation_id  text        not null,
    version          bigint      not null,
    since            timestamptz not null default now()
);
create index cache_debt_since_idx on cache_debt (since);

-- Deleted conversations that still have messages.
create table purges (
    conversation_key bigint      primary key,
    since            timestamptz not null default now()
);
create index purges_since_idx on purges (since);
