-- The operations that must be one round trip and one transaction. In READ COMMITTED a statement's snapshot is taken
-- before it waits for a row lock, so each function here locks first and looks in later statements.

-- Times leave the database as Unix seconds.
create function unix_seconds(at timestamptz) returns bigint
    language sql immutable parallel safe as $$ select floor(extract(epoch from at))::bigint $$;

-- The last `capacity` messages of a conversation as parallel arrays, oldest first, and the positions they span
-- (0 and 0 when there are none). An id is null where the body carries it. STABLE: it sees what the statement that calls it sees.
create function window_of(p_key bigint, p_capacity integer,
    out first_seq bigint, out last_seq bigint,
    out seqs bigint[], out ids text[], out created_ats bigint[], out bodies text[])
    language sql stable as $$
    select coalesce(min(seq), 0), coalesce(max(seq), 0),
           coalesce(array_agg(seq order by seq), '{}'),
           coalesce(array_agg(case when not id_in_body then message_id end order by seq), '{}'),
           coalesce(array_agg(unix_seconds(created_at) order by seq), '{}'),
           coalesce(array_agg(body::text order by seq), '{}')
    from (select seq, message_id, id_in_body, created_at, body from messages
          where conversation_key = p_key order by seq desc limit p_capacity) newest
$$;

-- The positions of the first and the last message of that window alone. While nothing was ever deleted they follow
-- from the counters, without a look at the messages.
create function window_bounds(p_key bigint, p_last_seq bigint, p_message_count bigint, p_capacity integer,
    out first_seq bigint, out last_seq bigint)
    language plpgsql stable as $$
begin
    if p_message_count = p_last_seq then
        last_seq := p_last_seq;
        first_seq := case when p_last_seq = 0 then 0 else greatest(1, p_last_seq - p_capacity + 1) end;
    else
        select coalesce(min(seq), 0), coalesce(max(seq), 0) into first_seq, last_seq
        from (select seq from messages where conversation_key = p_key order by seq desc limit p_capacity) newest;
    end if;
end $$;

-- Adds messages, and the conversation when it is new. Positions have no gaps; all or nothing is stored.
--
--   p_ids, p_ids_in_bodies, p_bodies   parallel; the ids are unique within the call. One that a body carries came from
--                             the client, so it may have been stored before
--   p_create                  the conversation must be new: refuse one that exists
--   p_fenced, p_epoch         a fence was set under p_epoch (null: the cache knew none, so the row must not exist yet);
--                             not fenced: take an epoch and note the debt
--   p_certified               the cache held a certificate, which this commit leaves standing
--   p_want_window             the cached window was not complete: answer it
--
-- outcome: stored | duplicate (all ids were stored before, with these bodies) | conflict (conflict_id was stored with
-- another body) | exists | deleted | refused (epoch is the row's; null: there is no row)
create function add_messages(
    p_owner_id text, p_conversation_id text, p_title text, p_metadata json,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer,
    out outcome text, out epoch bigint, out took_epoch boolean, out conflict_id text,
    out stored_seqs bigint[], out stored_ats bigint[],
    out version bigint, out first_seq bigint, out last_seq bigint, out message_count bigint,
    out title text, out metadata text, out created_at bigint, out updated_at bigint, out last_message_at bigint,
    out window_seqs bigint[], out window_ids text[], out window_ats bigint[], out window_bodies text[])
    language plpgsql as $$
#variable_conflict use_column
declare
    c conversations;
    is_new boolean := false;
    moment timestamptz;
    fresh_ids text[] := p_ids;
    fresh_ids_in_bodies boolean[] := p_ids_in_bodies;
    fresh_bodies text[] := p_bodies;
    fresh_count bigint;
begin
    took_epoch := false;
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
    epoch := c.epoch;
    version := c.version;
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
    fresh_count := cardinality(fresh_ids);

    if fresh_count = 0 and cardinality(p_ids) > 0 then
        outcome := 'duplicate';
    elsif p_fenced and not is_new and p_epoch is distinct from c.epoch then
        outcome := 'refused';
        return;
    else
        outcome := 'stored';
        -- The clock may step back; a conversation's times do not.
        moment := greatest(clock_timestamp(), c.updated_at);
        took_epoch := is_new or not p_fenced or not p_certified;
        insert into messages (conversation_key, seq, message_id, id_in_body, body, created_at)
            select c.key, c.last_seq + given.at, given.id, given.id_in_body, given.body::json, moment
            from unnest(fresh_ids, fresh_ids_in_bodies, fresh_bodies)
                with ordinality as given(id, id_in_body, body, at);
        update conversations r set
            epoch = r.epoch + took_epoch::int,
            version = r.version + 1,
            last_seq = r.last_seq + fresh_count,
            message_count = r.message_count + fresh_count,
            updated_at = moment,
            last_message_at = case when fresh_count > 0 then moment else r.last_message_at end
            where r.key = c.key returning * into c;
        if not p_fenced then
            perform note_cache_debt(c);
        end if;
    end if;

    if outcome = 'stored' and fresh_count = cardinality(p_ids) then
        stored_seqs := array(select generate_series(c.last_seq - fresh_count + 1, c.last_seq));
        stored_ats := array_fill(unix_seconds(moment), array[fresh_count::int]);
    else
        select array_agg(m.seq order by given.at), array_agg(unix_seconds(m.created_at) order by given.at)
            into stored_seqs, stored_ats
            from unnest(p_ids) with ordinality as given(id, at)
            join messages m on m.conversation_key = c.key and m.message_id = given.id;
    end if;

    epoch := c.epoch;
    version := c.version;
    message_count := c.message_count;
    title := c.title;
    metadata := c.metadata::text;
    created_at := unix_seconds(c.created_at);
    updated_at := unix_seconds(c.updated_at);
    last_message_at := unix_seconds(c.last_message_at);
    if p_want_window or took_epoch or outcome = 'duplicate' then
        select w.first_seq, w.last_seq, w.seqs, w.ids, w.created_ats, w.bodies
            into first_seq, last_seq, window_seqs, window_ids, window_ats, window_bodies
            from window_of(c.key, p_capacity) w;
    else
        select b.first_seq, b.last_seq into first_seq, last_seq
            from window_bounds(c.key, c.last_seq, c.message_count, p_capacity) b;
    end if;
end $$;

-- Notes that the cached copy of a conversation may be behind.
create function note_cache_debt(c conversations) returns void
    language sql as $$
    insert into cache_debt (conversation_key, owner_id, conversation_id, version)
        values (c.key, c.owner_id, c.conversation_id, c.version)
        on conflict (conversation_key) do update set version = excluded.version
$$;

-- Deletes a conversation: the messages go, the row stays as a tombstone without content. The debt it notes is settled
-- by the caller once the cache is cleared, or else by the sweep. Deleting a deleted conversation is no error. p_fenced and
-- p_epoch are as for add_messages.
--
-- outcome: deleted | absent | refused
create function delete_conversation(p_owner_id text, p_conversation_id text, p_fenced boolean, p_epoch bigint,
    out outcome text, out epoch bigint, out version bigint)
    language plpgsql as $$
#variable_conflict use_column
declare
    c conversations;
begin
    select * into c from conversations r
        where r.owner_id = p_owner_id and r.conversation_id = p_conversation_id for no key update;
    epoch := c.epoch;
    version := c.version;
    if not found then
        outcome := 'absent';
    elsif c.deleted_at is not null then
        outcome := 'deleted';
    elsif p_fenced and p_epoch is distinct from c.epoch then
        outcome := 'refused';
    else
        delete from messages m where m.conversation_key = c.key;
        update conversations r set
            epoch = r.epoch + 1, version = r.version + 1, message_count = 0, title = null, metadata = '{}',
            last_message_at = null, updated_at = greatest(clock_timestamp(), r.updated_at), deleted_at = clock_timestamp()
            where r.key = c.key returning * into c;
        perform note_cache_debt(c);
        outcome := 'deleted';
        epoch := c.epoch;
        version := c.version;
    end if;
end $$;

-- A conversation and its last messages, as one snapshot. No row: there is no such conversation.
create function read_window(p_owner_id text, p_conversation_id text, p_capacity integer)
    returns table (
        deleted boolean, epoch bigint, took_epoch boolean,
        version bigint, first_seq bigint, last_seq bigint, message_count bigint,
        title text, metadata text, created_at bigint, updated_at bigint, last_message_at bigint,
        window_seqs bigint[], window_ids text[], window_ats bigint[], window_bodies text[])
    language sql stable as $$
    select c.deleted_at is not null, c.epoch, false,
           c.version, w.first_seq, w.last_seq, c.message_count,
           c.title, c.metadata::text, unix_seconds(c.created_at), unix_seconds(c.updated_at),
           unix_seconds(c.last_message_at), w.seqs, w.ids, w.created_ats, w.bodies
    from conversations c, window_of(c.key, p_capacity) w
    where c.owner_id = p_owner_id and c.conversation_id = p_conversation_id
$$;

-- The same, taking the next epoch first: what is read may then be certified, since no commit fenced before can follow.
create function read_window_taking_epoch(p_owner_id text, p_conversation_id text, p_capacity integer)
    returns table (
        deleted boolean, epoch bigint, took_epoch boolean,
        version bigint, first_seq bigint, last_seq bigint, message_count bigint,
        title text, metadata text, created_at bigint, updated_at bigint, last_message_at bigint,
        window_seqs bigint[], window_ids text[], window_ats bigint[], window_bodies text[])
    language plpgsql as $$
#variable_conflict use_column
declare
    taken boolean;
begin
    update conversations c set epoch = c.epoch + 1
        where c.owner_id = p_owner_id and c.conversation_id = p_conversation_id and c.deleted_at is null;
    taken := found;
    return query
        select r.deleted, r.epoch, taken, r.version, r.first_seq, r.last_seq, r.message_count, r.title, r.metadata,
               r.created_at, r.updated_at, r.last_message_at, r.window_seqs, r.window_ids, r.window_ats, r.window_bodies
        from read_window(p_owner_id, p_conversation_id, p_capacity) r;
end $$;
