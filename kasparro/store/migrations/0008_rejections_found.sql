-- min_code: 0.1.0

-- Every batch looks for the open rejections that its source expects of its listings, and a run's end for its own: a scan
-- of all of a source's would take longer with each record that is rejected.
create index rejections_expected on rejections (source, external_id) where resolved_at is null and expected;
create index rejections_by_run on rejections (run_id) where not expected;
