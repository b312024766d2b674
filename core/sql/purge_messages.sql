-- Removes the messages at the next so many positions of a deleted conversation, and the idempotency keys of requests that
-- were done there; how many messages there were. The last ones take the conversation off the list.
create or replace function purge_messages(p_shard integer, p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    until bigint;
    removed bigint;
begin
    update purges set next_seq = next_seq + p_limit where shard = p_shard and conversation_key = p_key returning next_seq into until;
    delete from idempotency_keys where shard = p_shard and conversation_key = p_key and seq >= until - p_limit and seq < until;
    delete from messages where shard = p_shard and conversation_key = p_key and seq >= until - p_limit and seq < until;
    get diagnostics removed = row_count;
    delete from deleted_messages where shard = p_shard and conversation_key = p_key and seq >= until - p_limit and seq < until;
    delete from purges p using conversations c
        where p.shard = p_shard and p.conversation_key = p_key and c.shard = p_shard and c.key = p_key and c.last_seq < until;
    return removed;
end $$;

-- The same, if nobody else is at it; null: somebody is, or it waits no longer.
create or replace function purge_if_free(p_shard integer, p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
begin
    perform 1 from purges where shard = p_shard and conversation_key = p_key for update skip locked;
    if not found then
        return null;
    end if;
    return purge_messages(p_shard, p_key, p_limit);
end $$;
