"""Anomalies: verdicts on runs. Written with a run's end, and counted in totals that pruning never lowers."""

from collections.abc import Iterable, Sequence

from attrs import frozen
from psycopg import sql

from kasparro.model import Anomaly
from kasparro.store import record_pages, timestamps
from kasparro.store.db import Connection
from kasparro.store.record_pages import Chosen, RecordPage, Shown

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


def page(conn: Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> RecordPage:
    """At most `limit` verdicts, newest first, with ids below `before_id`."""
    shown = Shown(table="anomalies", alias="n", columns=COLUMNS)
    which = Chosen(sources=chosen.sources, equal={"metric": chosen.metric, "severity": chosen.severity})
    return record_pages.page(conn, shown, which, limit=limit, before_id=before_id)
