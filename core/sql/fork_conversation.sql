-- Fills a new conversation with the messages of another one of the same owner up to a position, with their ids and positions,
-- with its title, its metadata, the time after which it expires, and with its records; returns it. They are copies: what is deleted in one stays in the other.
--
--   p_at     the last position that is copied; null: the last one
--   p_ids    of the messages that the new one gets besides
--   p_records_prefix    with what the keys of the records begin that are copied, at the revisions that they have; empty: all are
--
-- The other one is locked until the commit, so that a writer's messages are copied all or not at all. Fails with FO001 where there
-- is no such conversation, with FO002 where it has no such position (the detail is its last one), with FO003 where the copy
-- would be of more than 10,000 messages, or 16 MiB as they are stored, with FO004 where it has a message of one of the ids (the detail is its place), and with
-- FO005 where the copy would be of more than 100,000 records, or 64 MiB of them as they are stored.
create or replace function fork_conversation(fork conversations, p_origin text, p_at bigint, p_ids text[], p_records_prefix text) returns conversations
    language plpgsql as $$
declare
    o conversations;
    c conversations;
    last bigint;
    copied bigint;
    copied_records bigint;
    bytes bigint;
    twice text;
    records_end text := end_of_prefix(p_records_prefix);
begin
    select * into o from conversations r
        where r.shard = fork.shard and r.owner_id = fork.owner_id and r.conversation_id = p_origin for share;
    if o.key is null or o.deleted_at is not null or has_expired(o.updated_at, o.expires_after) or o.key = fork.key then
        raise exception using errcode = 'FO001', message = 'there is no conversation to begin from';
    end if;
    last := coalesce(p_at, o.last_seq);
    if last > o.last_seq then
        raise exception using errcode = 'FO002', message = 'the conversation to begin from has no such position', detail = o.last_seq;
    end if;
    select count(*), coalesce(sum(size), 0) into copied, bytes from (
        (select pg_column_size(body) as size from messages m
            where m.shard = o.shard and m.conversation_key = o.key and m.seq <= least(last, o.cut_after) limit 10001)
        union all
        (select pg_column_size(body) as size from messages m
            where m.shard = o.shard and m.conversation_key = o.key and m.seq <= last and m.seq > o.cut_until limit 10001)) m;
    if copied > 10000 or bytes > 16777216 then
        raise exception using errcode = 'FO003', message = 'the conversation to begin from is too long';
    end if;
    insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
        select m.shard, fork.key, m.seq, m.message_id, m.id_in_body, m.body, m.created_at from (
            select * from messages m
                where m.shard = o.shard and m.conversation_key = o.key and m.seq <= least(last, o.cut_after)
            union all
            select * from messages m
                where m.shard = o.shard and m.conversation_key = o.key and m.seq <= last and m.seq > o.cut_until) m
            order by m.seq;
    select m.message_id into twice from messages m
        where m.shard = fork.shard and m.conversation_key = fork.key and m.message_id = any (p_ids) limit 1;
    if found then
        raise exception using errcode = 'FO004', message = 'the copy has a message of one of the ids',
            detail = array_position(p_ids, twice) - 1;
    end if;
    select count(*), coalesce(sum(pg_column_size(r.value)), 0) into copied_records, bytes from (
        select * from records r
            where r.shard = o.shard and r.scope_key = o.key and r.key >= p_records_prefix and r.key < records_end limit 100001) r;
    if copied_records > 100000 or bytes > 67108864 then
        raise exception using errcode = 'FO005', message = 'the conversation to begin from has too many records';
    end if;
    insert into records (scope_key, revision, updated_at, shard, key, content_type, value)
        select fork.key, r.revision, r.updated_at, r.shard, r.key, r.content_type, r.value from records r
            where r.shard = o.shard and r.scope_key = o.key and r.key >= p_records_prefix and r.key < records_end;
    c := set_conversation_fields(fork, json_build_object('title', o.title, 'metadata', o.metadata, 'expires_after', o.expires_after));
    update conversations r set
        last_seq = last, message_count = copied, record_revision = o.record_revision, forked_from = p_origin, forked_at = last,
        last_message_at = (select m.created_at from messages m
            where m.shard = fork.shard and m.conversation_key = fork.key order by m.seq desc limit 1)
        where r.shard = fork.shard and r.key = fork.key returning * into c;
    return c;
end $$;
