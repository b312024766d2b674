-- What tells this database from the one that it is a copy of: a restored one has another timeline, an imported one another
-- identifier. Where the server does not say it, the deployment's settings have to.
create or replace function database_identity() returns text
    language plpgsql stable as $$
begin
    return (select system_identifier from pg_control_system()) || '/'
        || (select timeline_id from pg_control_checkpoint());
exception when insufficient_privilege or feature_not_supported or undefined_function then
    return '';
end $$;

-- The generation of a cache: the present one if that was made for it, otherwise one that no cache ever had.
create or replace function propose_cache_generation(p_settings text) returns text
    language plpgsql as $$
declare
    g cache_generation;
    wanted text := p_settings || ' ' || database_identity();
    token text := substr(md5(wanted || clock_timestamp() || random()), 1, 8);
begin
    select * into g from cache_generation for no key update;
    if g.made_for = wanted then
        return g.generation;
    end if;
    if g.proposed_made_for is distinct from wanted then
        update cache_generation set proposed_made_for = wanted,
            proposed = (g.moves + 1) || '-' || token
            returning * into g;
    end if;
    -- Where there is nothing yet, nobody has cached anything.
    if g.moves = 0 and not exists (select 1 from conversations) then
        perform move_cache_generation(g.proposed);
    end if;
    return g.proposed;
end $$;

-- Makes a generation that was proposed the present one.
create or replace function move_cache_generation(p_generation text) returns void
    language plpgsql as $$
begin
    update cache_generation set generation = proposed, made_for = proposed_made_for, proposed = null,
        proposed_made_for = null, moves = moves + 1
        where proposed = p_generation;
    if not found and p_generation is distinct from (select generation from cache_generation) then
        raise exception 'the cache generation % was not proposed, or has been left: deploy again', p_generation;
    end if;
end $$;
