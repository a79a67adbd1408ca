-- min_code: 0.1.0

-- drifts: one row is one observed difference between a source's fields and its baseline. While it is open it is seen
-- again, not written again. renamed_to is the field that appeared where `path` vanished.
create table drifts (
    id bigint generated always as identity primary key,
    source text not null,
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

-- What a run saw of its source's fields: path -> types, nulls, values. Null where it read nothing.
alter table runs add column profile jsonb;
