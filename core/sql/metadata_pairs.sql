-- The hash that stands for a pair in the index.
create or replace function metadata_pair(p_key text, p_value text) returns bytea
    language sql immutable parallel safe as $$
    select sha256(convert_to(p_key, 'UTF8') || '\x00' || convert_to(p_value, 'UTF8'))
$$;

-- Brings a conversation's pairs in step with its metadata, which was p_before.
create or replace function index_metadata(c conversations, p_before json) returns void
    language plpgsql as $$
begin
    if p_before::text = c.metadata::text then
        return;
    end if;
    if p_before::text <> '{}' then
        delete from metadata_pairs p
            where p.shard = c.shard and p.owner_id = c.owner_id and p.conversation_key = c.key
                and p.pair = any (array(select metadata_pair(m.key, m.value) from json_each_text(p_before) m));
    end if;
    if c.metadata::text <> '{}' then
        insert into metadata_pairs (shard, owner_id, pair, conversation_key)
            select distinct c.shard, c.owner_id, metadata_pair(m.key, m.value), c.key
            from json_each_text(c.metadata) m;
    end if;
end $$;
