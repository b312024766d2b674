-- Requests that bear an Idempotency-Key are done once: what they did is remembered in the transaction that does it, for as
-- long as the conversation is there.

create table idempotency_keys (
    owner_id         text        not null,
    idempotency_key  text        not null,
    conversation_key bigint      not null,
    -- The conversation's last position when the request was done, from 1: a purge goes by positions.
    seq              bigint      not null,
    -- Of all that the request said.
    fingerprint      bytea       not null,
    -- The messages that it added, in order.
    message_ids      text[]      not null,
    created_at       timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (owner_id, idempotency_key)
);
create index idempotency_keys_conversation_key_seq_idx on idempotency_keys (conversation_key, seq);

-- The ids of the messages that a request added when it was done; null: it was not. Called under the lock of the
-- conversation's row, so that of two tries one sees the other.
--
-- A key that stands for another request fails the statement, just as the insert of it does where two requests of different
-- conversations use it at once: whatever the statement wrote is undone.
create function done_under(p_idempotency_key text, p_fingerprint bytea, c conversations) returns text[]
    language plpgsql as $$
declare
    k idempotency_keys;
begin
    select * into k from idempotency_keys r
        where r.owner_id = c.owner_id and r.idempotency_key = p_idempotency_key;
    if found and (k.conversation_key <> c.key or k.fingerprint <> p_fingerprint) then
        raise unique_violation using constraint = 'idempotency_keys_pkey',
            message = 'the idempotency key stands for another request';
    end if;
    return k.message_ids;
end $$;

create function remember_key(p_idempotency_key text, p_fingerprint bytea, p_message_ids text[], c conversations)
    returns void
    language sql as $$
    insert into idempotency_keys (owner_id, idempotency_key, conversation_key, seq, fingerprint, message_ids)
        values (c.owner_id, p_idempotency_key, c.key, greatest(c.last_seq, 1), p_fingerprint, p_message_ids)
$$;

drop function add_messages(text, text, text, json, text[], boolean[], text[], boolean, boolean, bigint, boolean, boolean,
    integer);

-- Adds messages, and the conversation when it is new. Positions have no gaps; all or nothing is stored.
--
--   p_ids, p_ids_in_bodies, p_bodies    parallel; the ids are unique within the call. One that a body carries came from
--                                       the client, so it may have been stored before
--   p_create                            the conversation must be new: refuse one that exists
--   p_idempotency_key, p_fingerprint    null, or what the request is known by when it is tried again
--
-- outcome: stored | duplicate (all of it was stored before) | conflict (conflict_id was stored with another body) |
-- exists | deleted | refused (row_epoch is the row's; null: there is no row)
--
-- stored_ids, stored_seqs and stored_ats tell where the messages are, in the order given. A position is null where the
-- message was deleted since; stored_ids is null where the ids are those given.
create function add_messages(
    p_owner_id text, p_conversation_id text, p_title text, p_metadata json,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean,
    p_idempotency_key text, p_fingerprint bytea,
    p_fenced boolean, p_epoch bigint, p_certified boolean, p_want_window boolean, p_capacity integer,
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

drop function update_conversation(text, text, boolean, text, json, boolean, bigint, boolean, boolean, integer);

-- Changes a conversation's title (if p_set_title) and metadata (if not null).
--
-- outcome: updated | duplicate (it was, under this key) | absent | refused
create function update_conversation(
    p_owner_id text, p_conversation_id text, p_set_title boolean, p_title text, p_metadata json,
    p_idempotency_key text, p_fingerprint bytea,
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

-- Removes the messages at the next so many positions of a deleted conversation, and the idempotency keys of requests that
-- were done there; how many messages there were. The last ones take the conversation off the list.
create or replace function purge_messages(p_key bigint, p_limit integer) returns bigint
    language plpgsql as $$
declare
    until bigint;
    removed bigint;
begin
    update purges set next_seq = next_seq + p_limit where conversation_key = p_key returning next_seq into until;
    delete from idempotency_keys where conversation_key = p_key and seq >= until - p_limit and seq < until;
    delete from messages where conversation_key = p_key and seq >= until - p_limit and seq < until;
    get diagnostics removed = row_count;
    delete from purges p using conversations c
        where p.conversation_key = p_key and c.key = p_key and c.last_seq < until;
    return removed;
end $$;
