-- min_code: 0.1.0

-- The newest of the latest quotes of a source, so that every look at its health need not read all of them. Null where it
-- has to be found among them, as after the newest was withdrawn, or where there is none.
alter table source_totals add column newest_observed_at timestamptz;
update source_totals t
set newest_observed_at = d.newest
from (
    select l.source, max(n.observed_at) as newest
    from listings l
    join latest_quotes n on n.listing_id = l.id
    group by l.source
) d
where d.source = t.source;
