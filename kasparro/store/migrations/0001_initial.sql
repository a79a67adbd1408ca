-- min_code: 0.1.0

-- leases: one row is the right to write for one source (key = source) or one slice of it (key = source/slice).
-- Every batch commits behind a lock on this row and its epoch, so a holder that lost the lease writes nothing.
create table leases (
    key text primary key,
    epoch bigint not null default 0,
    holder text,
    run_id bigint,
    lease_until timestamptz,
    check (epoch >= 0)
);

-- runs: one row is one attempt to ingest one source.
create table runs (
    id bigint generated always as identity primary key,
    source text not null,
    slice text not null default '',
    trigger text not null
        check (trigger in ('schedule', 'api', 'cli', 'cron', 'demo', 'replay', 'backfill')),
    status text not null
        check (status in ('queued', 'running', 'succeeded', 'partial', 'failed', 'interrupted', 'crashed', 'deferred')),
    idempotency_key text unique,
    epoch bigint,
    holder text,
    resumed_from bigint references runs (id) on delete set null,
    code_version text not null,
    config_fingerprint text not null,
    schema_fingerprint text,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    checkpoint_before jsonb not null default '{}',
    checkpoint_after jsonb not null default '{}',
    stage_seconds jsonb not null default '{}',
    batches bigint not null default 0,
    records_read bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    duplicate bigint not null default 0,
    rejected bigint not null default 0,
    rejected_expected bigint not null default 0,
    raw_inserted bigint not null default 0,
    future_dated bigint not null default 0,
    requests bigint not null default 0,
    retries bigint not null default 0,
    throttled bigint not null default 0,
    throttled_seconds double precision not null default 0,
    bytes_read bigint not null default 0,
    error_code text,
    error_message text,
    check (records_read = inserted + updated + unchanged + duplicate + rejected),
    check (rejected_expected <= rejected),
    check ((status = 'queued') = (started_at is null)),
    check ((status in ('queued', 'running')) = (finished_at is null))
);
create unique index runs_one_live on runs (source, slice) where status in ('queued', 'running');
create index runs_by_source on runs (source, id desc);
create index runs_by_status on runs (status, id desc);

-- checkpoints: one row is how far one slice of a source has been read, committed with the records it covers.
create table checkpoints (
    source text not null,
    slice text not null,
    position jsonb not null default '{}',
    watermark timestamptz,
    validators jsonb not null default '{}',
    run_id bigint not null,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (source, slice)
);

-- schedules: one row is when a source is due next, and how it fared lately. slot_at is the next moment on the schedule's
-- own grid; next_run_at comes before it where a run is to be tried again.
create table schedules (
    source text primary key,
    next_run_at timestamptz,
    slot_at timestamptz,
    failures integer not null default 0 check (failures >= 0),
    blocked_until timestamptz,
    last_run_at timestamptz,
    last_status text,
    last_success_at timestamptz,
    last_failure_at timestamptz
);

-- source_totals: one row is everything a source was ever counted for; pruning runs never lowers it.
create table source_totals (
    source text primary key,
    records_read bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    duplicate bigint not null default 0,
    rejected bigint not null default 0,
    rejected_expected bigint not null default 0,
    raw_inserted bigint not null default 0,
    future_dated bigint not null default 0,
    requests bigint not null default 0,
    retries bigint not null default 0,
    throttled bigint not null default 0,
    throttled_seconds double precision not null default 0,
    bytes_read bigint not null default 0,
    check (records_read = inserted + updated + unchanged + duplicate + rejected)
);

-- run_totals: one row is how many runs of a source ever ended with a status, and how long they took.
create table run_totals (
    source text not null,
    status text not null,
    runs bigint not null default 0,
    seconds double precision not null default 0,
    primary key (source, status)
);

-- buckets: one row is one upstream request budget, shared by every source and process that uses the same key.
create table buckets (
    name text primary key,
    tokens double precision not null,
    refilled_at timestamptz not null default clock_timestamp(),
    blocked_until timestamptz,
    month date,
    month_used bigint not null default 0
);

-- faults_fired: one row is one injected fault that fired, written before it fires so that it fires once.
create table faults_fired (
    fault text primary key,
    times integer not null default 0,
    run_id bigint,
    first_fired_at timestamptz not null default clock_timestamp(),
    last_fired_at timestamptz not null default clock_timestamp()
);

-- assets: one row is what listings of several sources have in common (Bitcoin).
create table assets (
    id bigint generated always as identity primary key,
    slug text not null unique,
    symbol text not null,
    name text not null,
    created_at timestamptz not null default clock_timestamp()
);
create index assets_by_symbol on assets (lower(symbol), id);

-- listings: one row is one thing as one source names it; it belongs to exactly one asset.
create table listings (
    id bigint generated always as identity primary key,
    source text not null,
    external_id text not null,
    symbol text not null,
    name text not null,
    symbol_key text not null,
    asset_id bigint not null references assets (id),
    match_method text not null default 'own',
    match_confidence numeric(4, 3) not null default 1 check (match_confidence between 0 and 1),
    first_seen_at timestamptz not null default clock_timestamp(),
    unique (source, external_id)
);
create index listings_by_asset on listings (asset_id, id);
create index listings_by_symbol_key on listings (symbol_key, id);
create index listings_by_symbol on listings (lower(symbol), id);

-- symbols_to_match: one row is a symbol group that changed in a source and whose assets must be computed anew.
create table symbols_to_match (
    source text not null,
    symbol_key text not null,
    primary key (source, symbol_key)
);

-- raw_records: one row is one record as it came. Partitioned by source: raw_coinpaprika, raw_coingecko, raw_csv, ...
-- last_seen_at moves only when the record changes a quote: replayed in its order, raw ends where ingestion ended.
create table raw_records (
    source text not null,
    content_hash uuid not null,
    slice text not null,
    external_id text,
    payload json not null,
    constants json,
    run_id bigint not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    primary key (source, content_hash)
) partition by list (source);

-- quotes: one row is one normalised observation of one listing; content_hash leads to the raw record it came from.
create table quotes (
    listing_id bigint not null references listings (id),
    observed_at timestamptz not null,
    price_usd numeric not null
        check (price_usd >= 1e-30 and price_usd <= 1e30),
    market_cap_usd numeric check (market_cap_usd >= 0 and market_cap_usd <= 1e40),
    volume_24h_usd numeric check (volume_24h_usd >= 0 and volume_24h_usd <= 1e40),
    change_24h_pct numeric check (change_24h_pct >= -1e40 and change_24h_pct <= 1e40),
    rank integer check (rank > 0),
    circulating_supply numeric check (circulating_supply >= 0 and circulating_supply <= 1e40),
    content_hash uuid not null,
    run_id bigint not null,
    ingested_at timestamptz not null,
    primary key (listing_id, observed_at)
);
create index quotes_by_time on quotes (observed_at desc, listing_id desc);

-- latest_quotes: one row points at the newest observation of a listing that is not future-dated.
create table latest_quotes (
    listing_id bigint primary key references listings (id),
    observed_at timestamptz not null
);

-- rejections: one row is a record that gave no quote, and why. Normal ones (expected by the source) have one row
-- per listing and code, the others one per raw record and code: that is dedup_key.
create table rejections (
    id bigint generated always as identity primary key,
    source text not null,
    slice text not null,
    code text not null,
    dedup_key text not null,
    stage text not null,
    field text,
    message text not null,
    external_id text,
    content_hash uuid not null,
    expected boolean not null,
    attempts integer not null default 1,
    run_id bigint not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    resolved_at timestamptz,
    unique (source, code, dedup_key)
);
create index rejections_by_source on rejections (source, id desc);
