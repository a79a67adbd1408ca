-- min_code: 0.1.0

-- file_versions: one row is one version of a file that was read, from its top on; the newest of a slice is the one at hand.
-- Rows contradict each other only within one.
create table file_versions (
    id integer generated always as identity primary key,
    source text not null,
    slice text not null,
    began_at timestamptz not null default now()
);
create index file_versions_by_slice on file_versions (source, slice, id);

-- The version that a quote is of, null for one of an API; of what was read before, each file has one.
alter table quotes add column file_version integer;
create temporary table of_files on commit drop as
select q.listing_id, q.observed_at, l.source, coalesce(q.file, r.slice) as slice
from quotes q
join listings l on l.id = q.listing_id
left join raw_records r on r.source = l.source and r.content_hash = q.content_hash
where q.file is not null
or (r.slice <> '' and not starts_with(r.slice, 'backfill:'));
insert into file_versions (source, slice)
select distinct source, slice
from of_files
union
select distinct source, slice
from rejections
where code = 'ambiguous_key'
order by source, slice;
update quotes q
set file_version = v.id
from of_files f
join file_versions v on v.source = f.source and v.slice = f.slice
where q.listing_id = f.listing_id
and q.observed_at = f.observed_at;
alter table quotes drop column file;

-- also_said: one row is what a record of a file says of a key, where the quote of that key is not its own: it shows another
-- file's, or another record of the same file that says the same; or the file contradicts itself there. When the
-- quote is taken away, the one that was said last takes its place.
create table also_said (
    source text not null,
    slice text not null,
    listing_id bigint not null references listings (id),
    observed_at timestamptz not null,
    content_hash uuid not null,
    file_version integer not null,
    contradicted boolean not null default false,
    price_usd numeric,
    market_cap_usd numeric,
    volume_24h_usd numeric,
    change_24h_pct numeric,
    rank integer,
    circulating_supply numeric,
    said_at timestamptz not null default now(),
    primary key (source, slice, listing_id, observed_at, content_hash),
    check (contradicted = (price_usd is null))
);
create index also_said_by_key on also_said (listing_id, observed_at);

-- Of a record that contradicts others of its file: when it is for, the version, and what it said when it was last replayed.
-- Each file has a row of its own.
alter table rejections add column observed_at timestamptz, add column file_version integer, add column said jsonb;
update rejections j
set
    observed_at = substring(j.message from 'differ for (.*)$')::timestamptz,
    file_version = v.id,
    dedup_key = j.content_hash || ' ' || j.slice
from file_versions v
where j.code = 'ambiguous_key'
and v.source = j.source
and v.slice = j.slice;
create index rejections_ambiguous on rejections (source, slice, external_id, observed_at)
    where resolved_at is null and code = 'ambiguous_key';
insert into also_said (source, slice, listing_id, observed_at, content_hash, file_version, contradicted)
select distinct on (j.source, j.slice, l.id, j.observed_at)
    j.source, j.slice, l.id, j.observed_at, j.content_hash, j.file_version, true
from rejections j
join listings l on l.source = j.source and l.external_id = j.external_id
where j.code = 'ambiguous_key'
and j.resolved_at is null
order by j.source, j.slice, l.id, j.observed_at, j.id;

-- Whose version began is no longer noted there; what the unfinished end of a file wrote is, in another form, from now on.
update checkpoints
set position = position - 'since'
where position ? 'since';
delete from unended_writes;
alter table unended_writes drop constraint unended_writes_kind_check;
alter table unended_writes add check (kind in ('record', 'listing', 'said', 'rejection'));
