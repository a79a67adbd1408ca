-- min_code: 0.1.0

-- drifts: one row is one observed difference between a source's fields and its baseline. While it is open it is seen
-- again, not written again. renamed_to is the field that appeared where `path` vanished; slice is where it was seen last.
create table drifts (
    id bigint generated always as identity primary key,
    source text not null,
    slice text not null default '',
    path text not null,
    kind text not null check (kind in ('added', 'missing', 'type_changed', 'null_jump', 'renamed')),
    renamed_to text,
    confidence numeric(4, 3) not null default 1 check (confidence between 0 and 1),
    action text not null check (action in ('warned', 'mapped', 'proposed', 'quarantined', 'failed')),
    status text not null default 'open' check (status in ('open', 'accepted', 'rejected', 'resolved')),
    details jsonb not null default '{}',
    first_run_id bigint not null,
    last_run_id bigint not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    check ((kind = 'renamed') = (renamed_to is not null)),
    check ((status = 'open') = (closed_at is null))
);
create unique index drifts_one_open on drifts (source, path, kind) where status = 'open';
create index drifts_by_source on drifts (source, id desc);
create index drifts_by_run on drifts (last_run_id);

-- field_baselines: one row is the fields that one input of a source usually has: the live list of an API ('' ), its past
-- (backfill:), or one file. fields maps a path to its shares: how often it is there, is null, has which type.
create table field_baselines (
    source text not null,
    slice text not null,
    fields jsonb not null default '{}',
    updated_at timestamptz not null default clock_timestamp(),
    primary key (source, slice)
);

-- field_renames: one row is a rename in force: where `path` is not in a record, renamed_to is read instead.
create table field_renames (
    id bigint generated always as identity primary key,
    source text not null,
    path text not null,
    renamed_to text not null,
    drift_id bigint not null references drifts (id),
    created_at timestamptz not null default clock_timestamp(),
    unique (source, path, renamed_to)
);
create index field_renames_by_drift on field_renames (drift_id);

-- What a run saw of its source's fields, counted over records looked at (some of every page, evenly): {"records": n,
-- "paths": {path: {"seen": n, "null": n, "types": {type: n}, ...}}}. seen: records that have the field; null: those of
-- them in which it is null or blank; types: number, number_text, time_text, url_text, text, boolean, list, object of the
-- others. Null where a run read no record.
alter table runs add column profile jsonb;
