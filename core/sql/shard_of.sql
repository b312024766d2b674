-- The shard of an owner: the first twelve bits of sha256, from the first two bytes. The programs compute the same and pass it
-- to every statement; here it is for operators. Rows are stored under it, so that it can never change.
create or replace function shard_of(p_owner_id text) returns integer
    language sql immutable strict parallel safe as $$
    select (get_byte(h, 0) * 256 + get_byte(h, 1)) & 4095 from sha256(convert_to(p_owner_id, 'UTF8')) h
$$;
