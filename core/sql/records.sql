-- Records: bytes under keys, of a conversation or, where p_conversation_id is null, of the owner. Whoever writes them locks that
-- conversation's or owner's row, and gives what it writes the row's next revision. The cache has none of this.

-- The least text after all those that begin with a prefix, in the order of bytes, which is that of code points.
create or replace function end_of_prefix(p_prefix text) returns text
    language plpgsql immutable parallel safe as $$
declare
    rest text := p_prefix;
    code integer;
begin
    while rest <> '' loop
        code := ascii(right(rest, 1));
        rest := left(rest, -1);
        if code < 1114111 then
            -- No character has the numbers of surrogates.
            return rest || chr(case code when 55295 then 57344 else code + 1 end);
        end if;
    end loop;
    -- Longer than any key.
    return repeat(chr(1114111), 129);
end $$;

-- The key behind the next records that are deleted at once, from one key on: as many as p_limit, and as many as have 32 MiB together as
-- they are stored, but at least one. Null: up to p_until these are all.
create or replace function end_of_record_batch(p_shard integer, p_scope bigint, p_from text, p_until text, p_limit bigint)
    returns text
    language plpgsql stable as $$
begin
    return (
        select sized.key from (
            select r.key, row_number() over (order by r.key) as place, sum(pg_column_size(r.value)) over (order by r.key) as bytes
            from (select * from records m
                  where m.shard = p_shard and m.scope_key = p_scope and m.key >= p_from and m.key < p_until
                  order by m.key limit p_limit + 1) r) sized
        where sized.place > 1 and (sized.place > p_limit or sized.bytes > 33554432)
        order by sized.key limit 1);
end $$;

-- The scope_key of records that can be read; null: there is no such conversation, or the owner has none.
create or replace function record_scope(p_shard integer, p_owner_id text, p_conversation_id text) returns bigint
    language plpgsql stable as $$
begin
    if p_conversation_id is null then
        return (select -o.key from owners o where o.shard = p_shard and o.owner_id = p_owner_id);
    end if;
    return (select c.key from conversations c
        where c.shard = p_shard and c.owner_id = p_owner_id and c.conversation_id = p_conversation_id and c.deleted_at is null
            and not has_expired(c.updated_at, c.expires_after));
end $$;

-- Locks what records belong to, and returns it as a conversation: of an owner the key, the owner and the last revision alone. All
-- null where it is not there and is not to be created. Fails with ER001 while an erasure is hiding what the owner has.
create or replace function lock_record_scope(
    p_shard integer, p_owner_id text, p_conversation_id text, p_create boolean) returns conversations
    language plpgsql as $$
declare
    c conversations;
    moment timestamptz := clock_timestamp();
    erasure text;
begin
    if p_conversation_id is null then
        if p_create then
            insert into owners (shard, owner_id) values (p_shard, p_owner_id) on conflict do nothing;
        end if;
        select -o.key, o.shard, o.owner_id, o.record_revision, o.erasing
            into c.key, c.shard, c.owner_id, c.record_revision, erasure
            from owners o where o.shard = p_shard and o.owner_id = p_owner_id for no key update;
        if erasure is not null then
            raise exception using errcode = 'ER001', message = 'the data of this owner are being erased';
        end if;
        return c;
    end if;
    select * into c from conversations r
        where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if c.key is null and p_create then
        -- Nobody can have cached it: a writer who began before finds a row that it did not expect, and begins again.
        insert into conversations (shard, owner_id, conversation_id, version, epoch, created_at, updated_at)
            values (p_shard, p_owner_id, p_conversation_id, 1, 1, moment, moment) on conflict do nothing;
        perform refuse_erased(p_shard, p_owner_id, p_conversation_id);
        select * into c from conversations r
            where r.shard = p_shard and r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    end if;
    if has_expired(c.updated_at, c.expires_after) then
        c.deleted_at := coalesce(c.deleted_at, c.updated_at);
    end if;
    return c;
end $$;

-- Takes the next revision of what lock_record_scope has locked.
create or replace function take_record_revision(c conversations) returns bigint
    language plpgsql as $$
begin
    if c.key < 0 then
        update owners o set record_revision = c.record_revision + 1 where o.shard = c.shard and o.key = -c.key;
    else
        update conversations r set record_revision = c.record_revision + 1 where r.shard = c.shard and r.key = c.key;
    end if;
    return c.record_revision + 1;
end $$;

-- Writes records of what is locked: all or none.
--
--   p_keys, p_values, p_types, p_conditions    parallel; the keys are unique. A value that is null: the record is deleted. A condition is
--                                              the revision that the record must have, 0: it must not be there, -1: it must be there, null: any
--
-- revisions are parallel to the keys: the new revision, of a deletion 1 where there was something to delete and otherwise 0. Fails with RE001
-- where a condition does not hold; the detail is which, and the revision that the record has.
create or replace function put_records(
    c conversations, p_keys text[], p_values bytea[], p_types text[], p_conditions bigint[],
    out revision bigint, out revisions bigint[], out deleted text[])
    language plpgsql as $$
declare
    failed record;
    moment timestamptz := clock_timestamp();
begin
    if array_remove(p_conditions, null) <> '{}' then
        -- Each by its key, whatever a plan expects of a scope: OFFSET keeps it from reading all of it.
        select given.place - 1 as place, coalesce(r.revision, 0) as revision into failed
            from unnest(p_keys, p_conditions) with ordinality as given(key, condition, place)
                left join lateral (
                    select m.key, m.revision from records m
                    where m.shard = c.shard and m.scope_key = c.key and m.key = given.key offset 0) r on true
            where given.condition = -1 and r.key is null or given.condition >= 0 and given.condition <> coalesce(r.revision, 0)
            order by given.place limit 1;
        if found then
            raise exception using errcode = 'RE001', message = 'a record is at another revision', detail = row_to_json(failed);
        end if;
    end if;
    deleted := '{}';
    if c.key is not null then
        revision := take_record_revision(c);
        if array_remove(p_values, null) <> '{}' then
            insert into records as r (scope_key, revision, updated_at, shard, key, content_type, value)
                select c.key, put_records.revision, moment, c.shard, given.key, given.type, given.value
                from unnest(p_keys, p_values, p_types) as given(key, value, type) where given.value is not null
                on conflict (scope_key, key, shard) do update set
                    revision = excluded.revision, updated_at = excluded.updated_at,
                    content_type = excluded.content_type, value = excluded.value;
        end if;
        if array_position(p_values, null) is not null then
            with gone as (
                delete from records r where r.shard = c.shard and r.scope_key = c.key and r.key = any (
                    array(select given.key from unnest(p_keys, p_values) as given(key, value) where given.value is null))
                returning r.key)
            select coalesce(array_agg(gone.key), '{}') into deleted from gone;
        end if;
    end if;
    revisions := record_revisions(p_keys, p_values, revision, deleted);
end $$;

-- What a write of records answers: of each its revision, or how many were deleted.
create or replace function record_revisions(p_keys text[], p_values bytea[], p_revision bigint, p_deleted text[]) returns bigint[]
    language plpgsql immutable as $$
begin
    return array(
        select case when given.value is null then (given.key = any (p_deleted))::int else p_revision end
        from unnest(p_keys, p_values) with ordinality as given(key, value, place) order by given.place);
end $$;

-- Which of the keys of a request these are, from 1, and back again: what is kept of a request names no keys.
create or replace function places_of(p_keys text[], p_some text[]) returns integer[]
    language plpgsql immutable as $$
begin
    return array(select given.place from unnest(p_keys) with ordinality as given(key, place) where given.key = any (p_some));
end $$;
create or replace function keys_at(p_keys text[], p_places integer[]) returns text[]
    language plpgsql immutable as $$
begin
    return array(select p_keys[place] from unnest(p_places) as given(place));
end $$;

-- Writes records, and creates the conversation if there is a value and it is new.
--
-- outcome: stored | duplicate (it was done before, under this key) | deleted (the conversation was). The rest is as in put_records.
create or replace function write_records(
    p_shard integer, p_owner_id text, p_conversation_id text,
    p_keys text[], p_values bytea[], p_types text[], p_conditions bigint[],
    p_idempotency_key text, p_fingerprint bytea,
    out outcome text, out revisions bigint[])
    language plpgsql as $$
declare
    c conversations;
    k idempotency_keys;
    written record;
    has_values boolean := array_remove(p_values, null) <> '{}';
begin
    c := lock_record_scope(p_shard, p_owner_id, p_conversation_id,
        has_values or p_conversation_id is null and p_idempotency_key is not null);
    if c.deleted_at is not null then
        if has_values then
            outcome := 'deleted';
            return;
        end if;
        -- There is nothing left to delete.
        c := null;
    end if;
    if p_idempotency_key is not null and c.key is not null
            and message_ids_under_key(p_idempotency_key, p_fingerprint, c) is not null then
        select * into k from idempotency_keys r
            where r.shard = p_shard and r.owner_id = p_owner_id and r.idempotency_key = p_idempotency_key;
        outcome := 'duplicate';
        revisions := record_revisions(p_keys, p_values, k.record_revision, keys_at(p_keys, k.deleted_places));
        return;
    end if;
    outcome := 'stored';
    written := put_records(c, p_keys, p_values, p_types, p_conditions);
    revisions := written.revisions;
    if p_idempotency_key is not null and c.key is not null then
        perform store_idempotency_key(p_idempotency_key, p_fingerprint, '{}', 0, c);
        perform store_records_under_key(p_idempotency_key, c, written.revision, places_of(p_keys, written.deleted));
    end if;
end $$;

-- Adds to what a request did, under its key, the records that it wrote.
create or replace function store_records_under_key(
    p_idempotency_key text, c conversations, p_revision bigint, p_deleted_places integer[]) returns void
    language plpgsql as $$
begin
    update idempotency_keys k set record_revision = p_revision, deleted_places = p_deleted_places
        where k.shard = c.shard and k.owner_id = c.owner_id and k.idempotency_key = p_idempotency_key;
end $$;

-- Writes records in the commit that has just added or replaced messages of a conversation. Of messages that were all stored before, it was done
-- before as well: then nothing is written, and revisions are those that the first try wrote under this idempotency key, otherwise null.
--
--   p_now, p_before    whether it is done now, or was done before; neither: nothing is to be written
create or replace function write_records_with_messages(
    p_shard integer, p_owner_id text, p_conversation_id text, p_now boolean, p_before boolean,
    p_keys text[], p_values bytea[], p_types text[], p_conditions bigint[], p_idempotency_key text,
    out revisions bigint[])
    language plpgsql as $$
declare
    c conversations;
    k idempotency_keys;
    written record;
begin
    if p_before and p_idempotency_key is not null then
        select * into k from idempotency_keys r
            where r.shard = p_shard and r.owner_id = p_owner_id and r.idempotency_key = p_idempotency_key;
    end if;
    if k.record_revision is not null then
        revisions := record_revisions(p_keys, p_values, k.record_revision, keys_at(p_keys, k.deleted_places));
    elsif p_now then
        c := lock_record_scope(p_shard, p_owner_id, p_conversation_id, false);
        written := put_records(c, p_keys, p_values, p_types, p_conditions);
        revisions := written.revisions;
        if p_idempotency_key is not null then
            perform store_records_under_key(p_idempotency_key, c, written.revision, places_of(p_keys, written.deleted));
        end if;
    end if;
end $$;

-- Deletes the records whose keys begin with a prefix: the first p_limit of them, or fewer where these are large.
--
-- outcome: deleted | absent (there is no such conversation)
create or replace function delete_records(
    p_shard integer, p_owner_id text, p_conversation_id text, p_prefix text, p_limit bigint,
    p_idempotency_key text, p_fingerprint bytea,
    out outcome text, out deleted bigint, out has_more boolean)
    language plpgsql as $$
declare
    c conversations;
    until text := end_of_prefix(p_prefix);
    next text;
begin
    -- An owner's row is there for the key, so that a late retry deletes nothing that was written since.
    c := lock_record_scope(p_shard, p_owner_id, p_conversation_id, p_conversation_id is null and p_idempotency_key is not null);
    outcome := case when c.key is null or c.deleted_at is not null then 'absent' else 'deleted' end;
    deleted := 0;
    has_more := false;
    if outcome = 'absent' then
        return;
    end if;
    if p_idempotency_key is not null and message_ids_under_key(p_idempotency_key, p_fingerprint, c) is not null then
        select k.removed, k.has_more into deleted, has_more from idempotency_keys k
            where k.shard = p_shard and k.owner_id = p_owner_id and k.idempotency_key = p_idempotency_key;
        return;
    end if;
    next := end_of_record_batch(p_shard, c.key, p_prefix, until, p_limit);
    has_more := next is not null;
    delete from records r
        where r.shard = p_shard and r.scope_key = c.key and r.key >= p_prefix and r.key < coalesce(next, until);
    get diagnostics deleted = row_count;
    if deleted > 0 then
        perform take_record_revision(c);
    end if;
    if p_idempotency_key is not null then
        perform store_idempotency_key(p_idempotency_key, p_fingerprint, '{}', deleted, c);
        update idempotency_keys k set has_more = delete_records.has_more
            where k.shard = p_shard and k.owner_id = p_owner_id and k.idempotency_key = p_idempotency_key;
    end if;
end $$;

-- Reads a record. No revision: there is none; is_there: whether there is what it would belong to.
--
--   p_known    revisions of which the caller has the value, -1: any. Of them the value is not read
create or replace function read_record(
    p_shard integer, p_owner_id text, p_conversation_id text, p_key text, p_known bigint[],
    out is_there boolean, out revision bigint, out at bigint, out size integer, out content_type text, out value bytea)
    language plpgsql stable as $$
declare
    scope bigint := record_scope(p_shard, p_owner_id, p_conversation_id);
begin
    is_there := scope is not null or p_conversation_id is null;
    select r.revision, unix_seconds(r.updated_at), octet_length(r.value), r.content_type,
            case when r.revision = any (p_known) or -1 = any (p_known) then null else r.value end
        into revision, at, size, content_type, value
        from records r where r.shard = p_shard and r.scope_key = scope and r.key = p_key;
end $$;

-- Lists records in the order of their keys: those of the given keys, and those that begin with one of the prefixes.
--
--   p_after         the key after which the page begins, or, descending, before which; null: at the first
--   p_want_values   read the values too, until they have p_bytes bytes: the page ends early then, but for its first record
--
-- The results are parallel arrays.
create or replace function list_records(
    p_shard integer, p_owner_id text, p_conversation_id text, p_keys text[], p_prefixes text[],
    p_after text, p_descending boolean, p_limit integer, p_want_values boolean, p_bytes bigint,
    out keys text[], out revisions bigint[], out ats bigint[], out sizes integer[], out content_types text[], out record_values bytea[],
    out has_more boolean)
    language plpgsql stable as $$
declare
    scope bigint := record_scope(p_shard, p_owner_id, p_conversation_id);
    wanted text[];
begin
    -- The keys first: of those that several prefixes have in common each is listed once.
    if p_descending then
        wanted := array(
            select found.key from (
                select r.key from records r
                    where r.shard = p_shard and r.scope_key = scope and r.key = any (p_keys) and (p_after is null or r.key < p_after)
                union
                select listed.key
                    from (select prefix, least(end_of_prefix(prefix) collate "C", p_after) as until
                          from unnest(p_prefixes) as given(prefix)) part
                        cross join lateral (
                            select r.key from records r
                            where r.shard = p_shard and r.scope_key = scope and r.key >= part.prefix and r.key < part.until
                            order by r.key desc limit p_limit + 1) listed) found
            order by found.key collate "C" desc limit p_limit + 1);
    else
        wanted := array(
            select found.key from (
                select r.key from records r
                    where r.shard = p_shard and r.scope_key = scope and r.key = any (p_keys) and (p_after is null or r.key > p_after)
                union
                select listed.key
                    from (select prefix, end_of_prefix(prefix) as until from unnest(p_prefixes) as given(prefix)) part
                        cross join lateral (
                            select r.key from records r
                            where r.shard = p_shard and r.scope_key = scope
                                and r.key >= part.prefix and r.key > coalesce(p_after, '') and r.key < part.until
                            order by r.key limit p_limit + 1) listed) found
            order by found.key collate "C" limit p_limit + 1);
    end if;
    select coalesce(array_agg(page.key order by page.place), '{}'), array_agg(page.revision order by page.place),
            array_agg(unix_seconds(page.updated_at) order by page.place), array_agg(page.size order by page.place),
            array_agg(page.content_type order by page.place), array_agg(page.value order by page.place) filter (where p_want_values)
        into keys, revisions, ats, sizes, content_types, record_values
        from (select r.key, r.revision, r.updated_at, r.content_type, given.place, octet_length(r.value) as size,
                  case when p_want_values then r.value end as value,
                  sum(octet_length(r.value)) over (order by given.place) as bytes
              from unnest(wanted[:p_limit]) with ordinality as given(key, place)
                  cross join lateral (
                      select * from records m
                      where m.shard = p_shard and m.scope_key = scope and m.key = given.key offset 0) r) page
        where not p_want_values or page.bytes <= p_bytes or page.place = 1;
    has_more := cardinality(wanted) > cardinality(keys);
end $$;
