-- Ids are compared and ordered by their bytes, whatever the database's collation: that is faster, and pages of an export, which go by
-- ids, come in the order of the whole one.
alter table conversations
    alter column owner_id type text collate "C",
    alter column conversation_id type text collate "C",
    add column archived boolean not null default false,
    -- After how many seconds without a change it expires; null: it does not, by itself.
    add column expires_after integer;
alter table metadata_pairs alter column owner_id type text collate "C";

-- Lists are of those that are archived, or of the others.
drop index conversations_owner_id_updated_at_idx;
create index conversations_owner_id_archived_updated_at_idx
    on conversations (owner_id, archived, updated_at, conversation_id, shard) where deleted_at is null;

-- Those that expire by themselves, by when they do.
create index conversations_expiry_idx on conversations ((floor(extract(epoch from updated_at at time zone 'UTC'))::bigint + expires_after))
    where expires_after is not null and deleted_at is null;

-- After how many seconds without a change any conversation of this deployment expires; null: none does, but by itself. Whoever
-- migrates sets it.
create table retention (
    -- There is one row.
    is_only boolean primary key default true check (is_only),
    seconds bigint
);
insert into retention default values;

-- What is to be purged because its owner's data are erased says so; then the conversation's row goes, too.
alter table purges
    add column erasure text,
    -- Whether nothing of an erased conversation is left but its row and this one: they stay until nobody who began before can
    -- write into the cache any more.
    add column is_purged boolean not null default false;
create index purges_erasure_idx on purges (erasure) where erasure is not null;

-- Receipts: which owner's data were erased, when, by whom, and how much that was. They have nothing of what was erased, and stay.
create table erasures (
    id            text        not null,
    shard         integer     not null,
    -- The first 64 bits of sha256 of the owner's id, as it is in logs.
    owner_hash    text        not null,
    requested_by  text        not null,
    -- What was created up to then is erased.
    requested_at  timestamptz not null,
    -- Since when nobody can read any of it; null: some is not hidden yet.
    hidden_at     timestamptz,
    -- Since when none of it is left in a table or in the cache.
    completed_at  timestamptz,
    -- Conversations, those deleted before included, and what was removed of them so far.
    conversations bigint      not null default 0,
    messages      bigint      not null default 0,
    records       bigint      not null default 0,
    primary key (id, shard)
);
create index erasures_owner_hash_idx on erasures (owner_hash, requested_at);

-- Ids of conversations that were erased, as hashes: late retries create none of them again.
create table erased_ids (
    id_hash bytea   not null,
    shard   integer not null,
    primary key (id_hash, shard)
);

alter table owners
    -- The erasure that is hiding what the owner has; null: none is.
    add column erasing text,
    -- Records of the owner's own up to this revision were erased: an import brings none of them back.
    add column erased_revision bigint not null default 0;
create index owners_erasing_idx on owners (erasing) where erasing is not null;

-- Requests are known by hashes of their keys, and what they deleted by its place in the request: nothing here is content.
alter table idempotency_keys
    drop column deleted_records,
    add column deleted_places integer[];
