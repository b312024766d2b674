-- The erasure of everything that an owner has. It is registered, and hides all conversations, a thousand with each commit; then the
-- sweep removes what they had, and at last the rows themselves. The owner's row is its lock.

-- What stands for the id of a conversation that was erased.
create or replace function erased_id(p_owner_id text, p_conversation_id text) returns bytea
    language sql immutable parallel safe as $$
    select sha256(convert_to(p_owner_id || '/' || p_conversation_id, 'UTF8'))
$$;

-- Refuses a conversation that is being created, under its new row's lock: whatever the statement wrote is undone.
--
-- Fails with ER001 while an erasure is hiding what the owner has, since what is new would be hidden, too; with ER002 where a
-- conversation of this id was erased.
create or replace function refuse_erased(p_shard integer, p_owner_id text, p_conversation_id text) returns void
    language plpgsql stable as $$
begin
    if (select o.erasing from owners o where o.shard = p_shard and o.owner_id = p_owner_id) is not null then
        raise exception using errcode = 'ER001', message = 'the data of this owner are being erased';
    end if;
    if exists (select from erased_ids e where e.shard = p_shard and e.id_hash = erased_id(p_owner_id, p_conversation_id)) then
        raise exception using errcode = 'ER002', message = 'the conversation was erased';
    end if;
end $$;

-- Conversations of an owner that are not yet part of an erasure, deleted ones too: a few thousand. The results are parallel arrays.
--
-- epochs are those of the rows; null: the conversation was deleted, and nothing of it is in the cache that anybody is answered.
create or replace function conversations_to_erase(p_shard integer, p_owner_id text, p_limit integer,
    out ids text[], out epochs bigint[])
    language plpgsql stable as $$
begin
    select coalesce(array_agg(c.conversation_id), '{}'), array_agg(case when c.deleted_at is null then c.epoch end) into ids, epochs
        from (select * from conversations r
              where r.shard = p_shard and r.owner_id = p_owner_id and not r.erased limit p_limit) c;
end $$;

-- Makes sure that an owner has a row, and returns how many erasures of what the owner has have ended: under the row's lock, so that none
-- is about to.
create or replace function erasures_ended(p_shard integer, p_owner_id text, p_owner_hash text) returns bigint
    language plpgsql as $$
begin
    insert into owners (shard, owner_id) values (p_shard, p_owner_id) on conflict do nothing;
    perform 1 from owners r where r.shard = p_shard and r.owner_id = p_owner_id for share;
    return (select count(*) from erasures e where e.shard = p_shard and e.owner_hash = p_owner_hash and e.hidden_at is not null);
end $$;

-- Registers an erasure, or joins the one that is under way, or the last one; returns its id. The owner's own records are out of reach
-- with it: they stay under the key that the owner had. The owner has a row: whoever waits for it finds it again.
--
--   p_ended    how many erasures had ended when the request came. Where there are more by now, it was done: what was created since is
--              not erased
--
-- Fails with CM001 where another cache is in use than the caller's.
create or replace function register_erasure(
    p_shard integer, p_owner_id text, p_erasure text, p_requested_by text, p_owner_hash text, p_ended bigint, p_generation text)
    returns text
    language plpgsql as $$
declare
    o owners;
    moment timestamptz;
    next_key bigint;
begin
    if p_generation is distinct from (select generation from cache_generation) then
        raise exception using errcode = 'CM001', message = 'the cache is of another generation than the one in use';
    end if;
    select * into o from owners r where r.shard = p_shard and r.owner_id = p_owner_id for update;
    if o.erasing is not null then
        return o.erasing;
    end if;
    if erasures_ended(p_shard, p_owner_id, p_owner_hash) > p_ended then
        return (select e.id from erasures e
            where e.shard = p_shard and e.owner_hash = p_owner_hash order by e.requested_at desc, e.id desc limit 1);
    end if;
    moment := clock_timestamp();
    insert into erasures (id, shard, owner_hash, requested_by, requested_at)
        values (p_erasure, p_shard, p_owner_hash, p_requested_by, moment);
    next_key := nextval(pg_get_serial_sequence('owners', 'key'));
    update owners r set key = next_key, erased_revision = r.record_revision, erasing = p_erasure
        where r.shard = p_shard and r.owner_id = p_owner_id;
    insert into purges (shard, conversation_key, erasure) values (p_shard, -o.key, p_erasure);
    return p_erasure;
end $$;

-- Hides conversations, and returns which: nobody can read them from this commit on, and their ids stay those of deleted ones. One whose
-- row has another epoch than was listed before its write intent was set stays: the intent may be lost. Nothing is hidden once the
-- erasure has ended.
create or replace function hide_listed_conversations(
    p_shard integer, p_owner_id text, p_erasure text, p_ids text[], p_epochs bigint[], p_generation text,
    out hidden_ids text[])
    language plpgsql as $$
declare
    moment timestamptz := clock_timestamp();
    keys bigint[];
    live bigint[];
begin
    if p_generation is distinct from (select generation from cache_generation) then
        raise exception using errcode = 'CM001', message = 'the cache is of another generation than the one in use';
    end if;
    hidden_ids := '{}';
    perform 1 from owners r where r.shard = p_shard and r.owner_id = p_owner_id for update;
    if not exists (select from owners r where r.shard = p_shard and r.owner_id = p_owner_id and r.erasing = p_erasure) then
        return;
    end if;
    -- In one order, so that nobody waits in a circle; what is looked at comes in later statements.
    perform 1 from conversations r
        where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = any (p_ids) order by r.key for no key update;
    -- Those that were deleted before are erased with the others.
    select coalesce(array_agg(r.key), '{}'), coalesce(array_agg(r.key) filter (where r.deleted_at is null), '{}') into keys, live
        from unnest(p_ids, p_epochs) as given(id, epoch)
            join conversations r on r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = given.id
        where not r.erased and (r.deleted_at is not null or r.epoch = given.epoch);
    update conversations r set erased = true
        where r.shard = p_shard and r.key = any (keys) and r.deleted_at is not null;
    select coalesce(array_agg(t.conversation_id), '{}') into hidden_ids
        from make_tombstones(p_shard, p_owner_id, live, moment, true) t;
    insert into purges (shard, conversation_key, erasure, since)
        select p_shard, given.key, p_erasure, moment from unnest(keys) as given(key)
        on conflict (conversation_key, shard) do update
            set next_seq = 1, until_seq = null, next_record = '', since = moment, erasure = excluded.erasure;
    update erasures e set conversations = e.conversations + cardinality(keys)
        where e.shard = p_shard and e.id = p_erasure;
end $$;

-- Ends the hiding if all is hidden, or it has ended. A fork that was under way when its origin was hidden has committed before that,
-- and shows here.
create or replace function end_hiding(p_shard integer, p_owner_id text, p_erasure text) returns boolean
    language plpgsql as $$
declare
    moment timestamptz := clock_timestamp();
begin
    perform 1 from owners r where r.shard = p_shard and r.owner_id = p_owner_id for update;
    if not exists (select from owners r where r.shard = p_shard and r.owner_id = p_owner_id and r.erasing = p_erasure) then
        return true;
    end if;
    if exists (select from conversations r where r.shard = p_shard and r.owner_id = p_owner_id and not r.erased) then
        return false;
    end if;
    update owners r set erasing = null where r.shard = p_shard and r.owner_id = p_owner_id and r.erasing = p_erasure;
    update erasures e set hidden_at = moment where e.shard = p_shard and e.id = p_erasure and e.hidden_at is null;
    perform complete_erasure(p_shard, p_erasure);
    return true;
end $$;

-- Notes that an erasure is complete, if nothing of it is left.
create or replace function complete_erasure(p_shard integer, p_erasure text) returns void
    language plpgsql as $$
declare
    moment timestamptz := clock_timestamp();
begin
    -- Of two that remove the last of it at once, the second sees what the first has removed.
    perform 1 from erasures e where e.shard = p_shard and e.id = p_erasure for update;
    if not exists (select from purges p where p.shard = p_shard and p.erasure = p_erasure) then
        update erasures e set completed_at = moment
            where e.shard = p_shard and e.id = p_erasure and e.hidden_at is not null and e.completed_at is null;
    end if;
end $$;

-- Removes the next records of an owner's own that were erased. A part of purge_messages, for keys that are negative.
create or replace function purge_owner_records(p_shard integer, p_key bigint, p_limit integer) returns void
    language plpgsql as $$
declare
    p purges;
    next text;
    removed bigint;
begin
    select * into p from purges r where r.shard = p_shard and r.conversation_key = p_key;
    next := end_of_record_batch(p_shard, p_key, p.next_record, repeat(chr(1114111), 129), p_limit);
    delete from records r
        where r.shard = p_shard and r.scope_key = p_key and r.key >= p.next_record and (next is null or r.key < next);
    get diagnostics removed = row_count;
    update erasures e set records = e.records + removed where e.shard = p_shard and e.id = p.erasure;
    update purges r set next_record = next, is_purged = next is null
        where r.shard = p_shard and r.conversation_key = p_key;
end $$;

-- Removes the rows of a conversation that was erased and purged, and keeps the hash of its id. The cache has nothing of it any more.
create or replace function forget_erased(p_shard integer, p_key bigint) returns void
    language plpgsql as $$
declare
    c conversations;
    e text;
begin
    select * into c from conversations r where r.shard = p_shard and r.key = p_key for update;
    if c.key is not null then
        insert into erased_ids (id_hash, shard) values (erased_id(c.owner_id, c.conversation_id), p_shard) on conflict do nothing;
        delete from pending_invalidations r where r.shard = p_shard and r.conversation_key = p_key;
        delete from conversations r where r.shard = p_shard and r.key = p_key;
    end if;
    delete from purges r where r.shard = p_shard and r.conversation_key = p_key returning r.erasure into e;
    perform complete_erasure(p_shard, e);
end $$;
