"""Assets as readers see them: searched page by page, or one with its listings, latest quotes and consensus price."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import db, quotes


@frozen(kw_only=True)
class AssetFilter:
    """What a reader looks for; None means any. `text` is part of a symbol, name or slug, in any case."""

    text: str | None = None
    symbols: Sequence[str] | None = None
    sources: Sequence[str] | None = None


@frozen(kw_only=True)
class AssetPage:
    """Rows as the text of a JSON array, and the id of the last one when there are more."""

    rows: str
    next_id: int | None


def page(conn: db.Connection, chosen: AssetFilter, *, limit: int, after_id: int = 0) -> AssetPage:
    """At most `limit` assets in the order of their ids, with their listings counted."""
    query = sql.SQL(
        """
        with chosen as materialized (
            select a.id, a.slug, a.symbol, a.name, row_number() over (order by a.id) as n
            from assets a
            where {conditions}
            order by a.id
            limit %(shown)s + 1
        )
        select
            coalesce(json_agg(r order by c.id) filter (where c.n <= %(shown)s), '[]')::text,
            count(*),
            max(c.id) filter (where c.n = %(shown)s)
        from chosen c
        cross join lateral (
            select count(*) as listings, coalesce(json_agg(distinct l.source), '[]') as sources
            from listings l
            where l.asset_id = c.id
        ) k
        cross join lateral (select c.slug, c.symbol, c.name, k.listings, k.sources) r
        """
    ).format(conditions=_conditions(chosen))
    params = {
        "shown": limit,
        "after_id": after_id,
        "pattern": None if chosen.text is None else f"%{_escape_like(chosen.text)}%",
        "symbols": list(chosen.symbols or ()),
        "sources": list(chosen.sources or ()),
    }
    rows, found, last_id = db.one(conn.execute(query, params))
    return AssetPage(rows=rows, next_id=last_id if found > limit else None)


def _conditions(chosen: AssetFilter) -> sql.Composed:
    fragments = [sql.SQL("a.id > %(after_id)s")]
    if chosen.text is not None:
        fragments.append(
            sql.SQL("(a.symbol ilike %(pattern)s or a.name ilike %(pattern)s or a.slug ilike %(pattern)s)")
        )
    if chosen.symbols is not None:
        fragments.append(sql.SQL("lower(a.symbol) = any(array(select lower(s) from unnest(%(symbols)s::text[]) as s))"))
    if chosen.sources is not None:
        fragments.append(
            sql.SQL("exists (select from listings l where l.asset_id = a.id and l.source = any(%(sources)s))")
        )
    return sql.SQL(" and ").join(fragments)


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def get(conn: db.Connection, slug: str, *, max_age_seconds: Mapping[str, float]) -> str:
    """One asset as the text of a JSON object: its names, `listings`, `latest` quote of each source, and `consensus`.

    The consensus is the median price of the sources in `max_age_seconds` whose latest quote is no older than that, the
    spread between them in percent of it, and their number; null where there is no such source. Raises NotFoundError.
    """
    query = sql.SQL(
        """
        with latest as materialized (
            select distinct on (l.source) l.source, q.price_usd, q.observed_at, row_to_json(r) as quote
            from assets a
            join listings l on l.asset_id = a.id
            join latest_quotes n on n.listing_id = l.id
            join quotes q on q.listing_id = n.listing_id and q.observed_at = n.observed_at
            cross join lateral (select {columns}) r
            where a.slug = %(slug)s
            order by l.source, q.observed_at desc, l.id
        ),
        fresh as (
            select t.price_usd, row_number() over (order by t.price_usd) as n, count(*) over () as total
            from latest t
            join unnest(%(sources)s::text[], %(ages)s::double precision[]) as m (source, age) on m.source = t.source
            where t.observed_at >= now() - m.age * interval '1 second'
        ),
        middle as (
            select
                -- The two middle prices, or the one; times a half instead of divided, because that is exact.
                sum(f.price_usd) filter (where f.n in ((f.total + 1) / 2, (f.total + 2) / 2))
                    * case when max(f.total) %% 2 = 0 then 0.5 else 1 end as median,
                max(f.price_usd) - min(f.price_usd) as spread,
                count(*) as sources
            from fresh f
        )
        select json_build_object(
            'slug', a.slug,
            'symbol', a.symbol,
            'name', a.name,
            'listings', (
                select coalesce(json_agg(r order by r.source, r.external_id), '[]')
                from (
                    select l.source, l.external_id, l.symbol, l.name, l.match_method, l.match_confidence
                    from listings l
                    where l.asset_id = a.id
                ) r
            ),
            'latest', (select coalesce(json_agg(t.quote order by t.source), '[]') from latest t),
            'consensus', (
                select json_build_object(
                    'price_usd', trim_scale(m.median),
                    'spread_pct', trim_scale(round(m.spread / m.median * 100, 6)),
                    'sources', m.sources
                )
                from middle m
                where m.sources > 0
            )
        )::text
        from assets a
        where a.slug = %(slug)s
        """
    ).format(columns=quotes.COLUMNS)
    params: dict[str, Any] = {
        "slug": slug,
        "sources": list(max_age_seconds),
        "ages": list(max_age_seconds.values()),
    }
    row = conn.execute(query, params).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no asset {slug!r}")
    return str(row[0])
