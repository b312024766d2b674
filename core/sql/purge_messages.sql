-- Removes the messages at the next so many positions of a deleted conversation, and the idempotency keys of requests that
-- were done there; how many messages there were. The last ones take the conversation off the list.
create or replace function purge_messages(p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    until bigint;
    removed bigint;
begin
    update purges set next_seq = next_seq + p_limit where conversation_key = p_key returning next_seq into until;
    delete from idempotency_keys where conversation_key = p_key and seq >= until - p_limit and seq < until;
    delete from messages where conversation_key = p_key and seq >= until - p_limit and seq < until;
    get diagnostics removed = row_count;
    delete from purges p using conversations c
        where p.conversation_key = p_key and c.key = p_key and c.last_seq < until;
    return removed;
end $$;

-- Removes at most so many messages of one conversation that waits for it, if nobody else is at it; null: none waits.
create or replace function purge_some(p_limit integer) returns bigint
    language plpgsql as $$
declare
    waiting bigint;
begin
    select conversation_key into waiting from purges order by since limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    return purge_messages(waiting, p_limit);
end $$;
