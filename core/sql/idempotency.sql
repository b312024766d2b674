-- The ids of the messages that a request added when it was done; null: it was not. Called under the lock of the
-- conversation's row, so that of two tries one sees the other.
--
-- A key that stands for another request fails the statement with IK001, here, or below where two requests of different
-- conversations use it at once: whatever the statement wrote is undone. Of one of the same conversation the detail says
-- what it was.
create or replace function message_ids_under_key(
    p_idempotency_key text, p_fingerprint bytea, c conversations) returns text[]
    language plpgsql as $$
declare
    k idempotency_keys;
begin
    select * into k from idempotency_keys r
        where r.shard = c.shard and r.owner_id = c.owner_id and r.idempotency_key = p_idempotency_key;
    if found and k.conversation_key <> c.key then
        raise exception using errcode = 'IK001', message = 'the idempotency key stands for another request';
    elsif found and k.fingerprint <> p_fingerprint then
        raise exception using errcode = 'IK001', message = 'the idempotency key stands for another request',
            detail = encode(k.fingerprint, 'base64');
    end if;
    return k.message_ids;
end $$;

-- Stores what a request did, under its key: the messages that it added, and how many it removed.
create or replace function store_idempotency_key(
    p_idempotency_key text, p_fingerprint bytea, p_message_ids text[], p_removed bigint, c conversations) returns void
    language plpgsql as $$
begin
    insert into idempotency_keys (shard, owner_id, idempotency_key, conversation_key, fingerprint, message_ids, removed)
        values (c.shard, c.owner_id, p_idempotency_key, c.key, p_fingerprint, p_message_ids,
            p_removed)
        on conflict do nothing;
    if not found then
        raise exception using errcode = 'IK001', message = 'the idempotency key stands for another request';
    end if;
end $$;
