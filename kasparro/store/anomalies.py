"""Anomalies: verdicts on runs. Written with a run's end, and counted in totals that pruning never lowers."""

from collections.abc import Iterable, Sequence

from attrs import frozen
from psycopg import sql

from kasparro.model import Anomaly
from kasparro.store import db, timestamps
from kasparro.store.db import Connection

# The fields of a verdict in their order. Needs a row `n` of anomalies in scope.
COLUMNS = sql.SQL(
    """
    n.id, n.source, n.run_id, n.metric, n.rule, n.severity, n.value, n.expected, n.score, n.message,
    {created_at} as created_at
    """
).format(created_at=timestamps.rfc3339("n.created_at"))


def insert(conn: Connection, source: str, run_id: int, found: Sequence[Anomaly]) -> None:
    """Write the verdicts on a run and count them. The lease must be held: nobody else counts for the source."""
    if not found:
        return
    conn.execute(
        """
        with written as (
            insert into anomalies (source, run_id, metric, rule, severity, value, expected, score, message)
            select %(source)s, %(run_id)s, f.metric, f.rule, f.severity, f.value, f.expected, f.score, f.message
            from unnest(
                %(metrics)s::text[], %(rules)s::text[], %(severities)s::text[], %(values)s::double precision[],
                %(expected)s::double precision[], %(scores)s::double precision[], %(messages)s::text[]
            ) with ordinality as f (metric, rule, severity, value, expected, score, message, place)
            order by f.place
            returning metric, severity
        )
        insert into anomaly_totals as t (source, metric, severity, anomalies)
        select %(source)s, w.metric, w.severity, count(*)
        from written w
        group by w.metric, w.severity
        order by w.metric, w.severity
        on conflict (source, metric, severity) do update
        set anomalies = t.anomalies + excluded.anomalies
        """,
        {
            "source": source,
            "run_id": run_id,
            "metrics": [each.metric for each in found],
            "rules": [each.rule for each in found],
            "severities": [each.severity for each in found],
            "values": _floats(each.value for each in found),
            "expected": _floats(each.expected for each in found),
            "scores": _floats(each.score for each in found),
            "messages": [each.message for each in found],
        },
    )


def _floats(numbers: Iterable[float | None]) -> list[float | None]:
    """A list of one type: whole numbers among others are refused on their way to Postgres."""
    return [None if number is None else float(number) for number in numbers]


def list_of_run(conn: Connection, run_id: int) -> list[Anomaly]:
    """The verdicts on a run, in the order in which they were given."""
    rows = conn.execute(
        """
        select metric, rule, severity, value, expected, score, message
        from anomalies
        where run_id = %(run_id)s
        order by id
        """,
        {"run_id": run_id},
    ).fetchall()
    return [
        Anomaly(
            metric=metric,
            rule=rule,
            severity=severity,
            value=value,
            expected=expected,
            score=score,
            message=message,
        )
        for metric, rule, severity, value, expected, score, message in rows
    ]


@frozen(kw_only=True)
class Filter:
    """Which verdicts: on runs of these sources, on this metric, of this severity; None does not restrict."""

    sources: Sequence[str] | None = None
    metric: str | None = None
    severity: str | None = None


@frozen(kw_only=True)
class AnomalyPage:
    """Records as the text of a JSON array, and the id of the last one when there are more."""

    rows: str
    next_id: int | None


def page(conn: Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> AnomalyPage:
    """At most `limit` verdicts, newest first, with ids below `before_id`."""
    conditions: list[sql.Composable] = []
    if chosen.sources is not None:
        # One source alone is compared by equality: only then does its index give the order as well.
        one = len(chosen.sources) == 1
        conditions.append(sql.SQL("n.source = %(source)s" if one else "n.source = any(%(sources)s)"))
    if chosen.metric is not None:
        conditions.append(sql.SQL("n.metric = %(metric)s"))
    if chosen.severity is not None:
        conditions.append(sql.SQL("n.severity = %(severity)s"))
    if before_id is not None:
        conditions.append(sql.SQL("n.id < %(before_id)s"))
    query = sql.SQL(
        """
        with chosen as materialized (
            select n.*, row_number() over (order by n.id desc) as place
            from anomalies n
            {where}
            order by n.id desc
            limit %(shown)s + 1
        )
        select
            coalesce(json_agg(r order by n.id desc) filter (where n.place <= %(shown)s), '[]')::text,
            count(*),
            max(n.id) filter (where n.place = %(shown)s)
        from chosen n
        cross join lateral (select {columns}) r
        """
    ).format(
        where=sql.SQL("where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""), columns=COLUMNS
    )
    params = {
        "source": chosen.sources[0] if chosen.sources else None,
        "sources": list(chosen.sources or ()),
        "metric": chosen.metric,
        "severity": chosen.severity,
        "before_id": before_id,
        "shown": limit,
    }
    rows, found, last_id = db.one(conn.execute(query, params))
    return AnomalyPage(rows=rows, next_id=last_id if found > limit else None)
