-- How many messages of a conversation come after a position.
create or replace function messages_after(c conversations, p_after bigint) returns bigint
    language plpgsql stable as $$
begin
    if p_after = 0 then
        return c.message_count;
    elsif c.message_count = c.last_seq then
        return greatest(c.last_seq - p_after, 0);
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
    return (select coalesce(array_agg(held.message_id order by held.seq) = p_ids
                and array_agg(held.body order by held.seq) = p_bodies, false)
        from (select m.seq, m.message_id, m.body::text as body from messages m
              where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after
                  and (m.seq > c.cut_until or m.seq <= c.cut_after)
                  and m.message_id = any (p_ids)) held)
        and not exists (
            -- Nothing else stands before the last of them.
            select from messages m
                where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after
                    and (m.seq > c.cut_until or m.seq <= c.cut_after)
                    and m.message_id <> all (p_ids)
                    and m.seq < (select max(o.seq) from messages o where o.shard = c.shard
                                 and o.conversation_key = c.key and o.message_id = any (p_ids)));
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
begin
    delete from messages m
        where m.shard = c.shard and m.conversation_key = c.key and m.message_id = any (p_used_again) and m.seq > p_after;
    -- One range is cut off at a time. Beyond one that still waits, messages are removed however many they are: they came since
    -- the last sweep.
    if p_count <= 1000 or (c.cut_until > 0 and p_after > c.cut_after) then
        insert into deleted_messages (shard, conversation_key, seq, message_id)
            select m.shard, m.conversation_key, m.seq, m.message_id from messages m
                where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after
                    and (m.seq > c.cut_until or m.seq <= c.cut_after);
        delete from messages m
            where m.shard = c.shard and m.conversation_key = c.key and m.seq > p_after
                and (m.seq > c.cut_until or m.seq <= c.cut_after);
    else
        insert into purges (shard, conversation_key, next_seq, until_seq)
            values (c.shard, c.key, p_after + 1, c.last_seq)
            on conflict (conversation_key, shard) do update
                set next_seq = least(purges.next_seq, excluded.next_seq), until_seq = excluded.until_seq;
        c.cut_after := p_after;
        c.cut_until := c.last_seq;
    end if;
    return c;
end $$;
