"""Which quotes a reader asks for, as fragments of SQL: the one place where optional filters are put together.

A filter on listings (source, symbol, asset, external id) is answered first, from the small table, so that every query
on the large one gets listing ids and Postgres knows how many there are.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import db

QUOTE = sql.Identifier("q")


@frozen(kw_only=True)
class Filter:
    """What a reader asks for; None means any. Times are aware, `until` is exclusive, prices are inclusive.

    `latest` takes only the newest quote of each listing, ordered by listing; otherwise the order is by time.
    """

    sources: Sequence[str] | None = None
    symbols: Sequence[str] | None = None
    asset: str | None = None
    external_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_price_usd: Decimal | None = None
    max_price_usd: Decimal | None = None
    latest: bool = False
    descending: bool = True


def listing_ids(conn: db.Connection, chosen: Filter) -> list[int] | None:
    """The listings that the filter names, or None when it names none and means all.

    Raises NotFoundError when the asset does not exist.
    """
    wheres = []
    if chosen.sources is not None:
        wheres.append(sql.SQL("l.source = any(%(sources)s)"))
    if chosen.symbols is not None:
        wheres.append(sql.SQL("lower(l.symbol) = any(array(select lower(s) from unnest(%(symbols)s::text[]) as s))"))
    if chosen.external_id is not None:
        wheres.append(sql.SQL("l.external_id = %(external_id)s"))
    asset_id = None
    if chosen.asset is not None:
        asset_id = _asset_id(conn, chosen.asset)
        wheres.append(sql.SQL("l.asset_id = %(asset_id)s"))
    if not wheres:
        return None
    query = sql.SQL("select l.id from listings l where {}").format(sql.SQL(" and ").join(wheres))
    params = {
        "sources": list(chosen.sources or ()),
        "symbols": list(chosen.symbols or ()),
        "external_id": chosen.external_id,
        "asset_id": asset_id,
    }
    return [row[0] for row in conn.execute(query, params)]


def _asset_id(conn: db.Connection, slug: str) -> int:
    row = conn.execute("select a.id from assets a where a.slug = %(slug)s", {"slug": slug}).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no asset {slug!r}")
    return int(row[0])


def matching(chosen: Filter, ids: Sequence[int] | None, *more: sql.Composable) -> tuple[sql.Composed, dict[str, Any]]:
    """What follows `from` in a query for the quotes `q` of the filter, and its parameters.

    `more` are further conditions. The key columns are those of `q`, or of `n` for latest quotes: see key_alias().
    """
    tables = sql.SQL("quotes q")
    if chosen.latest:
        # The limit keeps Postgres from joining the whole of both tables: it believes that few of these rows match.
        tables = sql.SQL(
            """
            latest_quotes n cross join lateral (
                select q.* from quotes q where q.listing_id = n.listing_id and q.observed_at = n.observed_at limit 1
            ) q
            """
        )
    alias = key_alias(chosen)
    of_listings = [] if ids is None else [sql.SQL("{}.listing_id = any(%(ids)s::bigint[])").format(alias)]
    conditions = where([*of_listings, *times(chosen, alias), *prices(chosen), *more])
    return sql.SQL("{} {}").format(tables, conditions), {**values(chosen), "ids": ids}


def key_alias(chosen: Filter) -> sql.Identifier:
    """The table whose key columns carry the filter and its order."""
    return sql.Identifier("n" if chosen.latest else "q")


def order_by(chosen: Filter, alias: sql.Identifier) -> sql.Composed:
    """The filter's order over the key columns of `alias`."""
    columns = ("listing_id",) if chosen.latest else ("observed_at", "listing_id")
    return sql.SQL(", ").join(
        sql.SQL("{}.{} {}").format(alias, sql.Identifier(column), direction(chosen)) for column in columns
    )


def times(chosen: Filter, alias: sql.Identifier) -> list[sql.Composable]:
    """Conditions on the time of a quote."""
    fragments: list[sql.Composable] = []
    if chosen.since is not None:
        fragments.append(sql.SQL("{}.observed_at >= %(since)s").format(alias))
    if chosen.until is not None:
        fragments.append(sql.SQL("{}.observed_at < %(until)s").format(alias))
    return fragments


def prices(chosen: Filter, alias: sql.Identifier = QUOTE) -> list[sql.Composable]:
    """Conditions on the price of a quote."""
    fragments: list[sql.Composable] = []
    if chosen.min_price_usd is not None:
        fragments.append(sql.SQL("{}.price_usd >= %(min_price)s").format(alias))
    if chosen.max_price_usd is not None:
        fragments.append(sql.SQL("{}.price_usd <= %(max_price)s").format(alias))
    return fragments


def where(fragments: Sequence[sql.Composable]) -> sql.Composable:
    """The where clause of these conditions, or nothing when there are none."""
    return sql.SQL("where ") + sql.SQL(" and ").join(fragments) if fragments else sql.SQL("")


def direction(chosen: Filter) -> sql.SQL:
    """The order of the filter, as SQL."""
    return sql.SQL("desc") if chosen.descending else sql.SQL("asc")


def values(chosen: Filter) -> dict[str, Any]:
    """The parameters that times() and prices() refer to."""
    return {
        "since": chosen.since,
        "until": chosen.until,
        "min_price": chosen.min_price_usd,
        "max_price": chosen.max_price_usd,
    }
