"""Drifts as readers see them: JSON that Postgres renders, a page of them, newest first."""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import db, record_pages, timestamps
from kasparro.store.record_pages import Chosen, RecordPage, Shown

# Whether its source is read by this rename. Needs a row `d` of drifts in scope.
_IN_FORCE = sql.SQL(
    """
    (
        d.status in ('open', 'accepted')
        and exists (
            select
            from field_renames f
            join drifts o on o.id = f.drift_id
            where f.source = d.source
            and f.path = d.path
            and f.renamed_to = d.renamed_to
            and o.status in ('open', 'accepted')
        )
    )
    """
)
# The fields of a drift in their order. Needs a row `d` of drifts in scope.
COLUMNS = sql.SQL(
    """
    d.id, d.source, d.slice, d.path, d.kind, d.renamed_to, trim_scale(d.confidence) as confidence, d.action,
    {in_force} as in_force,
    d.status, d.details, d.first_run_id, d.last_run_id,
    {first_seen_at} as first_seen_at, {last_seen_at} as last_seen_at, {closed_at} as closed_at
    """
).format(
    in_force=_IN_FORCE,
    first_seen_at=timestamps.rfc3339("d.first_seen_at"),
    last_seen_at=timestamps.rfc3339("d.last_seen_at"),
    closed_at=timestamps.rfc3339("d.closed_at"),
)


@frozen(kw_only=True)
class Filter:
    """Which drifts: of these sources, of this kind, in this status, in force or not; None does not restrict.

    `of_now`: those open or in force alone.
    """

    sources: Sequence[str] | None = None
    kind: str | None = None
    status: str | None = None
    in_force: bool | None = None
    of_now: bool = False


def page(conn: db.Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> RecordPage:
    """At most `limit` drifts, those first seen last coming first, with ids below `before_id`."""
    shown = Shown(table="drifts", alias="d", columns=COLUMNS)
    conditions: list[sql.Composable] = [sql.SQL("(d.status = 'open' or {})").format(_IN_FORCE)] if chosen.of_now else []
    if chosen.in_force is not None:
        conditions.append(_IN_FORCE if chosen.in_force else sql.SQL("not {}").format(_IN_FORCE))
    equal = {"kind": chosen.kind, "status": chosen.status}
    which = Chosen(sources=chosen.sources, equal=equal, conditions=conditions)
    return record_pages.page(conn, shown, which, limit=limit, before_id=before_id)


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
