-- min_code: 0.1.0

-- Runs of a status, of all sources or of one, are found by -id as the last ones of a source are.
create index runs_by_outcome on runs (source, status, (-id));
drop index runs_by_status;
create index runs_by_status on runs (status, (-id));
