"""Drifts as readers see them: JSON that Postgres renders, a page of them, newest first."""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import db, timestamps

# The fields of a drift in their order. Needs a row `d` of drifts in scope.
COLUMNS = sql.SQL(
    """
    d.id, d.source, d.slice, d.path, d.kind, d.renamed_to, trim_scale(d.confidence) as confidence, d.action, d.status,
    d.details, d.first_run_id, d.last_run_id, {first_seen_at} as first_seen_at, {last_seen_at} as last_seen_at,
    {closed_at} as closed_at
    """
).format(
    first_seen_at=timestamps.rfc3339("d.first_seen_at"),
    last_seen_at=timestamps.rfc3339("d.last_seen_at"),
    closed_at=timestamps.rfc3339("d.closed_at"),
)


@frozen(kw_only=True)
class Filter:
    """Which drifts: of these sources, of this kind, in this status; None does not restrict."""

    sources: Sequence[str] | None = None
    kind: str | None = None
    status: str | None = None


@frozen(kw_only=True)
class DriftPage:
    """Records as the text of a JSON array, and the id of the last one when there are more."""

    rows: str
    next_id: int | None


def page(conn: db.Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> DriftPage:
    """At most `limit` drifts, those first seen last coming first, with ids below `before_id`."""
    conditions: list[sql.Composable] = []
    if chosen.sources is not None:
        # One source alone is compared by equality: only then does its index give the order as well.
        one = len(chosen.sources) == 1
        conditions.append(sql.SQL("d.source = %(source)s" if one else "d.source = any(%(sources)s)"))
    if chosen.kind is not None:
        conditions.append(sql.SQL("d.kind = %(kind)s"))
    if chosen.status is not None:
        conditions.append(sql.SQL("d.status = %(status)s"))
    if before_id is not None:
        conditions.append(sql.SQL("d.id < %(before_id)s"))
    query = sql.SQL(
        """
        with chosen as materialized (
            select d.*, row_number() over (order by d.id desc) as n
            from drifts d
            {where}
            order by d.id desc
            limit %(shown)s + 1
        )
        select
            coalesce(json_agg(r order by d.id desc) filter (where d.n <= %(shown)s), '[]')::text,
            count(*),
            max(d.id) filter (where d.n = %(shown)s)
        from chosen d
        cross join lateral (select {columns}) r
        """
    ).format(
        where=sql.SQL("where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""), columns=COLUMNS
    )
    params = {
        "source": chosen.sources[0] if chosen.sources else None,
        "sources": list(chosen.sources or ()),
        "kind": chosen.kind,
        "status": chosen.status,
        "before_id": before_id,
        "shown": limit,
    }
    rows, found, last_id = db.one(conn.execute(query, params))
    return DriftPage(rows=rows, next_id=last_id if found > limit else None)


def get(conn: db.Connection, drift_id: int) -> str:
    """One drift as the text of a JSON object. Raises NotFoundError."""
    query = sql.SQL(
        """
        select row_to_json(r)::text
        from drifts d
        cross join lateral (select {columns}) r
        where d.id = %(id)s
        """
    ).format(columns=COLUMNS)
    row = conn.execute(query, {"id": drift_id}).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no drift {drift_id}")
    return str(row[0])
