-- A conversation and its last messages, as one snapshot. No row: there is no such conversation, or it has expired.
create or replace function read_window(p_shard integer, p_owner_id text, p_conversation_id text, p_capacity integer)
    returns setof snapshot
    language plpgsql stable as $$
declare
    c conversations;
begin
    select * into c from conversations r
        where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id;
    if found and not c.erased and not has_expired(c.updated_at, c.expires_after) then
        return next snapshot_of(c, false, true, p_capacity);
    end if;
end $$;

-- A conversation and its last messages, as one snapshot, taking the next epoch first: the cached copy may then be
-- validated with it, since no commit under an older epoch can follow. A cache of another generation takes none.
create or replace function read_window_taking_epoch(
    p_shard integer, p_owner_id text, p_conversation_id text, p_capacity integer, p_generation text)
    returns setof snapshot
    language plpgsql as $$
declare
    c conversations;
begin
    -- Apart from the update, which a distributed engine would refuse with a question in it.
    if p_generation = (select generation from cache_generation) then
        update conversations r set epoch = r.epoch + 1
            where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id
                and r.deleted_at is null
            returning * into c;
        if found and not c.erased and not has_expired(c.updated_at, c.expires_after) then
            return next snapshot_of(c, true, true, p_capacity);
            return;
        end if;
    end if;
    -- In one statement, which sees row and messages at one moment.
    return query select * from read_window(p_shard, p_owner_id, p_conversation_id, p_capacity);
end $$;
