-- min_code: 0.1.0

-- Schedulers look every half second for leases that a dead run still holds: a few among those of all slices ever read.
create index leases_held on leases (key) where run_id is not null;
