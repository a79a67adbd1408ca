"""Which rows can the staged batch change, and how do they look? One query, for before and after it is loaded.

Of rejections they are few, however many a source ever had: those that stand in the temporary table `images` already, of
the batch's records and of others that the file says of its keys, open contradictions of its keys, and what is expected
of its listings.
"""

from psycopg import sql

QUERY = sql.SQL(
    """
    with said as materialized (
        select s.*
        from (select distinct external_id, observed_at from batch) b
        join listings l on l.source = %(source)s and l.external_id = b.external_id
        cross join lateral (
            select
                x.source, x.slice, x.listing_id, x.observed_at, x.content_hash, x.file_version, x.contradicted,
                x.price_usd, x.market_cap_usd, x.volume_24h_usd, x.change_24h_pct, x.rank, x.circulating_supply,
                x.said_at
            from also_said x
            where x.source = %(source)s
            and x.slice = %(slice)s
            and x.listing_id = l.id
            and x.observed_at = b.observed_at
            union all
            select
                v.source, v.slice, q.listing_id, q.observed_at, q.content_hash, q.file_version, false, q.price_usd,
                q.market_cap_usd, q.volume_24h_usd, q.change_24h_pct, q.rank, q.circulating_supply, q.ingested_at
            from quotes q
            join file_versions v on v.id = q.file_version
            where v.source = %(source)s
            and v.slice = %(slice)s
            and q.listing_id = l.id
            and q.observed_at = b.observed_at
        ) s
    ),
    rejected as (
        select key::bigint as id
        from images
        where kind = 'rejection'
        union
        select j.id
        from rejections j
        where j.source = %(source)s
        and j.content_hash = any(array(select content_hash from batch union select content_hash from said))
        union
        select j.id
        from (select distinct external_id, observed_at from batch) b
        join rejections j on j.external_id = b.external_id and j.observed_at = b.observed_at
        where j.source = %(source)s
        and j.slice = %(slice)s
        and j.code = 'ambiguous_key'
        and j.resolved_at is null
        union
        select j.id
        from rejections j
        where j.source = %(source)s
        and j.expected
        and j.resolved_at is null
        and j.external_id = any(array(select external_id from batch))
        union
        select j.id
        from (select distinct code, external_id from batch where expected) b
        join rejections j on j.source = %(source)s and j.code = b.code and j.dedup_key = b.external_id
    )
    select 'listing' as kind, l.id::text as key, to_jsonb(l) as image
    from listings l
    where l.source = %(source)s
    and l.external_id in (select external_id from batch)
    union all
    select 'said', concat_ws(' ', s.listing_id, extract(epoch from s.observed_at), s.content_hash), to_jsonb(s)
    from said s
    union all
    select 'rejection', j.id::text, to_jsonb(j)
    from rejections j
    where j.id = any(array(select id from rejected))
    union all
    select 'record', r.content_hash::text, to_jsonb(r) - 'payload' || jsonb_build_object('observed_at', b.observed_at)
    from (select distinct on (content_hash) content_hash, observed_at from batch) b
    join raw_records r on r.source = %(source)s and r.content_hash = b.content_hash
    """
)
