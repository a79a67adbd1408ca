"""Pages of records as readers see them, newest first: JSON that Postgres renders. Each table has its own columns."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen
from psycopg import sql

from kasparro.store import db
from kasparro.store.db import Connection


@frozen(kw_only=True)
class Shown:
    """How a table's rows are shown: `columns` and `joins` need a row `alias` of it in scope."""

    table: str
    alias: str
    columns: sql.Composable
    joins: sql.Composable | None = None


@frozen(kw_only=True)
class Chosen:
    """Which rows: of these sources, with these values in these columns, where None does not restrict; and what else."""

    sources: Sequence[str] | None = None
    equal: Mapping[str, object] = field(factory=dict)
    conditions: Sequence[sql.Composable] = ()


@frozen(kw_only=True)
class RecordPage:
    """Records as the text of a JSON array, and the id of the last one when there are more."""

    rows: str
    next_id: int | None


def page(conn: Connection, shown: Shown, chosen: Chosen, *, limit: int, before_id: int | None) -> RecordPage:
    """At most `limit` records, the greatest ids first, with ids below `before_id`."""
    alias = sql.Identifier(shown.alias)
    conditions = list(chosen.conditions)
    if chosen.sources is not None:
        # One source alone is compared by equality: only then does its index give the order as well.
        one = len(chosen.sources) == 1
        compared = sql.SQL("{}.source = %(source)s" if one else "{}.source = any(%(sources)s)")
        conditions.append(compared.format(alias))
    for name, value in chosen.equal.items():
        if value is not None:
            conditions.append(sql.SQL("{}.{} = {}").format(alias, sql.Identifier(name), sql.Placeholder(name)))
    if before_id is not None:
        conditions.append(sql.SQL("{}.id < %(before_id)s").format(alias))
    query = sql.SQL(
        """
        with chosen as materialized (
            select {alias}.*, row_number() over (order by {alias}.id desc) as place
            from {table} {alias}
            {where}
            order by {alias}.id desc
            limit %(shown)s + 1
        )
        select
            coalesce(json_agg(r order by {alias}.id desc) filter (where {alias}.place <= %(shown)s), '[]')::text,
            count(*),
            max({alias}.id) filter (where {alias}.place = %(shown)s)
        from chosen {alias}
        {joins}
        cross join lateral (select {columns}) r
        """
    ).format(
        alias=alias,
        table=sql.Identifier(shown.table),
        where=sql.SQL("where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""),
        joins=shown.joins if shown.joins is not None else sql.SQL(""),
        columns=shown.columns,
    )
    sources = list(chosen.sources or ())
    params = {"source": sources[0] if sources else None, "sources": sources, "before_id": before_id, "shown": limit}
    rows, found, last_id = db.one(conn.execute(query, {**chosen.equal, **params}))
    return RecordPage(rows=rows, next_id=last_id if found > limit else None)
