"""Pages of records as readers see them, newest first: JSON that Postgres renders. Each table has its own columns."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen
from psycopg import sql

from kasparro.store import db
from kasparro.store.db import Connection


@frozen(kw_only=True)
class Shown:
    """How a table's rows are shown: `columns` and `joins` need a row `alias` of it in scope.

    `by_minus_id`: its indexes give the order of -id, lest the primary key be taken for what is rare.
    """

    table: str
    alias: str
    columns: sql.Composable
    joins: sql.Composable | None = None
    by_minus_id: bool = False


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
    for name, value in chosen.equal.items():
        if value is not None:
            conditions.append(sql.SQL("{}.{} = {}").format(alias, sql.Identifier(name), sql.Placeholder(name)))
    by_minus_id = shown.by_minus_id and (chosen.sources is not None or bool(conditions))
    newest_first = sql.SQL("-{}.id" if by_minus_id else "{}.id desc").format(alias)
    if before_id is not None:
        older = sql.SQL("-{}.id > -%(before_id)s::bigint" if by_minus_id else "{}.id < %(before_id)s")
        conditions.append(older.format(alias))
    query = sql.SQL(
        """
        with chosen as materialized (
            select {alias}.*, row_number() over (order by {newest_first}) as place
            from {rows}
            order by {newest_first}
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
        newest_first=newest_first,
        rows=_rows(sql.Identifier(shown.table), alias, chosen.sources, conditions, newest_first),
        joins=shown.joins if shown.joins is not None else sql.SQL(""),
        columns=shown.columns,
    )
    sources = list(chosen.sources or ())
    params = {"source": sources[0] if sources else None, "sources": sources, "before_id": before_id, "shown": limit}
    rows, found, last_id = db.one(conn.execute(query, {**chosen.equal, **params}))
    return RecordPage(rows=rows, next_id=last_id if found > limit else None)


def _rows(
    table: sql.Identifier,
    alias: sql.Identifier,
    sources: Sequence[str] | None,
    conditions: Sequence[sql.Composable],
    newest_first: sql.Composed,
) -> sql.Composed:
    """What follows `from`: the rows that may be on the page.

    An index gives the order of one source alone. So of several each gives its newest: together they would be looked
    for among the rows of all, or sorted whole.
    """
    if sources is not None:
        conditions = [
            sql.SQL("{}.source = {}").format(alias, sql.SQL("k.source" if len(sources) > 1 else "%(source)s")),
            *conditions,
        ]
    where = sql.SQL("where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")
    rows = sql.SQL("{} {} {}").format(table, alias, where)
    if sources is None or len(sources) == 1:
        return rows
    return sql.SQL(
        """
        (select distinct unnest(%(sources)s::text[])) as k (source)
        cross join lateral (select {alias}.* from {rows} order by {newest_first} limit %(shown)s + 1) {alias}
        """
    ).format(alias=alias, rows=rows, newest_first=newest_first)
