-- Locks a conversation's row and returns it; all null where there is none. One that has expired is returned as deleted. In READ
-- COMMITTED a statement's snapshot is taken before it waits for a lock, so whoever writes locks first and looks in later statements.
--
-- Fails with CM001 where the caller's cache is of another generation than the one in use.
create or replace function lock_conversation(p_shard integer, p_owner_id text, p_conversation_id text, p_generation text)
    returns conversations
    language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations r
        where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        raise exception using errcode = 'CM001', message = 'the cache is of another generation than the one in use';
    end if;
    if has_expired(c.updated_at, c.expires_after) then
        c.deleted_at := coalesce(c.deleted_at, c.updated_at);
    end if;
    return c;
end $$;
