-- The fields of a conversation: SQL lists them here and nowhere else, Rust in `conversation.rs`.

-- What callers see of a conversation, as JSON.
create or replace function conversation_json(c conversations) returns text
    language sql stable parallel safe as $$
    select json_build_object(
        'id', c.conversation_id,
        'title', c.title,
        'metadata', c.metadata,
        'message_count', c.message_count,
        'version', c.version,
        'created_at', unix_seconds(c.created_at),
        'updated_at', unix_seconds(c.updated_at),
        'last_message_at', unix_seconds(c.last_message_at),
        'forked_from', c.forked_from,
        'forked_at', c.forked_at,
        'archived', c.archived,
        'expires_after', c.expires_after,
        'expires_at', expires_at(c.updated_at, c.expires_after))::text
$$;

-- Sets what callers may set of a conversation, and returns it. A field that p_fields does not name keeps its value; null
-- clears a title, or the time after which it expires.
create or replace function set_conversation_fields(before conversations, p_fields json) returns conversations
    language plpgsql as $$
declare
    c conversations;
begin
    if p_fields::text = '{}' then
        return before;
    end if;
    update conversations r set
        title = case when p_fields -> 'title' is null then r.title else p_fields ->> 'title' end,
        metadata = coalesce(p_fields -> 'metadata', r.metadata),
        archived = coalesce((p_fields ->> 'archived')::boolean, r.archived),
        expires_after = case when p_fields -> 'expires_after' is null then r.expires_after
            else (p_fields ->> 'expires_after')::integer end
        where r.shard = before.shard and r.key = before.key returning * into c;
    perform index_metadata(c, before.metadata);
    return c;
end $$;

-- Makes rows of conversations tombstones, which have nothing of what callers have set or stored, and returns them.
--
--   p_erased    for readers there never were such conversations
create or replace function make_tombstones(
    p_shard integer, p_owner_id text, p_keys bigint[], p_moment timestamptz, p_erased boolean) returns setof conversations
    language plpgsql as $$
begin
    delete from metadata_pairs p using (
            select r.key, metadata_pair(m.key, m.value) as pair from conversations r cross join lateral json_each_text(r.metadata) m
            where r.shard = p_shard and r.key = any (p_keys)) old
        where p.shard = p_shard and p.owner_id = p_owner_id and p.pair = old.pair and p.conversation_key = old.key;
    return query update conversations r set
        title = null, metadata = '{}', forked_from = null, forked_at = null, archived = false, expires_after = null,
        epoch = r.epoch + 1, version = r.version + 1, message_count = 0, last_message_at = null, cut_after = 0, cut_until = 0,
        updated_at = greatest(p_moment, r.updated_at), deleted_at = p_moment, erased = p_erased
        where r.shard = p_shard and r.key = any (p_keys) returning r.*;
end $$;
