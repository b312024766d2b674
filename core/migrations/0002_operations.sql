-- The operations that must be one round trip and one transaction. In READ COMMITTED a statement's snapshot is taken
-- before it waits for a row lock, so each function here locks first and looks in later statements.
--
-- Those that write take p_fenced and p_epoch: a fence was set under p_epoch (null: the cache knew none, so the row must
-- not exist yet), or none could be set, and then the commit takes an epoch and notes a debt. p_certified: the cache held
-- a certificate, which the commit may leave standing. p_want_window: the cached window was not whole.

-- Times leave the database as Unix seconds.
create function unix_seconds(at timestamptz) returns bigint
    language sql immutable parallel safe as $$ select floor(extract(epoch from at))::bigint $$;

-- A conversation at one version, as the cache wants it. The window is the last messages as parallel arrays, oldest
-- first, null where it was not asked for; an id is null where the body carries it. first_seq and last_seq are the
-- positions that bound the window, 0 and 0 when there is no message; read_to is the highest position ever given out.
create type snapshot as (
    deleted boolean, epoch bigint, took_epoch boolean, version bigint,
    first_seq bigint, last_seq bigint, read_to bigint, message_count bigint,
    title text, metadata text, created_at bigint, updated_at bigint, last_message_at bigint,
    window_seqs bigint[], window_ids text[], window_ats bigint[], window_bodies text[]
);

-- STABLE: it sees what the statement that calls it sees.
create function snapshot_of(c conversations, p_took_epoch boolean, p_want_window boolean, p_capacity integer,
    out s snapshot)
    language plpgsql stable as $$
begin
    s.deleted := c.deleted_at is not null;
    s.epoch := c.epoch;
    s.took_epoch := p_took_epoch;
    s.version := c.version;
    s.read_to := c.last_seq;
    s.message_count := c.message_count;
    s.title := c.title;
    s.metadata := c.metadata::text;
    s.created_at := unix_seconds(c.created_at);
    s.updated_at := unix_seconds(c.updated_at);
    s.last_message_at := unix_seconds(c.last_message_at);
    if p_want_window then
        select coalesce(min(seq), 0), coalesce(max(seq), 0),
               coalesce(array_agg(seq order by seq), '{}'),
               coalesce(array_agg(case when not id_in_body then message_id end order by seq), '{}'),
               coalesce(array_agg(unix_seconds(created_at) order by seq), '{}'),
               coalesce(array_agg(body::text order by seq), '{}')
            into s.first_seq, s.last_seq, s.window_seqs, s.window_ids, s.window_ats, s.window_bodies
            from (select seq, message_id, id_in_body, created_at, body from messages
                  where conversation_key = c.key order by seq desc limit p_capacity) newest;
    elsif c.message_count = c.last_seq then
        -- Nothing was ever deleted, so that the bounds follow from the counters.
        s.last_seq := c.last_seq;
        s.first_seq := case when c.last_seq = 0 then 0 else greatest(1, c.last_seq - p_capacity + 1) end;
    else
        select coalesce(min(seq), 0), coalesce(max(seq), 0) into s.first_seq, s.last_seq
            from (select seq from messages where conversation_key = c.key order by seq desc limit p_capacity) newest;
    end if;
end $$;

-- Notes that the cached copy of a conversation may be behind.
create function note_cache_debt(c conversations) returns void
    language sql as $$
    insert into cache_debt (conversation_key, owner_id, conversation_id, version)
        values (c.key, c.owner_id, c.conversation_id, c.version)
        on conflict (conversation_key) do update set version = excluded.version
$$;

-- Adds messages, and the conversation when it is new. Positions have no gaps; all or nothing is stored.
--
--   p_ids, p_ids_in_bodies, p_bodies   parallel; the ids are unique within the call. One that a body carries came from
--                                      the client, so it may have been stored before
--   p_create                           the conversation must be new: refuse one that exists
--
-- outcome: stored | duplicate (all ids were stored before, with these bodies) | conflict (conflict_id was stored with
-- another body) | exists | deleted | refused (epoch is the row's; null: there is no row)
create function add_messages(
    p_owner_id text, p_conversation_id text, p_title text, p_metadata json,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer,
    out outcome text, out row_epoch bigint, out conflict_id text,
    out stored_seqs bigint[], out stored_ats bigint[], out s snapshot)
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
    end if;
    row_epoch := c.epoch;
    if c.deleted_at is not null then
        outcome := 'deleted';
        return;
    end if;
    if p_create and not is_new then
        outcome := 'exists';
        return;
    end if;

    if not is_new and true = any (p_ids_in_bodies) then
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
    if fresh = 0 and cardinality(p_ids) > 0 then
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

    if outcome = 'stored' and fresh = cardinality(p_ids) then
        stored_seqs := array(select generate_series(c.last_seq - fresh + 1, c.last_seq));
        stored_ats := array_fill(unix_seconds(moment), array[fresh::int]);
    else
        select array_agg(m.seq order by given.at), array_agg(unix_seconds(m.created_at) order by given.at)
            into stored_seqs, stored_ats
            from unnest(p_ids) with ordinality as given(id, at)
            join messages m on m.conversation_key = c.key and m.message_id = given.id;
    end if;
    s := snapshot_of(c, take, p_want_window or take or outcome = 'duplicate', p_capacity);
end $$;

-- Changes a conversation's title (if p_set_title) and metadata (if not null).
--
-- outcome: updated | absent | refused
create function update_conversation(
    p_owner_id text, p_conversation_id text, p_set_title boolean, p_title text, p_metadata json,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    c conversations;
    take boolean := not p_fenced or not p_certified;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    row_epoch := c.epoch;
    if not found or c.deleted_at is not null then
        outcome := 'absent';
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
        if not p_fenced then
            perform note_cache_debt(c);
        end if;
        s := snapshot_of(c, take, p_want_window or take, p_capacity);
    end if;
end $$;

-- Deletes one message. What was a fact in every cached copy is one no more, so it always takes an epoch, which voids
-- whatever is in flight, and answers the window.
--
-- outcome: deleted | absent (no such message or conversation) | refused
create function delete_message(
    p_owner_id text, p_conversation_id text, p_message_id text,
    p_fenced boolean, p_epoch bigint, p_capacity integer,
    out outcome text, out row_epoch bigint, out s snapshot)
    language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
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

-- Deletes a conversation: its row stays as a tombstone without content; a few messages go at once, and of a long
-- conversation the rest is purged by the sweep, so that the caller does not wait for them. Nobody can read them
-- meanwhile. Deleting a deleted conversation is no error.
--
-- outcome: deleted | absent | refused
create function delete_conversation(p_owner_id text, p_conversation_id text, p_fenced boolean, p_epoch bigint,
    out outcome text, out row_epoch bigint, out version bigint)
    language plpgsql as $$
#variable_conflict use_column
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
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

-- Removes at most so many messages of a deleted conversation; how many it removed. The last ones take the conversation
-- off the list.
create function purge_messages(p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    removed bigint;
begin
    delete from messages where conversation_key = p_key
        and seq in (select seq from messages where conversation_key = p_key order by seq limit p_limit);
    get diagnostics removed = row_count;
    if removed < p_limit then
        delete from purges where conversation_key = p_key;
    end if;
    return removed;
end $$;

-- Removes at most so many messages of one conversation that waits for it, if nobody else is at it; null: none waits.
create function purge_some(p_limit integer) returns bigint
    language plpgsql as $$
declare
    waiting bigint;
begin
    select conversation_key into waiting from purges order by since limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    return purge_messages(waiting, p_limit);
end $$;

-- A conversation and its last messages, as one snapshot. No row: there is no such conversation.
create function read_window(p_owner_id text, p_conversation_id text, p_capacity integer) returns setof snapshot
    language sql stable as $$
    -- In the FROM clause, so that it is called once and not once a column.
    select s.* from conversations c cross join lateral snapshot_of(c, false, true, p_capacity) s
    where c.owner_id = p_owner_id and c.conversation_id = p_conversation_id
$$;

-- The same, taking the next epoch first: what is read may then be certified, since no commit fenced before can follow.
create function read_window_taking_epoch(p_owner_id text, p_conversation_id text, p_capacity integer)
    returns setof snapshot
    language plpgsql as $$
declare
    c conversations;
begin
    update conversations r set epoch = r.epoch + 1
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id and r.deleted_at is null
        returning * into c;
    if found then
        return next snapshot_of(c, true, true, p_capacity);
    else
        return query select * from read_window(p_owner_id, p_conversation_id, p_capacity);
    end if;
end $$;
