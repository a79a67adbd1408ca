-- min_code: 0.1.0

-- drifts_seen: one row says that a run saw a drift.
create table drifts_seen (
    run_id bigint not null references runs (id) on delete cascade,
    drift_id bigint not null references drifts (id) on delete cascade,
    primary key (run_id, drift_id)
);
create index drifts_seen_by_drift on drifts_seen (drift_id);

-- Of runs before, only the first and the last that saw a drift are known.
insert into drifts_seen (run_id, drift_id)
select u.id, d.id
from drifts d
join runs u on u.id in (d.first_run_id, d.last_run_id);

-- drift_totals: one row is how many drifts of a kind a source ever had, so that a scrape need not count them.
create table drift_totals (
    source text not null,
    kind text not null,
    drifts bigint not null default 0,
    primary key (source, kind)
);
insert into drift_totals (source, kind, drifts)
select source, kind, count(*)
from drifts
group by source, kind;

-- How far a source has got now is asked at every scrape and every run's end, beside however many windows of its past.
create index checkpoints_of_now on checkpoints (source, watermark) where not starts_with(slice, 'backfill:');
