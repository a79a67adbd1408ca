-- min_code: 0.1.0

-- anomalies: one row is one verdict on a run: a metric of it that is not like those of the runs before, or a hard rule
-- that it broke.
create table anomalies (
    id bigint generated always as identity primary key,
    source text not null,
    run_id bigint not null references runs (id) on delete cascade,
    metric text not null,
    rule text not null check (rule in ('history', 'min_records', 'freshness', 'partial_pages')),
    severity text not null check (severity in ('warn', 'alert')),
    value double precision,
    expected double precision,
    score double precision,
    message text not null,
    created_at timestamptz not null default clock_timestamp(),
    unique (run_id, metric, rule)
);
create index anomalies_by_source on anomalies (source, id desc);

-- anomaly_totals: one row is how many verdicts of a kind a source ever had; pruning runs never lowers it.
create table anomaly_totals (
    source text not null,
    metric text not null,
    severity text not null,
    anomalies bigint not null default 0,
    primary key (source, metric, severity)
);

-- rosters: one row is the listings (their external_ids, sorted) that a source's last complete read found.
create table rosters (
    source text primary key,
    external_ids text[] not null,
    run_id bigint not null
);

-- How much of its source a run read, for only runs that read alike are compared, and what it is judged by:
-- metric -> number. Both null where a run is not judged.
alter table runs
    add column reading text check (reading in ('full', 'first', 'tail', 'rest', 'nothing')),
    add column measures jsonb,
    add check ((reading is null) = (measures is null));
create index runs_alike on runs (source, reading, config_fingerprint, id desc) where reading is not null;
