-- min_code: 0.1.0

-- How many rejections of each code are open, and which is the newest, is asked by every look at the statistics. By -id:
-- for the order of id Postgres may take another index, and read through all others to find those of one code.
create index rejections_by_code on rejections (source, expected, code, (-id)) where resolved_at is null;
drop index rejections_to_mend;
