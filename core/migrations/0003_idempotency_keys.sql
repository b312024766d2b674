-- Requests with an Idempotency-Key are done once: what they did is stored in the transaction that does it, for as long as
-- the conversation exists.
create table idempotency_keys (
    owner_id         text        not null,
    idempotency_key  text        not null,
    conversation_key bigint      not null,
    -- The conversation's last position when the request was done, from 1: a purge goes by positions.
    seq              bigint      not null,
    -- Of everything in the request, and shorter ones of its parts.
    fingerprint      bytea       not null,
    -- The messages that it added, in order.
    message_ids      text[]      not null,
    -- How many messages it removed.
    removed          bigint      not null default 0,
    -- The revision of the records that it wrote, and the keys of those that it deleted; null: it wrote none.
    record_revision  bigint,
    deleted_records  text[],
    created_at       timestamptz not null default now(),
    shard            integer     not null,
    primary key (owner_id, idempotency_key, shard)
);
create index idempotency_keys_conversation_key_seq_idx on idempotency_keys (conversation_key, seq);
