-- Removes the messages at the next so many positions of what is to be purged; how many messages there were. The last ones
-- take it off the list, unless it is erased: then they note that it is purged. Of a deleted conversation as many idempotency keys and records go, too; of one that goes on, the ids of what was cut off
-- stay known as those of deleted messages. That one's row is locked by the caller.
create or replace function purge_messages(p_shard integer, p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    p purges;
    removed bigint;
    removed_records bigint := 0;
    next text;
begin
    if p_key < 0 then
        perform purge_owner_records(p_shard, p_key, p_limit);
        return 0;
    end if;
    update purges set next_seq = next_seq + p_limit where shard = p_shard and conversation_key = p_key returning * into p;
    if p.until_seq is null then
        delete from idempotency_keys k where k.shard = p_shard and k.conversation_key = p_key and (k.owner_id, k.idempotency_key) in (
            select i.owner_id, i.idempotency_key from idempotency_keys i
                where i.shard = p_shard and i.conversation_key = p_key limit p_limit);
        delete from messages where shard = p_shard and conversation_key = p_key and seq >= p.next_seq - p_limit and seq < p.next_seq;
        get diagnostics removed = row_count;
        delete from deleted_messages where shard = p_shard and conversation_key = p_key and seq >= p.next_seq - p_limit and seq < p.next_seq;
        if p.next_record is not null then
            -- From where the last batch ended, so that what it left dead in the index is not gone through.
            next := end_of_record_batch(p_shard, p_key, p.next_record, repeat(chr(1114111), 129), p_limit);
            delete from records r
                where r.shard = p_shard and r.scope_key = p_key and r.key >= p.next_record and (next is null or r.key < next);
            get diagnostics removed_records = row_count;
            update purges set next_record = next where shard = p_shard and conversation_key = p_key;
        end if;
        if p.erasure is not null then
            update erasures e set messages = e.messages + removed, records = e.records + removed_records
                where e.shard = p_shard and e.id = p.erasure;
            update purges r set is_purged = true from conversations c
                where r.shard = p_shard and r.conversation_key = p_key and r.next_record is null
                    and not exists (select from idempotency_keys k where k.shard = p_shard and k.conversation_key = p_key)
                    and c.shard = p_shard and c.key = p_key and c.last_seq < p.next_seq;
            return removed;
        end if;
        delete from purges r using conversations c
            where r.shard = p_shard and r.conversation_key = p_key and r.next_record is null
                and not exists (select from idempotency_keys k where k.shard = p_shard and k.conversation_key = p_key)
                and c.shard = p_shard and c.key = p_key and c.last_seq < p.next_seq;
    else
        insert into deleted_messages (shard, conversation_key, seq, message_id)
            select shard, conversation_key, seq, message_id from messages
                where shard = p_shard and conversation_key = p_key and seq >= p.next_seq - p_limit and seq < p.next_seq and seq <= p.until_seq;
        delete from messages
            where shard = p_shard and conversation_key = p_key and seq >= p.next_seq - p_limit and seq < p.next_seq and seq <= p.until_seq;
        get diagnostics removed = row_count;
        if p.next_seq > p.until_seq then
            delete from purges where shard = p_shard and conversation_key = p_key;
            update conversations set cut_after = 0, cut_until = 0 where shard = p_shard and key = p_key;
        end if;
    end if;
    return removed;
end $$;

-- The same, if nobody else is at it; null: somebody is, or it waits no longer.
create or replace function purge_if_free(p_shard integer, p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    p purges;
    locked boolean := false;
begin
    -- Writers lock the conversation before they come to what is to be purged, and so does this: a conversation that goes on has
    -- writers.
    perform 1 from purges where shard = p_shard and conversation_key = p_key and until_seq is not null;
    if found then
        perform 1 from conversations where shard = p_shard and key = p_key for no key update;
        locked := true;
    end if;
    select * into p from purges where shard = p_shard and conversation_key = p_key for update skip locked;
    -- It may have become another one in between: the next sweep knows.
    if p.conversation_key is null or p.is_purged or (p.until_seq is not null and not locked) then
        return null;
    end if;
    return purge_messages(p_shard, p_key, p_limit);
end $$;
