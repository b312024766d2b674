-- When a conversation expires that last changed at that moment, in Unix seconds: after its own time or that of the deployment,
-- whichever is shorter. Null: never.
create or replace function expires_at(p_updated_at timestamptz, p_expires_after integer) returns bigint
    language plpgsql stable as $$
begin
    return unix_seconds(p_updated_at) + least(p_expires_after, (select seconds from retention));
end $$;

-- Whether it has expired by now. Then it is gone for whoever reads or writes, and the sweep deletes it.
create or replace function has_expired(p_updated_at timestamptz, p_expires_after integer) returns boolean
    language plpgsql stable as $$
begin
    return coalesce(expires_at(p_updated_at, p_expires_after) <= unix_seconds(clock_timestamp()), false);
end $$;

-- Sets after how many seconds any conversation of the deployment expires; null: none does but by itself.
create or replace function set_retention(p_seconds bigint) returns void
    language plpgsql as $$
begin
    update retention set seconds = p_seconds where seconds is distinct from p_seconds;
end $$;
