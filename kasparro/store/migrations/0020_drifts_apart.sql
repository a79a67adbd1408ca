-- min_code: 0.1.0

-- A drift that keeps records out is decided about by itself, and so is one of which only values tell (details.rescaled).
drop index drifts_one_open;
create unique index drifts_one_open on drifts (
    source, path, kind, (coalesce((details ->> 'rescaled')::boolean, false)), (action in ('quarantined', 'failed'))
) where status = 'open';

-- superseded_by is the accepted drift after which the source has another id for what a listing is about.
alter table listings add column superseded_by bigint;
