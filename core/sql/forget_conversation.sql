-- Removes the rows of a conversation that has no metadata, its tombstone as well, so that its id can be used again. For one
-- whose id nobody has ever known: that of a probe.
create or replace function forget_conversation(p_shard integer, p_owner_id text, p_conversation_id text) returns void
    language plpgsql as $$
declare
    forgotten bigint;
begin
    delete from conversations r
        where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id
        returning r.key into forgotten;
    delete from purges where shard = p_shard and conversation_key = forgotten;
    delete from pending_invalidations where shard = p_shard and conversation_key = forgotten;
    delete from messages where shard = p_shard and conversation_key = forgotten;
    delete from records where shard = p_shard and scope_key = forgotten;
    delete from deleted_messages where shard = p_shard and conversation_key = forgotten;
end $$;
