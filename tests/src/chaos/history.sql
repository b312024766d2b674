-- Lets Postgres write down what it did, in the order in which it did it: the row lock of a conversation orders its changes,
-- and every change is written down under that lock.

create table history (
    at              bigint generated always as identity primary key,
    conversation    bigint not null,
    -- A message came (with its id) or went.
    seq             bigint,
    message_id      text,
    -- Or a version was made of what came and went before.
    version         bigint,
    conversation_id text,
    title           text,
    gone            boolean,
    -- What was cut off is gone from this version on, whenever its rows are removed.
    cut_after       bigint,
    cut_until       bigint,
    forked_from     text,
    forked_at       bigint,
    has_intent      boolean
);

create function write_down_message() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into history (conversation, seq, message_id) values (new.conversation_key, new.seq, new.message_id);
    else
        insert into history (conversation, seq) values (old.conversation_key, old.seq);
    end if;
    return null;
end $$;
create trigger history after insert or delete on messages for each row execute function write_down_message();

create function write_down_version() returns trigger language plpgsql as $$
begin
    insert into history (conversation, version, conversation_id, title, gone, cut_after, cut_until, forked_from, forked_at, has_intent)
        values (new.key, new.version, new.conversation_id, new.title, new.deleted_at is not null,
                new.cut_after, new.cut_until, new.forked_from, new.forked_at,
                current_setting('history.has_intent')::boolean);
    return null;
end $$;
-- What another owner has is read as it is, and needs no history.
create trigger history after update on conversations for each row
    when (old.version is distinct from new.version and new.owner_id = 'local') execute function write_down_version();

-- Whether a write intent stood, only the caller of a commit says, so every operation is called through one that passes it on.
do $do$
declare
    f record;
begin
    for f in
        select p.oid::regprocedure as signature, p.proname as name, pg_get_function_arguments(p.oid) as arguments,
               string_agg(a.name, ', ' order by a.at) filter (where a.mode = 'i') as given,
               string_agg(format('%1$I := r.%1$I;', a.name), ' ') filter (where a.mode = 'o') as answered
        from pg_proc p, unnest(p.proargnames, p.proargmodes) with ordinality as a(name, mode, at)
        where p.proname in ('add_messages', 'update_conversation', 'delete_message', 'delete_conversation', 'replace_messages')
        group by p.oid
    loop
        execute format('alter function %s rename to %I', f.signature, f.name || '_itself');
        execute format('create function %I(%s) language plpgsql as %L', f.name, f.arguments, format(
            'declare r record; begin
                perform set_config(''history.has_intent'', p_has_intent::text, true);
                select * into r from %I(%s);
                %s
            end', f.name || '_itself', f.given, f.answered));
    end loop;
end $do$;

-- Ends are short here: more than two messages are left to the sweep.
do $do$
begin
    execute replace(pg_get_functiondef('cut_messages'::regproc), 'p_count <= 1000', 'p_count <= 2');
end $do$;
