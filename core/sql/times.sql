-- Times leave the database as whole seconds since 1970, rounded down.
create or replace function unix_seconds(at timestamptz) returns bigint
    language sql immutable parallel safe as $$ select floor(extract(epoch from at))::bigint $$;

-- Where the order of lists depends on them, times enter and leave as microseconds since 1970.
create or replace function unix_micros(at timestamptz) returns bigint
    language sql immutable parallel safe as $$ select (extract(epoch from at) * 1000000)::bigint $$;
create or replace function from_unix_micros(micros bigint) returns timestamptz
    language sql immutable parallel safe as $$ select timestamptz 'epoch' + micros * interval '1 microsecond' $$;
