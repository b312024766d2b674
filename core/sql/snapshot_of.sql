-- Reads a conversation at one version, as the cache takes it. The window is parallel arrays, oldest message first, null
-- where p_want_window is false. It is bounded in bytes: of the oldest messages, which together with the newer ones exceed
-- what the cache keeps, it has the positions alone. Then the arrays of ids, times and bodies are shorter than that of
-- positions, and belong to its end. An id is null where the body carries it. first_seq is the position of the first message,
-- 0 when there is none.
--
-- STABLE: it sees what the statement that calls it sees.
create or replace function snapshot_of(c conversations, p_took_epoch boolean, p_want_window boolean, p_capacity integer,
    out s snapshot)
    language plpgsql stable as $$
begin
    s.deleted := c.deleted_at is not null;
    s.epoch := c.epoch;
    s.took_epoch := p_took_epoch;
    s.version := c.version;
    s.conversation := conversation_json(c);
    if p_want_window then
        select coalesce(min(seq), 0),
               coalesce(array_agg(seq order by seq), '{}'),
               coalesce(array_agg(case when not id_in_body then message_id end order by seq) filter (where fits), '{}'),
               coalesce(array_agg(unix_seconds(created_at) order by seq) filter (where fits), '{}'),
               coalesce(array_agg(body order by seq) filter (where fits), '{}')
            into s.first_seq, s.window_seqs, s.window_ids, s.window_ats, s.window_bodies
            -- 512 KiB: WINDOW_BYTES of the cache.
            from (select *, sum(octet_length(body)) over (order by seq desc) <= 524288 as fits
                  from (select seq, message_id, id_in_body, created_at, body::text as body from (
                            (select * from messages where shard = c.shard and conversation_key = c.key
                                and seq > c.cut_until order by seq desc limit p_capacity)
                            union all
                            (select * from messages where shard = c.shard and conversation_key = c.key
                                and seq <= c.cut_after order by seq desc limit p_capacity)) live
                        order by seq desc limit p_capacity) newest) sized;
    elsif c.message_count = c.last_seq then
        -- Nothing was ever deleted, so that it follows from the counters.
        s.first_seq := case when c.last_seq = 0 then 0 else greatest(1, c.last_seq - p_capacity + 1) end;
    else
        select coalesce(min(seq), 0) into s.first_seq
            from (select seq from (
                      (select seq from messages where shard = c.shard and conversation_key = c.key
                          and seq > c.cut_until order by seq desc limit p_capacity)
                      union all
                      (select seq from messages where shard = c.shard and conversation_key = c.key
                          and seq <= c.cut_after order by seq desc limit p_capacity)) live
                  order by seq desc limit p_capacity) newest;
    end if;
end $$;
