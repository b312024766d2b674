-- Stores exported records as they were. One that is there with the same revision or a later one stays.
--
-- outcome: stored | conflict (conflict_key is there with the same revision and another value) | deleted (the conversation was) | absent (it is not there)
--
--   p_last_revision    the last one that was given to any record there
create or replace function import_records(
    p_shard integer, p_owner_id text, p_conversation_id text, p_last_revision bigint,
    p_keys text[], p_values bytea[], p_types text[], p_revisions bigint[], p_ats bigint[],
    out outcome text, out conflict_key text, out stored bigint)
    language plpgsql as $$
declare
    c conversations;
begin
    c := lock_record_scope(p_shard, p_owner_id, p_conversation_id, p_conversation_id is null);
    stored := 0;
    -- What was erased does not come back.
    if p_conversation_id is null and exists (select from owners o
            where o.shard = p_shard and o.owner_id = p_owner_id and o.erased_revision >= any (p_revisions)) then
        c.deleted_at := clock_timestamp();
    end if;
    if c.key is null or c.deleted_at is not null then
        outcome := case when c.deleted_at is null then 'absent' else 'deleted' end;
        return;
    end if;
    select given.key into conflict_key
        from unnest(p_keys, p_values, p_types, p_revisions) as given(key, value, type, revision)
            cross join lateral (
                select * from records m where m.shard = p_shard and m.scope_key = c.key and m.key = given.key offset 0) r
        where r.revision = given.revision and (r.value <> given.value or r.content_type is distinct from given.type) limit 1;
    if found then
        outcome := 'conflict';
        return;
    end if;
    outcome := 'stored';
    select count(*) into stored
        from unnest(p_keys, p_revisions) as given(key, revision)
            left join lateral (
                select * from records m where m.shard = p_shard and m.scope_key = c.key and m.key = given.key offset 0) r on true
        where r.key is null or r.revision < given.revision;
    insert into records as r (scope_key, revision, updated_at, shard, key, content_type, value)
        select c.key, given.revision, from_unix_micros(given.at), p_shard, given.key, given.type, given.value
        from unnest(p_keys, p_values, p_types, p_revisions, p_ats) as given(key, value, type, revision, at)
        on conflict (scope_key, key, shard) do update set
            revision = excluded.revision, updated_at = excluded.updated_at,
            content_type = excluded.content_type, value = excluded.value
        where r.revision < excluded.revision;
    if c.key < 0 then
        update owners o set record_revision = greatest(o.record_revision, p_last_revision)
            where o.shard = p_shard and o.key = -c.key;
    else
        update conversations o set record_revision = greatest(o.record_revision, p_last_revision)
            where o.shard = p_shard and o.key = c.key;
    end if;
end $$;
