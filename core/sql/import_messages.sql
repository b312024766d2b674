-- Stores a part of an exported conversation: messages at the positions that they had, and with the first part the
-- conversation itself. Parts that come again store nothing twice.
--
--   p_fields .. p_forked_at  the conversation; a new row takes its fields and version over, and so does any row with
--                                  the last part if it has a lower version
--   p_seqs .. p_ats                parallel: the messages, ascending
--   p_last                         this part is the last one
--
-- Positions up to p_last_seq are taken at once, so that what is added meanwhile comes after them. As this may change
-- what is in the middle of a cached window, it always takes an epoch, like a deletion of a message; who calls it drops
-- the cached copy after it.
--
-- outcome: stored | duplicate (all of it is stored) | conflict (conflict_id: it or its position was stored with
-- something else) | deleted (or it has expired) | cut (messages that were cut off are being removed: try again) | refused (row_epoch is the row's; null: there is no row)
create or replace function import_messages(
    p_shard integer, p_owner_id text, p_conversation_id text, p_fields json, p_version bigint, p_last_seq bigint,
    p_created_at bigint, p_updated_at bigint, p_last_message_at bigint, p_forked_from text, p_forked_at bigint,
    p_seqs bigint[], p_ids text[], p_ids_in_bodies boolean[], p_bodies text[], p_ats bigint[], p_last boolean,
    p_has_intent boolean, p_epoch bigint, p_generation text,
    out outcome text, out row_epoch bigint, out conflict_id text, out stored bigint, out row_version bigint)
    language plpgsql as $$
declare
    c conversations;
    is_new boolean := false;
begin
    stored := 0;
    c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
    if c.key is null then
        if p_has_intent and p_epoch is not null then
            outcome := 'refused';
            return;
        end if;
        -- One that would have expired here is as good as deleted.
        if has_expired(from_unix_micros(p_updated_at), (p_fields->>'expires_after')::integer) then
            outcome := 'deleted';
            return;
        end if;
        insert into conversations (shard, owner_id, conversation_id, created_at, updated_at, forked_from, forked_at)
            values (p_shard, p_owner_id, p_conversation_id, from_unix_micros(p_created_at), from_unix_micros(p_updated_at),
                p_forked_from, p_forked_at)
            on conflict do nothing;
        is_new := found;
        c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
        if is_new then
            perform refuse_erased(p_shard, p_owner_id, p_conversation_id);
            c := set_conversation_fields(c, p_fields);
        end if;
    end if;
    row_epoch := c.epoch;
    row_version := c.version;
    if c.deleted_at is not null then
        outcome := 'deleted';
        return;
    end if;

    if c.cut_until > 0 then
        -- What is brought back must not lie among what is still to be removed.
        perform purge_messages(p_shard, c.key, 20000);
        c := lock_conversation(p_shard, p_owner_id, p_conversation_id, p_generation);
        if c.cut_until > 0 then
            outcome := 'cut';
            return;
        end if;
    end if;

    if not is_new then
        -- A duplicate is found before the epoch is compared: it writes nothing that a reader could miss.
        if (not p_last or c.version >= p_version) and not exists (
            select from unnest(p_seqs, p_ids, p_bodies) as given(seq, id, body)
            where not exists (select from messages m where m.shard = p_shard and m.conversation_key = c.key
                              and m.seq = given.seq and m.message_id = given.id and m.body::text = given.body)) then
            outcome := 'duplicate';
            return;
        end if;
        if p_has_intent and p_epoch is distinct from c.epoch then
            outcome := 'refused';
            return;
        end if;
    end if;

    -- Under the row's lock nobody else adds messages here: what is not there now is free. Counted before, and not by how many
    -- rows an insert stored that leaves out what conflicts: a distributed engine counts those, too.
    select given.id into conflict_id from unnest(p_ids) as given(id) group by given.id having count(*) > 1 limit 1;
    if not found and not is_new then
        select given.id into conflict_id from unnest(p_seqs, p_ids, p_bodies) as given(seq, id, body)
            where exists (select from messages m where m.shard = p_shard and m.conversation_key = c.key
                          and m.seq = given.seq and (m.message_id <> given.id or m.body::text <> given.body))
                or exists (select from messages m where m.shard = p_shard and m.conversation_key = c.key
                           and m.message_id = given.id and m.seq <> given.seq)
            limit 1;
    end if;
    if conflict_id is not null then
        outcome := 'conflict';
        return;
    end if;
    select count(*) into stored from unnest(p_seqs) as given(seq)
        where not exists (select from messages m where m.shard = p_shard and m.conversation_key = c.key
                          and m.seq = given.seq);
    insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
        select p_shard, c.key, given.seq, given.id, given.id_in_body, given.body::json, from_unix_micros(given.at)
        from unnest(p_seqs, p_ids, p_ids_in_bodies, p_bodies, p_ats) as given(seq, id, id_in_body, body, at)
        where not exists (select from messages m where m.shard = p_shard and m.conversation_key = c.key
                          and m.seq = given.seq);

    -- Whoever imports a message that was deleted here wants it back.
    if not is_new then
        delete from deleted_messages d
            where d.shard = p_shard and d.conversation_key = c.key and (d.message_id = any (p_ids) or d.seq = any (p_seqs));
    end if;

    outcome := 'stored';
    if p_last and c.version < p_version then
        c := set_conversation_fields(c, p_fields);
    end if;
    update conversations r set
        epoch = r.epoch + 1,
        version = case when p_last then greatest(r.version + 1, p_version) else r.version + 1 end,
        last_seq = greatest(r.last_seq, p_last_seq),
        message_count = r.message_count + stored,
        updated_at = greatest(r.updated_at, from_unix_micros(p_updated_at)),
        last_message_at = greatest(r.last_message_at, from_unix_micros(p_last_message_at))
        where r.shard = p_shard and r.key = c.key returning * into c;
    row_version := c.version;
    if not p_has_intent then
        perform defer_invalidation(c);
    end if;
end $$;
