-- min_code: 0.1.0

-- What upstreams took to answer, waits for the budget not included.
alter table runs add column request_seconds double precision not null default 0;
alter table source_totals add column request_seconds double precision not null default 0;

-- How many rejections need somebody is counted at every scrape.
create index rejections_to_mend on rejections (source) where resolved_at is null and not expected;
