-- The generation of the cache. Two caches may live at once, while code that uses another one is being rolled out: old code
-- places its write intents in the old cache alone, and new code would read the new one alone. So nobody validates an entry
-- in a cache of another generation than this one, and a commit of another generation is refused. The deployment moves it
-- when old code is gone. A generation is never used again: entries validated in it may still exist.
create table cache_generation (
    -- There is one row.
    is_only           boolean primary key default true check (is_only),
    generation        text    not null default '',
    -- What it was made for: settings that tell one cache from another, and the database.
    made_for          text    not null default '',
    -- The one that comes next, while a deployment is under way.
    proposed          text,
    proposed_made_for text,
    moves             bigint  not null default 0
);
insert into cache_generation default values;
