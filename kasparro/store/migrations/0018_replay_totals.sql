-- min_code: 0.1.0

-- replay_totals: one row is how much of source_totals replays were counted for: they read nothing anew.
create table replay_totals (
    source text primary key,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    duplicate bigint not null default 0,
    rejected bigint not null default 0,
    rejected_expected bigint not null default 0
);
