-- Adds messages, and the conversation when it is new. Positions have no gaps; all or nothing is stored.
--
--   p_shard                             shard_of(p_owner_id), as in every function that begins with it
--   p_ids, p_ids_in_bodies, p_bodies    parallel; the ids are unique within the call. One that a body carries came from
--                                       the client, so it may have been stored before
--   p_create                            the conversation must be new: refuse one that exists
--   p_fork_of, p_fork_at, p_fork_records    null, or what a new conversation begins as a copy of: fork_conversation says more
--   p_existing                          the conversation must exist: create none
--   p_if_version                        the version that it must be at, 0: it must not be there; null: any
--   p_idempotency_key, p_fingerprint    null, or what identifies the request when it is tried again
--
-- outcome: stored | duplicate (all of it was stored before) | conflict (stored_ids were stored with other texts, stored_bodies:
-- the caller looks whether they are of the same value) | message_deleted (stored_ids were stored, and deleted) |
-- exists | absent | version_mismatch | deleted | refused (row_epoch is the row's; null: there is no row)
--
-- Of a conversation that exists or is at another version, s has the version alone.
--
--   p_has_intent    a write intent stands in the cache under p_epoch (null: the cache knew none, so that the row must not
--                   exist yet); otherwise the commit takes an epoch and defers the invalidation
--   p_is_valid      the cached entry is valid, and the commit may leave it so
--   p_want_window   the cached window is not whole
--
-- stored_ids, stored_seqs and stored_ats say where the messages are, in the order given. A position is null where the
-- message was deleted since; stored_ids and stored_bodies are null where ids and bodies are those given.
create or replace function add_messages(
    p_shard integer, p_owner_id text, p_conversation_id text, p_fields json, p_fork_of text, p_fork_at bigint, p_fork_records text,
    p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_create boolean, p_existing boolean, p_if_version bigint,
    p_idempotency_key text, p_fingerprint bytea,
    p_has_intent boolean, p_epoch bigint, p_is_valid boolean, p_want_window boolean, p_capacity integer, p_generation text,
    out outcome text, out row_epoch bigint,
    out stored_ids text[], out stored_seqs bigint[], out stored_ats bigint[], out stored_bodies text[], out s snapshot)
    language plpgsql as $$
declare
    c conversations;
    is_new boolean := false;
    take boolean := false;
    moment timestamptz := clock_timestamp();
    fresh_ids text[] := p_ids;
    fresh_ids_in_bodies boolean[] := p_ids_in_bodies;
    fresh_bodies text[] := p_bodies;
    fresh bigint;
begin
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    if c.key is null then
        if p_existing or p_if_version > 0 then
            outcome := 'absent';
            return;
        end if;
        if p_has_intent and p_epoch is not null then
            outcome := 'refused';
            return;
        end if;
        insert into conversations (shard, owner_id, conversation_id, created_at, updated_at)
            values (p_shard, p_owner_id, p_conversation_id, moment, moment) on conflict do nothing;
        is_new := found;
        c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
        if is_new then
            perform refuse_erased(p_shard, p_owner_id, p_conversation_id);
            if p_fork_of is not null then
                c := fork_conversation(c, p_fork_of, p_fork_at, p_ids, p_fork_records);
            end if;
            c := set_conversation_fields(c, p_fields);
        end if;
    end if;
    row_epoch := c.epoch;
    if c.deleted_at is not null then
        outcome := 'deleted';
        return;
    end if;
    if p_idempotency_key is not null then
        stored_ids := message_ids_under_key(p_idempotency_key, p_fingerprint, c);
    end if;
    if stored_ids is null and p_create and not is_new then
        outcome := 'exists';
        s.version := c.version;
        return;
    end if;

    if stored_ids is not null then
        fresh_ids := '{}';
    elsif not is_new and true = any (p_ids_in_bodies) then
        stored_ids := deleted_message_ids(c, p_ids);
        if stored_ids is not null then
            outcome := 'message_deleted';
            return;
        end if;
        select array_agg(m.message_id), array_agg(m.body::text) into stored_ids, stored_bodies
            from unnest(p_ids, p_bodies) as given(id, body)
            join messages m on m.shard = p_shard and m.conversation_key = c.key and m.message_id = given.id
            where m.body::text <> given.body;
        if stored_ids is not null then
            outcome := 'conflict';
            return;
        end if;
        select coalesce(array_agg(given.id order by given.at), '{}'),
               coalesce(array_agg(given.id_in_body order by given.at), '{}'),
               coalesce(array_agg(given.body order by given.at), '{}')
            into fresh_ids, fresh_ids_in_bodies, fresh_bodies
            from unnest(p_ids, p_ids_in_bodies, p_bodies) with ordinality as given(id, id_in_body, body, at)
            where not exists (select 1 from messages m
                              where m.shard = p_shard and m.conversation_key = c.key and m.message_id = given.id);
    end if;
    fresh := cardinality(fresh_ids);

    -- A duplicate is found before the epoch is compared: it writes nothing that a reader could miss.
    if stored_ids is not null or (fresh = 0 and cardinality(p_ids) > 0) then
        outcome := 'duplicate';
    elsif p_if_version <> c.version then
        outcome := 'version_mismatch';
        s.version := c.version;
        return;
    elsif p_has_intent and not is_new and p_epoch is distinct from c.epoch then
        outcome := 'refused';
        return;
    else
        outcome := 'stored';
        -- The clock may step back; a conversation's times do not.
        moment := greatest(clock_timestamp(), c.updated_at);
        take := is_new or not p_has_intent or not p_is_valid;
        insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
            select p_shard, c.key, c.last_seq + given.at, given.id, given.id_in_body, given.body::json, moment
            from unnest(fresh_ids, fresh_ids_in_bodies, fresh_bodies)
                with ordinality as given(id, id_in_body, body, at);
        update conversations r set
            epoch = r.epoch + take::int,
            version = r.version + 1,
            last_seq = r.last_seq + fresh,
            message_count = r.message_count + fresh,
            updated_at = moment,
            last_message_at = case when fresh > 0 then moment else r.last_message_at end
            where r.shard = p_shard and r.key = c.key returning * into c;
        if not p_has_intent then
            perform defer_invalidation(c);
        end if;
    end if;
    -- Under this key, a request that found all of its messages stored by another one is done, too.
    if p_idempotency_key is not null and stored_ids is null then
        perform store_idempotency_key(p_idempotency_key, p_fingerprint, p_ids, 0, c);
    end if;

    if outcome = 'stored' and fresh = cardinality(p_ids) then
        -- As a rule it is one message, for which there is no query: others wait for the lock.
        if fresh = 1 then
            stored_seqs := array[c.last_seq];
        else
            stored_seqs := array(select generate_series(c.last_seq - fresh + 1, c.last_seq));
        end if;
        stored_ats := array_fill(unix_seconds(moment), array[fresh::int]);
    else
        select seqs, ats, case when stored_ids is not null then bodies end into stored_seqs, stored_ats, stored_bodies
            from stored_messages(c, coalesce(stored_ids, p_ids));
    end if;
    s := snapshot_of(c, take, p_want_window or take or outcome = 'duplicate', p_capacity);
end $$;
