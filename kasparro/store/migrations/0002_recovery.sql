-- min_code: 0.1.0

-- faults_fired: one row is one time that an injected fault fired, written on a connection of its own before it fires, so
-- that it fires no more often than it is meant to, whatever it destroys. Nothing outside of demonstrations writes here.
drop table faults_fired;
create table faults_fired (
    fault text not null,
    firing integer not null check (firing > 0),
    run_id bigint,
    fired_at timestamptz not null default clock_timestamp(),
    primary key (fault, firing)
);
create index faults_fired_by_run on faults_fired (run_id);

-- A replay may take quotes away, where a record no longer yields them.
alter table runs add column removed bigint not null default 0;
alter table source_totals add column removed bigint not null default 0;

-- A record that is replayed finds its own rejections; most of them are looked for because they are still open.
create index rejections_by_record on rejections (source, content_hash);
create index rejections_open on rejections (source, code, id) where resolved_at is null;
