-- min_code: 0.1.0

-- drift_id is the drift that kept the record of a rejection of code schema_drift out. Drifts with open ones are not pruned.
alter table rejections add column drift_id bigint;

-- New listings are counted when a run ends, however many a source has.
create index listings_by_first_seen on listings (source, first_seen_at);
