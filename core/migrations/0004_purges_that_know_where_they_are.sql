-- A purge goes by positions and remembers how far it is: whatever the planner believes of a table that shrinks under it,
-- a batch reads the messages that it removes and no others, not even those that earlier batches left dead in the index.
alter table purges add column next_seq bigint not null default 1;

-- Removes the messages at the next so many positions of a deleted conversation; how many there were. The last ones take
-- the conversation off the list.
create or replace function purge_messages(p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    until bigint;
    removed bigint;
begin
    update purges set next_seq = next_seq + p_limit where conversation_key = p_key returning next_seq into until;
    delete from messages where conversation_key = p_key and seq >= until - p_limit and seq < until;
    get diagnostics removed = row_count;
    delete from purges p using conversations c
        where p.conversation_key = p_key and c.key = p_key and c.last_seq < until;
    return removed;
end $$;
