-- Requests with an Idempotency-Key are done once: what they did is stored in the transaction that does it, for as long as
-- the conversation exists. The conversation_key is that of records, see 0006, where the request was to an owner's own.
create table idempotency_keys (
    owner_id         text        not null,
    idempotency_key  text        not null,
    conversation_key bigint      not null,
    -- Of everything in the request, and shorter ones of its parts.
    fingerprint      bytea       not null,
    -- The messages that it added, in order.
    message_ids      text[]      not null,
    -- How many messages it removed.
    removed          bigint      not null default 0,
    -- The revision of the records that it wrote, and the keys of those that it deleted; null: it wrote none.
    record_revision  bigint,
    deleted_records  text[],
    -- Whether a deletion of records left some.
    has_more         boolean,
    created_at       timestamptz not null default now(),
    shard            integer     not null,
    primary key (owner_id, idempotency_key, shard)
);
create index idempotency_keys_conversation_key_idx on idempotency_keys (conversation_key);
-- Keys of requests to an owner's own records, which no conversation takes along: the sweep removes them after a while.
create index idempotency_keys_of_owners_created_at_idx on idempotency_keys (created_at) where conversation_key < 0;
