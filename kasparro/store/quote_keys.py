"""Which quotes a filter means, and how to find the keys of one page of them without reading the rest.

Without a filter on listings the index on time gives the page. With one there are two ways, because either alone
has a bad case: a source that writes all the time is found at once by time, but an archive that ends in 2017 would be
looked for through everything newer; listing by listing finds any page, but has to look at every listing of a source.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen
from psycopg import sql

from kasparro.store import quote_filter
from kasparro.store.quote_filter import QUOTE, Filter

# Listings up to which their quotes are looked for listing by listing at once: cheaper than the first window of time.
_FEW_LISTINGS = 50
# Index entries of the first look by time: some 5 ms, and enough for a page of a source that makes 1 % of the writes.
_WINDOW_ENTRIES = 20_000


@frozen
class Key:
    """What identifies a quote, and orders it."""

    observed_at: datetime
    listing_id: int


@frozen(kw_only=True)
class Window:
    """`wanted` rows behind the key `after`, or behind the first `offset`."""

    wanted: int
    offset: int = 0
    after: Key | None = None


@frozen(kw_only=True)
class Keys:
    """A query for the keys (listing_id, observed_at) of a page, in no promised order.

    `complete`: when it finds fewer than wanted, there are no more; otherwise another query has to look further.
    """

    query: sql.Composed
    params: dict[str, Any] = field(factory=dict)
    complete: bool = True


def candidates(chosen: Filter, ids: Sequence[int] | None, window: Window) -> Iterator[Keys]:
    """Queries for the keys of a page, the cheapest first; the first that is complete or finds enough is the answer."""
    if ids is not None and not ids:
        return
    if chosen.latest or ids is None:
        yield _by_order(chosen, ids, window)
        return
    if len(ids) > _FEW_LISTINGS:
        yield _by_time(chosen, ids, window)
    yield _by_listing(chosen, ids, window)


def _by_order(chosen: Filter, ids: Sequence[int] | None, window: Window) -> Keys:
    """Read the index of the order itself until the page is full."""
    source, params = quote_filter.matching(chosen, ids, *_after(chosen, window))
    alias = quote_filter.key_alias(chosen)
    query = sql.SQL(
        """
        select {alias}.listing_id, {alias}.observed_at
        from {source}
        order by {order}
        limit %(wanted)s offset %(offset)s
        """
    ).format(alias=alias, source=source, order=quote_filter.order_by(chosen, alias))
    return Keys(query=query, params=params | _page_values(window))


def _by_time(chosen: Filter, ids: Sequence[int], window: Window) -> Keys:
    """Look through the next entries in time for the listings; gives up at the end of that window."""
    query = sql.SQL(
        """
        select w.listing_id, w.observed_at
        from (
            select q.listing_id, q.observed_at {price}
            from quotes q
            {where}
            order by {order}
            limit %(entries)s
        ) w
        {chosen}
        order by {outer_order}
        limit %(wanted)s offset %(offset)s
        """
    ).format(
        # Without a filter on price the index alone answers.
        price=sql.SQL(", q.price_usd" if quote_filter.prices(chosen) else ""),
        where=quote_filter.where([*quote_filter.times(chosen, QUOTE), *_after(chosen, window)]),
        order=quote_filter.order_by(chosen, QUOTE),
        chosen=quote_filter.where(
            [sql.SQL("w.listing_id = any(%(ids)s::bigint[])"), *quote_filter.prices(chosen, sql.Identifier("w"))]
        ),
        outer_order=quote_filter.order_by(chosen, sql.Identifier("w")),
    )
    entries = max(_WINDOW_ENTRIES, 4 * (window.offset + window.wanted))
    params = {**quote_filter.values(chosen), **_page_values(window), "ids": ids, "entries": entries}
    return Keys(query=query, params=params, complete=False)


def _by_listing(chosen: Filter, ids: Sequence[int], window: Window) -> Keys:
    """Read the first few keys of each listing, then more only of the listings that may have more in the page.

    `border` is the last key of the page that those few make up: a listing whose few all lie before it is read on, and
    of such there are at most wanted / depth. With depth = sqrt(wanted) both steps cost about the same.
    """
    needed = window.offset + window.wanted
    query = sql.SQL(
        """
        with few as (
            select f.listing_id, f.observed_at
            from unnest(%(ids)s::bigint[]) as i (id)
            cross join lateral ({prefix} limit %(depth)s) f
        ),
        border as materialized (
            select f.observed_at, f.listing_id from few f order by {order} offset %(needed)s - 1 limit 1
        ),
        deep as (
            select f.listing_id
            from few f
            group by f.listing_id
            having count(*) = %(depth)s
               and not exists (
                   select from border b
                   where (b.observed_at, b.listing_id) {before} ({furthest}(f.observed_at), f.listing_id)
               )
        ),
        found as (
            select f.listing_id, f.observed_at from few f where f.listing_id not in (select d.listing_id from deep d)
            union all
            select f.listing_id, f.observed_at
            from deep i (id)
            cross join lateral ({prefix} limit %(needed)s) f
        )
        select f.listing_id, f.observed_at
        from found f
        order by {order}
        limit %(wanted)s offset %(offset)s
        """
    ).format(
        prefix=_listing_prefix(chosen, window),
        order=quote_filter.order_by(chosen, sql.Identifier("f")),
        before=sql.SQL(">=" if chosen.descending else "<="),
        furthest=sql.SQL("min" if chosen.descending else "max"),
    )
    params = {
        **quote_filter.values(chosen),
        **_page_values(window),
        "ids": ids,
        "needed": needed,
        "depth": math.isqrt(needed) + 1,
    }
    return Keys(query=query, params=params)


def _listing_prefix(chosen: Filter, window: Window) -> sql.Composed:
    wheres = [sql.SQL("q.listing_id = i.id"), *quote_filter.times(chosen, QUOTE), *quote_filter.prices(chosen)]
    if window.after is not None:
        # The cursor, for this one listing: a single bound on time, where the primary key begins to read. In a tie the
        # listings that come later in the order still have a row at that very time.
        wheres.append(
            sql.SQL(
                """
                q.observed_at {beyond} case
                    when i.id {beyond} %(after_id)s then %(after_time)s::timestamptz {widen} interval '1 microsecond'
                    else %(after_time)s
                end
                """
            ).format(beyond=_beyond(chosen), widen=sql.SQL("+" if chosen.descending else "-"))
        )
    return sql.SQL("select q.listing_id, q.observed_at from quotes q {} order by q.observed_at {}").format(
        quote_filter.where(wheres), quote_filter.direction(chosen)
    )


def _after(chosen: Filter, window: Window) -> list[sql.Composable]:
    if window.after is None:
        return []
    if chosen.latest:
        return [sql.SQL("n.listing_id {} %(after_id)s").format(_beyond(chosen))]
    return [sql.SQL("(q.observed_at, q.listing_id) {} (%(after_time)s, %(after_id)s)").format(_beyond(chosen))]


def _beyond(chosen: Filter) -> sql.SQL:
    return sql.SQL("<" if chosen.descending else ">")


def _page_values(window: Window) -> dict[str, Any]:
    return {
        "wanted": window.wanted,
        "offset": window.offset,
        "after_time": window.after and window.after.observed_at,
        "after_id": window.after and window.after.listing_id,
    }
