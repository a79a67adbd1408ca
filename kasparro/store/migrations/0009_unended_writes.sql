-- min_code: 0.1.0

-- unended_writes: one row is one row of another table that the unfinished end of a file changed: as it was before and as
-- it was left. When the file grows and that end turns out to say something else, it is put back. A record is kept
-- here whether it changed anything or not: it tells whether the end says the same again.
create table unended_writes (
    source text not null,
    slice text not null,
    kind text not null check (kind in ('record', 'listing', 'quote', 'rejection')),
    key text not null,
    before jsonb,
    after jsonb,
    run_id bigint not null,
    primary key (source, slice, kind, key)
);
