"""Rejections as readers see them: JSON that Postgres renders, a page of them, newest first."""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro.store import db, timestamps

# Bytes. A payload above this is not shown: a page of a thousand must stay small. It is kept whole in raw_records.
MAX_PAYLOAD_BYTES = 8192

# The fields of a rejection in their order. Needs a row `j` of rejections in scope.
COLUMNS = sql.SQL(
    """
    j.id, j.source, j.slice, j.stage, j.code, j.field, j.message, j.external_id, j.expected, j.attempts, j.run_id,
    {first_seen_at} as first_seen_at, {last_seen_at} as last_seen_at, {resolved_at} as resolved_at,
    octet_length(p.payload::text) as payload_bytes,
    case when octet_length(p.payload::text) <= {max_bytes} then p.payload end as payload
    """
).format(
    first_seen_at=timestamps.rfc3339("j.first_seen_at"),
    last_seen_at=timestamps.rfc3339("j.last_seen_at"),
    resolved_at=timestamps.rfc3339("j.resolved_at"),
    max_bytes=sql.Literal(MAX_PAYLOAD_BYTES),
)


@frozen(kw_only=True)
class Filter:
    """Which rejections: of these sources, of this code, resolved or still open, expected
    or not; None does not restrict."""

    sources: Sequence[str] | None = None
    code: str | None = None
    resolved: bool | None = None
    expected: bool | None = None


@frozen(kw_only=True)
class RejectionPage:
    """Records as the text of a JSON array, and the id of the last one when there are more."""

    rows: str
    next_id: int | None


def page(conn: db.Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> RejectionPage:
    """At most `limit` rejections, those first seen last coming first, with ids below `before_id`.

    `payload` is null, and payload_bytes tells its size, where it is too large to show; both where pruning took it.
    """
    conditions: list[sql.Composable] = []
    if chosen.sources is not None:
        # One source alone is compared by equality: only then does its index give the order as well.
        one = len(chosen.sources) == 1
        conditions.append(sql.SQL("j.source = %(source)s" if one else "j.source = any(%(sources)s)"))
    if chosen.code is not None:
        conditions.append(sql.SQL("j.code = %(code)s"))
    if chosen.resolved is not None:
        conditions.append(sql.SQL("j.resolved_at is not null" if chosen.resolved else "j.resolved_at is null"))
    if chosen.expected is not None:
        conditions.append(sql.SQL("j.expected" if chosen.expected else "not j.expected"))
    if before_id is not None:
        conditions.append(sql.SQL("j.id < %(before_id)s"))
    query = sql.SQL(
        """
        with chosen as materialized (
            select j.*, row_number() over (order by j.id desc) as n
            from rejections j
            {where}
            order by j.id desc
            limit %(shown)s + 1
        )
        select
            coalesce(json_agg(r order by j.id desc) filter (where j.n <= %(shown)s), '[]')::text,
            count(*),
            max(j.id) filter (where j.n = %(shown)s)
        from chosen j
        left join raw_records p on p.source = j.source and p.content_hash = j.content_hash
        cross join lateral (select {columns}) r
        """
    ).format(
        where=sql.SQL("where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""), columns=COLUMNS
    )
    params = {
        "source": chosen.sources[0] if chosen.sources else None,
        "sources": list(chosen.sources or ()),
        "code": chosen.code,
        "before_id": before_id,
        "shown": limit,
    }
    rows, found, last_id = db.one(conn.execute(query, params))
    return RejectionPage(rows=rows, next_id=last_id if found > limit else None)
