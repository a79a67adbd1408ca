-- min_code: 0.1.0

-- The last runs of a source are found by -id: asked for by id, Postgres may take the primary key, which gives that order as
-- well, and read through every run of the others to find those of a source that seldom runs.
create index runs_by_slice on runs (source, slice, (-id));
drop index runs_by_source;
create index runs_by_source on runs (source, (-id));
drop index runs_alike;
create index runs_alike on runs (source, reading, config_fingerprint, (-id)) where reading is not null;
