-- Conversations are found by their metadata. The pairs stand in a table of their own, which only a change of metadata
-- touches: an index on the conversations' rows would be written with every message.

create table metadata_pairs (
    owner_id         text   not null,
    -- The hash of key and value, so that the longest of them fit into an index.
    pair             bytea  not null,
    conversation_key bigint not null,
    constraint metadata_pairs_pkey primary key (owner_id, pair, conversation_key)
);

create function metadata_pair(p_key text, p_value text) returns bytea
    language sql immutable parallel safe as $$
    select sha256(convert_to(p_key, 'UTF8') || '\x00' || convert_to(p_value, 'UTF8'))
$$;

-- Keeps a conversation's pairs in step with its metadata, whoever changes it.
create function note_metadata_pairs() returns trigger
    language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from metadata_pairs p using json_each_text(old.metadata) m
            where p.owner_id = old.owner_id and p.conversation_key = old.key
                and p.pair = metadata_pair(m.key, m.value);
    end if;
    insert into metadata_pairs (owner_id, pair, conversation_key)
        select distinct new.owner_id, metadata_pair(m.key, m.value), new.key from json_each_text(new.metadata) m;
    return null;
end $$;

create trigger conversations_metadata_of_new after insert on conversations
    for each row when (new.metadata::text <> '{}') execute function note_metadata_pairs();
create trigger conversations_metadata_of_changed after update of metadata on conversations
    for each row when (new.metadata::text <> old.metadata::text) execute function note_metadata_pairs();

insert into metadata_pairs (owner_id, pair, conversation_key)
    select distinct c.owner_id, metadata_pair(m.key, m.value), c.key
        from conversations c cross join json_each_text(c.metadata) m where c.deleted_at is null;
