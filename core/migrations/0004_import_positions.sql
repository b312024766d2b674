-- How far imports have come: everything before `position` of that source is stored. Kept beside what was stored, so that a
-- restored or emptied database never believes that it has more than it has.
create table import_positions (
    source   text        primary key,
    position bigint      not null,
    at       timestamptz not null default now()
);
