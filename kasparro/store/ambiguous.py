"""Contradicted records, replayed: which of them still contradict each other, as the field map reads them today?

First all of them are looked at again, and their rejections say what for they are now. Then those that stand alone give
their quotes. Each step may be done again: one that was killed is.
"""

from datetime import UTC, datetime

from psycopg import sql

from kasparro.store import also_said, db
from kasparro.store.contradictions import CODE
from kasparro.store.db import Connection

# A page of keys: the last one of the page before.
Key = tuple[str, str | int, datetime]
_EVER = datetime.min.replace(tzinfo=UTC)

# Whether the open rejections `o` of one key of a file contradict each other. One that was not looked at again, because
# its record was pruned, contradicts all others.
_CONTESTED = sql.SQL("count(*) > 1 and (bool_or(o.said is null) or count(distinct o.said) > 1)")
_OPEN = sql.SQL("o.source = %(source)s and o.code = 'ambiguous_key' and o.resolved_at is null")
_OF_KEY = sql.SQL(
    """
    select {contested} as contested
    from rejections o
    where {open}
    and o.slice = k.slice
    and o.external_id = k.external_id
    and o.observed_at = k.observed_at
    """
).format(contested=_CONTESTED, open=_OPEN)


def look_again(conn: Connection, *, source: str) -> int:
    """Let the open rejections of the staged batch's records say what they are for; those without a quote resolve.

    How many are for something else than they were.
    """
    (moved,) = db.one(
        conn.execute(
            """
            with mine as materialized (
                select
                    j.id, b.external_id, b.observed_at, b.code,
                    jsonb_build_array(
                        b.price_usd, b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply
                    ) as said,
                    (j.external_id, j.observed_at) is distinct from (b.external_id, b.observed_at) as is_moved
                from batch b
                join rejections j on j.content_hash = b.content_hash
                where j.source = %(source)s
                and j.code = %(code)s
                and j.resolved_at is null
            ),
            looked_at as (
                update rejections j
                set
                    external_id = m.external_id,
                    observed_at = m.observed_at,
                    said = m.said,
                    resolved_at = case when m.code is not null then now() end
                from mine m
                where j.id = m.id
            )
            select count(*)
            from mine
            where is_moved
            or code is not null
            """,
            {"source": source, "code": CODE},
        )
    )
    return int(moved)


def remember(conn: Connection, source: str, *, after: Key | None, limit: int) -> Key | None:
    """Have also_said tell the next keys that are contradicted now; the last of them, None where no more can follow."""
    query = sql.SQL(
        """
        with page as materialized (
            select
                o.slice, o.external_id, o.observed_at, {contested} as contested,
                (array_agg(o.content_hash order by o.file_version desc nulls last, o.id))[1] as content_hash,
                max(o.file_version) as file_version
            from rejections o
            where {open}
            and (o.slice, o.external_id, o.observed_at) > (%(slice)s, %(external_id)s, %(observed_at)s)
            group by o.slice, o.external_id, o.observed_at
            order by o.slice, o.external_id, o.observed_at
            limit %(limit)s
        ),
        told as (
            insert into also_said (source, slice, listing_id, observed_at, content_hash, file_version, contradicted)
            select %(source)s, k.slice, l.id, k.observed_at, k.content_hash, k.file_version, true
            from page k
            join listings l on l.source = %(source)s and l.external_id = k.external_id
            where k.contested
            and not exists (
                select
                from also_said x
                where x.source = %(source)s
                and x.slice = k.slice
                and x.listing_id = l.id
                and x.observed_at = k.observed_at
            )
            order by k.slice, l.id, k.observed_at
        )
        select slice, external_id, observed_at
        from page
        order by slice, external_id, observed_at
        """
    ).format(contested=_CONTESTED, open=_OPEN)
    slice_, external_id, observed_at = after or ("", "", _EVER)
    params = {
        "source": source,
        "slice": slice_,
        "external_id": external_id,
        "observed_at": observed_at,
        "limit": limit,
    }
    page = conn.execute(query, params).fetchall()
    return page[-1] if len(page) == limit else None


def forget(conn: Connection, source: str, *, after: Key | None, limit: int) -> Key | None:
    """Have also_said not tell those of the next keys that are contradicted no more; returns what remember does."""
    query = sql.SQL(
        """
        with page as materialized (
            select x.slice, x.listing_id, x.observed_at, l.external_id
            from also_said x
            join listings l on l.id = x.listing_id
            where x.source = %(source)s
            and x.contradicted
            and (x.slice, x.listing_id, x.observed_at) > (%(slice)s, %(listing_id)s, %(observed_at)s)
            order by x.slice, x.listing_id, x.observed_at
            limit %(limit)s
        ),
        untold as (
            delete from also_said x
            using page k
            cross join lateral ({of_key}) g
            where not g.contested
            and x.source = %(source)s
            and x.contradicted
            and x.slice = k.slice
            and x.listing_id = k.listing_id
            and x.observed_at = k.observed_at
        )
        select slice, listing_id, observed_at
        from page
        order by slice, listing_id, observed_at
        """
    ).format(of_key=_OF_KEY)
    slice_, listing_id, observed_at = after or ("", 0, _EVER)
    params = {"source": source, "slice": slice_, "listing_id": listing_id, "observed_at": observed_at, "limit": limit}
    page = conn.execute(query, params).fetchall()
    return page[-1] if len(page) == limit else None


def mark_staged(conn: Connection, *, source: str, run_id: int) -> None:
    """Reject the records of the staged batch that contradict others, unless a quote shows them: another file says so.

    Creates the temporary table `ambiguous` of their open rejections.
    """
    params = {"source": source, "code": CODE, "run_id": run_id}
    query = sql.SQL(
        """
        create temporary table ambiguous on commit drop as
        with mine as materialized (
            select j.id, j.slice, j.external_id, j.observed_at, j.content_hash, j.file_version, j.message
            from rejections j
            where j.source = %(source)s
            and j.code = %(code)s
            and j.resolved_at is null
            and j.content_hash = any(array(select content_hash from batch))
        ),
        decided as materialized (
            select k.*, g.contested
            from (select distinct slice, external_id, observed_at from mine) k
            cross join lateral ({of_key}) g
        )
        select j.id, j.slice, j.content_hash, j.file_version, j.message, coalesce(d.contested, false) as contested
        from mine j
        left join decided d using (slice, external_id, observed_at)
        """
    ).format(of_key=_OF_KEY)
    if not conn.execute(query, params).rowcount:
        return
    conn.execute("create index on ambiguous (content_hash)")
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


def resolve_staged(conn: Connection, *, source: str) -> int:
    """Those of the settled batch that stand alone are their files' again, shown or not; how many."""
    params = {"source": source}
    resolved = conn.execute(
        """
        update rejections j
        set resolved_at = now()
        from ambiguous a
        where j.id = a.id
        and not a.contested
        """
    )
    query = sql.SQL(
        """
        insert into also_said ({columns})
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
        """
    ).format(columns=also_said.COLUMNS)
    conn.execute(query, params)
    conn.execute(
        """
        delete from also_said x
        using (select distinct listing_id, observed_at from settled) s, quotes q, file_versions v
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
    return resolved.rowcount
