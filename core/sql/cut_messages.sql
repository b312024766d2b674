-- How many messages of a conversation come after a position.
create or replace function messages_after(c conversations, p_after bigint) returns bigint
    language plpgsql stable as $$
begin
    if p_after = 0 then
        return c.message_count;
    elsif c.message_count = c.last_seq then
        return greatest(c.last_seq - p_after, 0);
    end if;
    -- Whichever side is shorter is counted.
    if p_after < c.last_seq / 2 then
        return c.message_count
            - (select count(*) from messages
               where shard = c.shard and conversation_key = c.key and seq <= least(p_after, c.cut_after))
            - (select count(*) from messages
               where shard = c.shard and conversation_key = c.key and seq <= p_after and seq > c.cut_until);
    end if;
    return (select count(*) from messages
            where shard = c.shard and conversation_key = c.key and seq > greatest(p_after, c.cut_until))
         + (select count(*) from messages
            where shard = c.shard and conversation_key = c.key and seq > p_after and seq <= c.cut_after);
end $$;

-- Whether these messages, whose ids their clients chose, are those that follow a position.
create or replace function follow_already(
    c conversations, p_after bigint, p_ids text[], p_ids_in_bodies boolean[], p_bodies text[]) returns boolean
    language plpgsql stable as $$
begin
    if p_ids = '{}' or false = any (p_ids_in_bodies) then
        return false;
    end if;
    return (select coalesce(array_agg(first.message_id order by first.seq) = p_ids
                and array_agg(first.body order by first.seq) = p_bodies, false)
        from (select seq, message_id, body::text as body from (
                (select * from messages m where m.shard = c.shard and m.conversation_key = c.key
                    and m.seq > greatest(p_after, c.cut_until) order by m.seq limit cardinality(p_ids))
                union all
                (select * from messages m where m.shard = c.shard and m.conversation_key = c.key
                    and m.seq > p_after and m.seq <= c.cut_after order by m.seq limit cardinality(p_ids))) live
            order by seq limit cardinality(p_ids)) first);
end $$;

-- Takes what comes after a position out of a conversation, and returns that with its new bounds. A few messages are removed
-- here; many are cut off, which costs the same however many they are, and removed by the sweep. Of what is removed the ids stay known,
-- but for those that are used again.
--
--   p_count    how many messages that is
--
-- Its row is written by the caller.
create or replace function cut_messages(before conversations, p_after bigint, p_count bigint, p_used_again text[])
    returns conversations
    language plpgsql as $$
declare
    c conversations := before;
    used_again bigint[];
begin
    -- By their ids, whatever the planner believes of the positions: much may wait there to be removed.
    used_again := array(select m.seq from (
        select seq from messages
            where shard = c.shard and conversation_key = c.key and message_id = any (p_used_again) offset 0) m
        where m.seq > p_after);
    delete from messages m where m.shard = c.shard and m.conversation_key = c.key and m.seq = any (used_again);
    -- One range is cut off at a time. Beyond one that still waits, messages are removed however many they are: they came since
    -- the last sweep.
    if p_count <= 1000 or (c.cut_until > 0 and p_after > c.cut_after) then
        -- From both sides of what still waits, so that it is not gone through.
        insert into deleted_messages (shard, conversation_key, seq, message_id)
            select m.shard, m.conversation_key, m.seq, m.message_id from messages m
                where m.shard = c.shard and m.conversation_key = c.key and m.seq > greatest(p_after, c.cut_until)
            union all
            select m.shard, m.conversation_key, m.seq, m.message_id from messages m
                where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after and m.seq <= c.cut_after;
        delete from messages m
            where m.shard = c.shard and m.conversation_key = c.key and m.seq > greatest(p_after, c.cut_until);
        delete from messages m
            where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after and m.seq <= c.cut_after;
    else
        insert into purges (shard, conversation_key, next_seq, until_seq)
            values (c.shard, c.key, p_after + 1, c.last_seq)
            on conflict (conversation_key, shard) do update
                set next_seq = case when p_after = c.cut_after then purges.next_seq else excluded.next_seq end,
                    until_seq = excluded.until_seq;
        c.cut_after := p_after;
        c.cut_until := c.last_seq;
    end if;
    return c;
end $$;
