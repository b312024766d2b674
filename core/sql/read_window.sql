-- A conversation and its last messages, as one snapshot. No row: there is no such conversation.
create or replace function read_window(p_owner_id text, p_conversation_id text, p_capacity integer) returns setof snapshot
    language sql stable as $$
    -- In the FROM clause, so that it is called once and not once a column.
    select s.* from conversations c cross join lateral snapshot_of(c, false, true, p_capacity) s
    where c.owner_id = p_owner_id and c.conversation_id = p_conversation_id
$$;

-- A conversation and its last messages, as one snapshot, taking the next epoch first: the cached copy may then be
-- validated with it, since no commit under an older epoch can follow. A cache of another generation takes none.
create or replace function read_window_taking_epoch(
    p_owner_id text, p_conversation_id text, p_capacity integer, p_generation text)
    returns setof snapshot
    language plpgsql as $$
declare
    c conversations;
begin
    update conversations r set epoch = r.epoch + 1
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id and r.deleted_at is null
            and p_generation = (select generation from cache_generation)
        returning * into c;
    if found then
        return next snapshot_of(c, true, true, p_capacity);
    else
        return query select * from read_window(p_owner_id, p_conversation_id, p_capacity);
    end if;
end $$;
