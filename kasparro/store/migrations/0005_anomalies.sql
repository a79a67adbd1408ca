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

-- What a run is judged by besides its counts: metric -> number.
alter table runs add column measures jsonb;
