-- The cache has a generation, which stands here. Two caches may live at once, while code that has another one is being
-- rolled out: old code fences only the old cache, and new code would only read the new one. So nobody certifies what is in
-- another cache than that of the present generation, and a commit of who fences another one is refused. The deployment
-- moves it when old code is gone.
--
-- A generation is never used again: what a cache certified in it may be there still.

create table cache_generation (
    -- There is one row.
    is_only           boolean primary key default true check (is_only),
    generation        text    not null default '',
    -- What it was made for: settings that tell one cache from another, and the database.
    made_for          text    not null default '',
    -- The one that comes next, while a deployment is under way.
    proposed          text,
    proposed_made_for text,
    moves             bigint  not null default 0
);
insert into cache_generation default values;

-- What tells this database from the one that it is a copy of: a restored one has another timeline, an imported one another
-- identifier. Where the server does not say it, the deployment's settings have to.
create function database_identity() returns text
    language plpgsql stable as $$
begin
    return (select system_identifier from pg_control_system()) || '/'
        || (select timeline_id from pg_control_checkpoint());
exception when insufficient_privilege or feature_not_supported or undefined_function then
    return '';
end $$;

-- The generation of a cache: the present one if that was made for it, otherwise one that no cache ever had.
create function propose_cache_generation(p_settings text) returns text
    language plpgsql as $$
declare
    g cache_generation;
    wanted text := p_settings || ' ' || database_identity();
begin
    select * into g from cache_generation for no key update;
    if g.made_for = wanted then
        return g.generation;
    end if;
    if g.proposed_made_for is distinct from wanted then
        update cache_generation set proposed_made_for = wanted,
            proposed = (g.moves + 1) || '-' || substr(md5(wanted || clock_timestamp() || random()), 1, 8)
            returning * into g;
    end if;
    -- Where there is nothing yet, nobody has cached anything.
    if g.moves = 0 and not exists (select from conversations) then
        perform move_cache_generation(g.proposed);
    end if;
    return g.proposed;
end $$;

-- Makes a generation that was proposed the present one.
create function move_cache_generation(p_generation text) returns void
    language plpgsql as $$
begin
    update cache_generation set generation = proposed, made_for = proposed_made_for, proposed = null,
        proposed_made_for = null, moves = moves + 1
        where proposed = p_generation;
    if not found and p_generation is distinct from (select generation from cache_generation) then
        raise exception 'the cache generation % was not proposed, or has been left: deploy again', p_generation;
    end if;
end $$;

drop function add_messages(text, text, text, json, text[], boolean[], text[], boolean, text, bytea, boolean, bigint, boolean, boolean,
    integer);

-- Adds messages, and the conversation when it is new. Positions have no gaps; all or nothing is stored.
--
--   p_ids, p_ids_in_bodies, p_bodies    parallel; the ids are unique within the call. One that a body carries came from
--                                       the client, so it may have been stored before
--   p_create                            the conversation must be new: refuse one that exists
--   p_idempotency_key, p_fingerprint    null, or what the request is known by when it is tried again
--
-- outcome: stored | duplicate (all of it was stored before) | conflict (conflict_id was stored with another body) |
-- exists | deleted | moving (another generation) | refused (row_epoch is the row's; null: there is no row)
--
-- stored_ids, stored_seqs and stored_ats tell where the messages are, in the order given. A position is null where the
-- message was deleted since; stored_ids is null where the ids are those given.
create function add_messages(
    p_owner_id text, p_conversation_id text, p_title text, p_metadata json,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean,
    p_idempotency_key text, p_fingerprint bytea,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out conflict_id text,
    out stored_ids text[], out stored_seqs bigint[], out stored_ats bigint[], out s snapshot)
    language plpgsql as $$
declare
    c conversations;
    is_new boolean := false;
    take boolean := false;
    moment timestamptz;
    fresh_ids text[] := p_ids;
    fresh_ids_in_bodies boolean[] := p_ids_in_bodies;
    fresh_bodies text[] := p_bodies;
    fresh bigint;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    if not found then
        if p_fenced and p_epoch is not null then
            outcome := 'refused';
            return;
        end if;
        insert into conversations (owner_id, conversation_id, title, metadata, created_at, updated_at)
            values (p_owner_id, p_conversation_id, p_title, p_metadata, clock_timestamp(), clock_timestamp())
            on conflict do nothing;
        is_new := found;
        select * into c from conversations r
            where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
        if not is_new and p_generation is distinct from (select generation from cache_generation) then
            outcome := 'moving';
            return;
        end if;
    end if;
    row_epoch := c.epoch;
    if c.deleted_at is not null then
        outcome := 'deleted';
        return;
    end if;
    if p_idempotency_key is not null then
        stored_ids := done_under(p_idempotency_key, p_fingerprint, c);
    end if;
    if stored_ids is null and p_create and not is_new then
        outcome := 'exists';
        return;
    end if;

    if stored_ids is not null then
        fresh_ids := '{}';
    elsif not is_new and true = any (p_ids_in_bodies) then
        select m.message_id into conflict_id
            from unnest(p_ids, p_bodies) as given(id, body)
            join messages m on m.conversation_key = c.key and m.message_id = given.id
            where m.body::text <> given.body limit 1;
        if found then
            outcome := 'conflict';
            return;
        end if;
        select coalesce(array_agg(given.id order by given.at), '{}'),
               coalesce(array_agg(given.id_in_body order by given.at), '{}'),
               coalesce(array_agg(given.body order by given.at), '{}')
            into fresh_ids, fresh_ids_in_bodies, fresh_bodies
            from unnest(p_ids, p_ids_in_bodies, p_bodies) with ordinality as given(id, id_in_body, body, at)
            where not exists (select 1 from messages m
                              where m.conversation_key = c.key and m.message_id = given.id);
    end if;
    fresh := cardinality(fresh_ids);

    -- A duplicate is told before the epoch is compared: it writes nothing that a reader could miss.
    if stored_ids is not null or (fresh = 0 and cardinality(p_ids) > 0) then
        outcome := 'duplicate';
    elsif p_fenced and not is_new and p_epoch is distinct from c.epoch then
        outcome := 'refused';
        return;
    else
        outcome := 'stored';
        -- The clock may step back; a conversation's times do not.
        moment := greatest(clock_timestamp(), c.updated_at);
        take := is_new or not p_fenced or not p_certified;
        insert into messages (conversation_key, seq, message_id, id_in_body, body, created_at)
            select c.key, c.last_seq + given.at, given.id, given.id_in_body, given.body::json, moment
            from unnest(fresh_ids, fresh_ids_in_bodies, fresh_bodies)
                with ordinality as given(id, id_in_body, body, at);
        update conversations r set
            epoch = r.epoch + take::int,
            version = r.version + 1,
            last_seq = r.last_seq + fresh,
            message_count = r.message_count + fresh,
            updated_at = moment,
            last_message_at = case when fresh > 0 then moment else r.last_message_at end
            where r.key = c.key returning * into c;
        if not p_fenced then
            perform note_cache_debt(c);
        end if;
    end if;
    -- Under this key, a request that found all of its messages stored by another one is done, too.
    if p_idempotency_key is not null and stored_ids is null then
        perform remember_key(p_idempotency_key, p_fingerprint, p_ids, c);
    end if;

    if outcome = 'stored' and fresh = cardinality(p_ids) then
        stored_seqs := array(select generate_series(c.last_seq - fresh + 1, c.last_seq));
        stored_ats := array_fill(unix_seconds(moment), array[fresh::int]);
    else
        select array_agg(m.seq order by given.at), array_agg(unix_seconds(m.created_at) order by given.at)
            into stored_seqs, stored_ats
            from unnest(coalesce(stored_ids, p_ids)) with ordinality as given(id, at)
            left join messages m on m.conversation_key = c.key and m.message_id = given.id;
    end if;
    s := snapshot_of(c, take, p_want_window or take or outcome = 'duplicate', p_capacity);
end $$;

drop function update_conversation(text, text, boolean, text, json, text, bytea, boolean, bigint, boolean, boolean, integer);

-- Changes a conversation's title (if p_set_title) and metadata (if not null).
--
-- outcome: updated | duplicate (it was, under this key) | absent | moving (another generation) | refused
create function update_conversation(
    p_owner_id text, p_conversation_id text, p_set_title boolean, p_title text, p_metadata json,
    p_idempotency_key text, p_fingerprint bytea,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    c conversations;
    take boolean := not p_fenced or not p_certified;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    row_epoch := c.epoch;
    if not found or c.deleted_at is not null then
        outcome := 'absent';
    elsif p_idempotency_key is not null and done_under(p_idempotency_key, p_fingerprint, c) is not null then
        outcome := 'duplicate';
        s := snapshot_of(c, false, true, p_capacity);
    elsif p_fenced and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'updated';
        update conversations r set
            epoch = r.epoch + take::int,
            version = r.version + 1,
            title = case when p_set_title then p_title else r.title end,
            metadata = coalesce(p_metadata, r.metadata),
            updated_at = greatest(clock_timestamp(), r.updated_at)
            where r.key = c.key returning * into c;
        if p_idempotency_key is not null then
            perform remember_key(p_idempotency_key, p_fingerprint, '{}', c);
        end if;
        if not p_fenced then
            perform note_cache_debt(c);
        end if;
        s := snapshot_of(c, take, p_want_window or take, p_capacity);
    end if;
end $$;

drop function delete_message(text, text, text, boolean, bigint, integer);

-- Deletes one message. What was a fact in every cached copy is one no more, so it always takes an epoch, which voids
-- whatever is in flight, and answers the window.
--
-- outcome: deleted | absent (no such message or conversation) | moving (another generation) | refused
create function delete_message(
    p_owner_id text, p_conversation_id text, p_message_id text,
    p_fenced boolean, p_epoch bigint, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    row_epoch := c.epoch;
    if not found or c.deleted_at is not null then
        outcome := 'absent';
        return;
    end if;
    perform 1 from messages m where m.conversation_key = c.key and m.message_id = p_message_id;
    if not found then
        outcome := 'absent';
    elsif p_fenced and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'deleted';
        delete from messages m where m.conversation_key = c.key and m.message_id = p_message_id;
        update conversations r set
            epoch = r.epoch + 1, version = r.version + 1, message_count = r.message_count - 1,
            updated_at = greatest(clock_timestamp(), r.updated_at)
            where r.key = c.key returning * into c;
        perform note_cache_debt(c);
        s := snapshot_of(c, true, true, p_capacity);
    end if;
end $$;

drop function delete_conversation(text, text, boolean, bigint);

-- Deletes a conversation: its row stays as a tombstone without content; a few messages go at once, and of a long
-- conversation the rest is purged by the sweep, so that the caller does not wait for them. Nobody can read them
-- meanwhile. Deleting a deleted conversation is no error.
--
-- outcome: deleted | absent | moving (another generation) | refused
create function delete_conversation(p_owner_id text, p_conversation_id text, p_fenced boolean, p_epoch bigint, p_generation text,
    out outcome text, out row_epoch bigint, out version bigint)
    language plpgsql as $$
#variable_conflict use_column
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    row_epoch := c.epoch;
    version := c.version;
    if not found then
        outcome := 'absent';
    elsif c.deleted_at is not null then
        outcome := 'deleted';
    elsif p_fenced and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        outcome := 'deleted';
        insert into purges (conversation_key) values (c.key);
        perform purge_messages(c.key, 1000);
        update conversations r set
            epoch = r.epoch + 1, version = r.version + 1, message_count = 0, title = null, metadata = '{}',
            last_message_at = null, updated_at = greatest(clock_timestamp(), r.updated_at), deleted_at = clock_timestamp()
            where r.key = c.key returning * into c;
        perform note_cache_debt(c);
        version := c.version;
    end if;
end $$;

drop function import_messages(text, text, text, json, bigint, bigint, bigint, bigint, bigint, bigint[], text[], boolean[], text[],
    bigint[], boolean, boolean, bigint);

-- Stores a part of an exported conversation: messages at the positions that they had, and with the first part the
-- conversation itself. Parts that come again store nothing twice.
--
--   p_title .. p_last_message_at   the conversation; title, metadata and version are taken over by a new row, and with the
--                                  last part if the row has a lower version
--   p_seqs .. p_ats                parallel: the messages, ascending
--   p_last                         this part is the last one
--
-- Positions up to p_last_seq are taken at once, so that what is added meanwhile comes after them. As this may change
-- what is in the middle of a cached window, it always takes an epoch, like a deletion of a message; who calls it drops
-- the cached copy after it.
--
-- outcome: stored | duplicate (all of it is stored) | conflict (conflict_id: it or its position was stored with
-- something else) | deleted | moving (another generation) | refused (row_epoch is the row's; null: there is no row)
create function import_messages(
    p_owner_id text, p_conversation_id text, p_title text, p_metadata json, p_version bigint, p_last_seq bigint,
    p_created_at bigint, p_updated_at bigint, p_last_message_at bigint,
    p_seqs bigint[], p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_ats bigint[], p_last boolean,
    p_fenced boolean, p_epoch bigint, p_generation text,
    out outcome text, out row_epoch bigint, out conflict_id text, out stored bigint, out row_version bigint)
    language plpgsql as $$
declare
    c conversations;
    is_new boolean := false;
begin
    stored := 0;
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    if p_generation is distinct from (select generation from cache_generation) then
        outcome := 'moving';
        return;
    end if;
    if not found then
        if p_fenced and p_epoch is not null then
            outcome := 'refused';
            return;
        end if;
        insert into conversations (owner_id, conversation_id, title, metadata, created_at, updated_at)
            values (p_owner_id, p_conversation_id, p_title, p_metadata,
                    from_unix_micros(p_created_at), from_unix_micros(p_updated_at))
            on conflict do nothing;
        is_new := found;
        select * into c from conversations r
            where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
        if not is_new and p_generation is distinct from (select generation from cache_generation) then
            outcome := 'moving';
            return;
        end if;
    end if;
    row_epoch := c.epoch;
    row_version := c.version;
    if c.deleted_at is not null then
        outcome := 'deleted';
        return;
    end if;

    if not is_new then
        -- A duplicate is told before the epoch is compared: it writes nothing that a reader could miss.
        if (not p_last or c.version >= p_version) and not exists (
            select from unnest(p_seqs, p_ids, p_bodies) as given(seq, id, body)
            where not exists (select from messages m where m.conversation_key = c.key and m.seq = given.seq
                              and m.message_id = given.id and m.body::text = given.body)) then
            outcome := 'duplicate';
            return;
        end if;
        if p_fenced and p_epoch is distinct from c.epoch then
            outcome := 'refused';
            return;
        end if;
    end if;

    begin
        insert into messages (conversation_key, seq, message_id, id_in_body, body, created_at)
            select c.key, given.seq, given.id, given.id_in_body, given.body::json, from_unix_micros(given.at)
            from unnest(p_seqs, p_ids, p_ids_in_bodies, p_bodies, p_ats) as given(seq, id, id_in_body, body, at)
            on conflict do nothing;
        get diagnostics stored = row_count;
        if stored < cardinality(p_seqs) then
            select given.id into conflict_id from unnest(p_seqs, p_ids, p_bodies) as given(seq, id, body)
                where not exists (select from messages m where m.conversation_key = c.key and m.seq = given.seq
                                  and m.message_id = given.id and m.body::text = given.body) limit 1;
            if found then
                raise exception using errcode = 'IM001', message = 'undone';
            end if;
        end if;
    exception when sqlstate 'IM001' then
        outcome := 'conflict';
        return;
    end;

    outcome := 'stored';
    update conversations r set
        epoch = r.epoch + 1,
        title = case when p_last and r.version < p_version then p_title else r.title end,
        metadata = case when p_last and r.version < p_version then p_metadata else r.metadata end,
        version = case when p_last then greatest(r.version + 1, p_version) else r.version + 1 end,
        last_seq = greatest(r.last_seq, p_last_seq),
        message_count = r.message_count + stored,
        updated_at = greatest(r.updated_at, from_unix_micros(p_updated_at)),
        last_message_at = greatest(r.last_message_at, from_unix_micros(p_last_message_at))
        where r.key = c.key returning * into c;
    row_version := c.version;
    if not p_fenced then
        perform note_cache_debt(c);
    end if;
end $$;

drop function read_window_taking_epoch(text, text, integer);

-- A conversation and its last messages, as one snapshot, taking the next epoch first: what is read may then be certified,
-- since no commit fenced before can follow. Not for a cache of another generation, where nothing may be.
create function read_window_taking_epoch(p_owner_id text, p_conversation_id text, p_capacity integer, p_generation text)
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
