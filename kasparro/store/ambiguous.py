"""Contradicted records, replayed: which of them still contradict each other, as the field map reads them today?

First all of them are looked at again, and their rejections say what for they are now. Then those that stand alone give
their quotes. Each step may be done again: one that was killed is.
"""

from psycopg import sql

from kasparro.store.contradictions import CODE
from kasparro.store.db import Connection

# Whether a rejection `j` contradicts another one that is open, of the same file and key. One that was not looked at
# again, because its record was pruned, contradicts all.
_CONTESTED = sql.SQL(
    """
    exists (
        select
        from rejections o
        where o.source = j.source
        and o.slice = j.slice
        and o.code = 'ambiguous_key'
        and o.resolved_at is null
        and o.external_id = j.external_id
        and o.observed_at = j.observed_at
        and o.id <> j.id
        and (o.said is null or o.said <> j.said)
    )
    """
)


def look_again(conn: Connection, *, source: str) -> None:
    """Let the open rejections of the staged batch's records say what they are for; those without a quote resolve."""
    conn.execute(
        """
        update rejections j
        set
            external_id = b.external_id,
            observed_at = b.observed_at,
            said = jsonb_build_array(
                b.price_usd, b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply
            ),
            resolved_at = case when b.code is not null then now() end
        from batch b
        where j.source = %(source)s
        and j.code = %(code)s
        and j.resolved_at is null
        and j.content_hash = b.content_hash
        """,
        {"source": source, "code": CODE},
    )


def remember(conn: Connection, *, source: str) -> None:
    """Have also_said tell the keys that are contradicted now."""
    params = {"source": source, "code": CODE}
    query = sql.SQL(
        """
        create temporary table doubtful on commit drop as
        select distinct on (j.slice, l.id, j.observed_at)
            j.slice, l.id as listing_id, j.observed_at, j.content_hash, j.file_version
        from rejections j
        join listings l on l.source = j.source and l.external_id = j.external_id
        where j.source = %(source)s
        and j.code = %(code)s
        and j.resolved_at is null
        and j.observed_at is not null
        and {contested}
        order by j.slice, l.id, j.observed_at, j.file_version desc, j.id
        """
    ).format(contested=_CONTESTED)
    conn.execute(query, params)
    conn.execute(
        """
        delete from also_said x
        where x.source = %(source)s
        and x.contradicted
        and not exists (
            select
            from doubtful d
            where d.slice = x.slice
            and d.listing_id = x.listing_id
            and d.observed_at = x.observed_at
        )
        """,
        params,
    )
    conn.execute(
        """
        insert into also_said (source, slice, listing_id, observed_at, content_hash, file_version, contradicted)
        select %(source)s, d.slice, d.listing_id, d.observed_at, d.content_hash, d.file_version, true
        from doubtful d
        where not exists (
            select
            from also_said x
            where x.source = %(source)s
            and x.slice = d.slice
            and x.listing_id = d.listing_id
            and x.observed_at = d.observed_at
        )
        order by d.slice, d.listing_id, d.observed_at
        """,
        params,
    )


def mark_staged(conn: Connection, *, source: str, run_id: int) -> None:
    """Reject the records of the staged batch that contradict others, unless a quote shows them: another file says so.

    Creates the temporary table `ambiguous` of their open rejections.
    """
    params = {"source": source, "code": CODE, "run_id": run_id}
    query = sql.SQL(
        """
        create temporary table ambiguous on commit drop as
        select j.id, j.slice, j.content_hash, j.file_version, j.message, {contested} as contested
        from rejections j
        where j.source = %(source)s
        and j.code = %(code)s
        and j.resolved_at is null
        and j.content_hash in (select content_hash from batch)
        """
    ).format(contested=_CONTESTED)
    if not conn.execute(query, params).rowcount:
        return
    conn.execute(
        """
        update batch b
        set stage = 'read', code = %(code)s, field = 'observed_at', message = a.message, expected = false
        from ambiguous a
        where b.code is null
        and b.content_hash = a.content_hash
        and not exists (select from ambiguous o where o.content_hash = a.content_hash and not o.contested)
        and not exists (
            select
            from listings l
            join quotes q on q.listing_id = l.id and q.observed_at = b.observed_at
            where l.source = %(source)s
            and l.external_id = b.external_id
            and q.content_hash = b.content_hash
        )
        """,
        params,
    )
    conn.execute(
        """
        update rejections j
        set attempts = j.attempts + 1, run_id = %(run_id)s
        from ambiguous a
        where j.id = a.id
        and a.contested
        """,
        params,
    )


def resolve_staged(conn: Connection, *, source: str) -> None:
    """Those of the settled batch that stand alone are their files' again, shown or not."""
    params = {"source": source}
    conn.execute(
        """
        update rejections j
        set resolved_at = now()
        from ambiguous a
        where j.id = a.id
        and not a.contested
        """
    )
    conn.execute(
        """
        insert into also_said (
            source, slice, listing_id, observed_at, content_hash, file_version, price_usd, market_cap_usd,
            volume_24h_usd, change_24h_pct, rank, circulating_supply, said_at
        )
        select distinct on (a.slice, s.listing_id, s.observed_at, s.content_hash)
            %(source)s, a.slice, s.listing_id, s.observed_at, s.content_hash, a.file_version, s.price_usd,
            s.market_cap_usd, s.volume_24h_usd, s.change_24h_pct, s.rank, s.circulating_supply, r.last_seen_at
        from ambiguous a
        join settled s on s.content_hash = a.content_hash
        join raw_records r on r.source = %(source)s and r.content_hash = a.content_hash
        join quotes q on q.listing_id = s.listing_id and q.observed_at = s.observed_at
        where not a.contested
        and (q.file_version, q.content_hash) is distinct from (a.file_version, s.content_hash)
        order by a.slice, s.listing_id, s.observed_at, s.content_hash
        on conflict do nothing
        """,
        params,
    )
    conn.execute(
        """
        delete from also_said x
        using settled s, quotes q, file_versions v
        where q.listing_id = s.listing_id
        and q.observed_at = s.observed_at
        and v.id = q.file_version
        and x.source = %(source)s
        and x.slice = v.slice
        and x.listing_id = q.listing_id
        and x.observed_at = q.observed_at
        and x.content_hash = q.content_hash
        """,
        params,
    )
