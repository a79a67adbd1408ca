"""What was quoted, when and where: one page of quotes, all of them as a stream, or how many there are.

Postgres renders the rows (JSON or CSV text); nothing here parses them, so numbers stay exact. Which keys make up a page
is quote_keys' business; writing quotes belongs to the batch.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from attrs import frozen
from psycopg import sql
from psycopg.abc import Buffer

from kasparro.store import db, quote_filter, quote_keys, timestamps
from kasparro.store.quote_filter import Filter
from kasparro.store.quote_keys import Key

# Bytes handed on at once while streaming: large enough to make the call per chunk cheap, small next to the
# server's own buffers.
_CHUNK_BYTES = 64 * 1024

# The columns of one quote as the API shows it, in that order: JSON keys, CSV header. Needs q, l and a in scope.
COLUMNS = sql.SQL(
    """
    l.source, l.external_id, a.slug as asset, l.symbol, l.name, {observed_at} as observed_at, q.price_usd,
    q.market_cap_usd, q.volume_24h_usd, q.change_24h_pct, q.rank, q.circulating_supply, {ingested_at} as ingested_at
    """
).format(observed_at=timestamps.rfc3339("q.observed_at"), ingested_at=timestamps.rfc3339("q.ingested_at"))

StreamFormat = Literal["csv", "ndjson"]
_COPY_OPTIONS: dict[StreamFormat, sql.SQL] = {
    "csv": sql.SQL("format csv, header"),
    # JSON text holds no control characters: with two of them as quote and delimiter every line stays as it is.
    "ndjson": sql.SQL("format csv, quote e'\\x01', delimiter e'\\x02'"),
}
_SHOWN: dict[StreamFormat, sql.SQL] = {"csv": sql.SQL("r.*"), "ndjson": sql.SQL("row_to_json(r)")}


@frozen(kw_only=True)
class Page:
    """Rows as the text of a JSON array, how many there are, and the key of the last one when there are more."""

    rows: str
    shown: int
    next_key: Key | None

    @property
    def has_more(self) -> bool:
        return self.next_key is not None


def page(conn: db.Connection, chosen: Filter, *, limit: int, offset: int = 0, after: Key | None = None) -> Page:
    """At most `limit` quotes in the filter's order, after the key `after` or `offset` rows from its start.

    Raises NotFoundError for an unknown asset.
    """
    listing_ids = quote_filter.listing_ids(conn, chosen)
    window = quote_keys.Window(wanted=limit + 1, offset=offset, after=after)
    for keys in quote_keys.candidates(chosen, listing_ids, window):
        rows, found, observed_at, listing_id = _render(conn, chosen, keys.query, {**keys.params, "shown": limit})
        if found > limit or keys.complete:
            next_key = Key(observed_at, listing_id) if found > limit else None
            return Page(rows=rows, shown=min(found, limit), next_key=next_key)
    return Page(rows="[]", shown=0, next_key=None)


def _render(
    conn: db.Connection, chosen: Filter, keys: sql.Composable, params: dict[str, Any]
) -> tuple[str, int, datetime, int]:
    """The rows of `keys` as JSON, how many there are, and the key of the last one shown."""
    query = sql.SQL(
        """
        with keys as materialized ({keys}),
        numbered as (
            select k.listing_id, k.observed_at, row_number() over (order by {order}) as n
            from keys k
        )
        select
            coalesce(json_agg(r order by k.n) filter (where k.n <= %(shown)s), '[]')::text,
            count(*),
            max(k.observed_at) filter (where k.n = %(shown)s),
            max(k.listing_id) filter (where k.n = %(shown)s)
        from numbered k
        join quotes q on q.listing_id = k.listing_id and q.observed_at = k.observed_at
        join listings l on l.id = k.listing_id
        join assets a on a.id = l.asset_id
        cross join lateral (select {columns}) r
        """
    ).format(keys=keys, order=quote_filter.order_by(chosen, sql.Identifier("k")), columns=COLUMNS)
    rows, found, observed_at, listing_id = db.one(conn.execute(query, params))
    return rows, found, observed_at, listing_id


def count(conn: db.Connection, chosen: Filter) -> int:
    """How many quotes the filter gives, counted: takes time in proportion to the answer.

    Raises NotFoundError for an unknown asset.
    """
    source, params = quote_filter.matching(chosen, quote_filter.listing_ids(conn, chosen))
    (found,) = db.one(conn.execute(sql.SQL("select count(*) from {}").format(source), params))
    return int(found)


def estimate(conn: db.Connection, chosen: Filter) -> int:
    """How many quotes the filter gives by Postgres' statistics: cheap, and as old as the last analyze.

    Raises NotFoundError for an unknown asset.
    """
    ids = quote_filter.listing_ids(conn, chosen)
    if ids is not None and not ids:
        return 0
    source, params = quote_filter.matching(chosen, ids)
    (plans,) = db.one(conn.execute(sql.SQL("explain (format json) select from {}").format(source), params))
    return int(plans[0]["Plan"]["Plan Rows"])


def stream(conn: db.Connection, chosen: Filter, text_format: StreamFormat) -> Iterator[bytes]:
    """Every quote of the filter as CSV with a header, or one JSON object a line, in chunks of some 64 KB.

    Memory does not grow with the number of rows. When the iterator is closed early so is the connection, and the
    rest of the rows is neither computed nor read. Raises NotFoundError for an unknown asset.
    """
    source, params = quote_filter.matching(chosen, quote_filter.listing_ids(conn, chosen))
    query = sql.SQL(
        """
        copy (
            select {shown}
            from (select q.* from {source}) q
            join listings l on l.id = q.listing_id
            join assets a on a.id = l.asset_id
            cross join lateral (select {columns}) r
            order by {order}
        ) to stdout ({options})
        """
    ).format(
        shown=_SHOWN[text_format],
        source=source,
        columns=COLUMNS,
        order=quote_filter.order_by(chosen, quote_filter.QUOTE),
        options=_COPY_OPTIONS[text_format],
    )
    with conn.cursor().copy(query, params) as copy:
        try:
            yield from _chunks(copy)
        except GeneratorExit:
            # Otherwise psycopg would wait until Postgres has taken note of a cancel.
            conn.close()
            raise


def _chunks(rows: Iterable[Buffer]) -> Iterator[bytes]:
    chunk = bytearray()
    for row in rows:
        chunk += row
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
