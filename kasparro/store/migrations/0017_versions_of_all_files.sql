-- min_code: 0.1.0

-- A file that gave nothing but rejections has a version too: when they are replayed, their quotes are of it.
insert into file_versions (source, slice)
select k.source, k.slice
from checkpoints k
where k.position ? 'offset'
and not exists (select from file_versions v where v.source = k.source and v.slice = k.slice)
order by k.source, k.slice;

-- Whether a file contradicts itself in a key is asked for every record of one that is replayed, however much it says of
-- that key.
create index also_said_contradicted on also_said (source, slice, listing_id, observed_at) where contradicted;
