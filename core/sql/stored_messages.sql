-- Where messages of a conversation are, in the order of their ids; null for one that was deleted.
create or replace function stored_messages(
    c conversations, p_ids text[], out seqs bigint[], out ats bigint[], out bodies text[])
    language plpgsql stable as $$
begin
    select array_agg(m.seq order by given.at), array_agg(unix_seconds(m.created_at) order by given.at),
           array_agg(m.body::text order by given.at)
        into seqs, ats, bodies
        from unnest(p_ids) with ordinality as given(id, at)
        left join lateral (
            select * from messages
                where shard = c.shard and conversation_key = c.key and message_id = given.id offset 0) m
            on m.seq > c.cut_until or m.seq <= c.cut_after;
end $$;

-- Which of these ids are those of messages that were deleted; null: none.
create or replace function deleted_message_ids(c conversations, p_ids text[]) returns text[]
    language plpgsql stable as $$
begin
    -- Where nothing was ever deleted, nothing is looked for.
    if c.message_count = c.last_seq then
        return null;
    elsif c.cut_until = 0 then
        return (select array_agg(d.message_id) from deleted_messages d
            where d.shard = c.shard and d.conversation_key = c.key and d.message_id = any (p_ids));
    end if;
    return (select array_agg(gone.message_id) from (
        select d.message_id from deleted_messages d
            where d.shard = c.shard and d.conversation_key = c.key and d.message_id = any (p_ids)
        union all
        select m.message_id from (
            select seq, message_id from messages
                where shard = c.shard and conversation_key = c.key and message_id = any (p_ids) offset 0) m
            where m.seq > c.cut_after and m.seq <= c.cut_until) gone);
end $$;
