-- The hash that stands for a pair in the index.
create or replace function metadata_pair(p_key text, p_value text) returns bytea
    language sql immutable parallel safe as $$
    select sha256(convert_to(p_key, 'UTF8') || '\x00' || convert_to(p_value, 'UTF8'))
$$;

-- Keeps a conversation's pairs in step with its metadata, whoever changes it.
create or replace function note_metadata_pairs() returns trigger
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

-- A trigger is created once: to create it anew would lock the table.
do $$
begin
    if not exists (select from pg_trigger where tgrelid = 'conversations'::regclass
                   and tgname = 'conversations_metadata_of_new') then
        create trigger conversations_metadata_of_new after insert on conversations
            for each row when (new.metadata::text <> '{}') execute function note_metadata_pairs();
        create trigger conversations_metadata_of_changed after update of metadata on conversations
            for each row when (new.metadata::text <> old.metadata::text) execute function note_metadata_pairs();
    end if;
end $$;
