"""What GET /metrics shows of all runs anywhere: a few small queries, each bounded by the number of sources.

Counters come from tables that pruning never lowers. Sources are those that are configured and those that were counted.
"""

from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from kasparro import metrics, model
from kasparro.fields import DriftKind
from kasparro.metrics import Sample
from kasparro.store import buckets, checkpoints, db

# Rejections of a source that are counted at most: a glance at an index, however many there are.
_COUNTED_REJECTIONS = 10_000
# Statuses that a run ends with.
_FINAL = tuple(status.value for status in model.RunStatus if status not in model.LIVE_STATUSES)
_TOTALS = (
    metrics.EXPECTED_REJECTIONS,
    metrics.RAW_RECORDS,
    metrics.FUTURE_DATED,
    metrics.REQUESTS,
    metrics.RETRIES,
    metrics.THROTTLED,
    metrics.THROTTLED_SECONDS,
    metrics.REQUEST_SECONDS,
    metrics.READ_BYTES,
)
_OUTCOMES = ("inserted", "updated", "unchanged", "duplicate", "rejected", "replayed")


def list_samples(conn: db.Connection, configured: Sequence[model.SourceInfo]) -> Iterator[Sample]:
    """The figures of every source and bucket. What never happened to a source that is known is zero."""
    totals, ended = _list_totals(conn), _list_ended(conn)
    sources = sorted({info.name for info in configured} | totals.keys() | {source for source, _ in ended})
    yield from _of_runs(conn, ended, sources)
    yield from _of_last_runs(conn, sources)
    yield from _of_totals(totals, sources)
    yield from _of_watermarks(conn, sources)
    yield from _of_rejections(conn, sources)
    yield from _of_drifts(conn, sources)
    yield from _of_anomalies(conn, sources)
    yield from _of_buckets(conn, configured)


def _list_ended(conn: db.Connection) -> dict[tuple[str, str], tuple[int, float]]:
    """By source and status: how many runs ended so, and how long they took."""
    rows = conn.execute("select source, status, runs, seconds from run_totals order by source, status")
    return {(source, status): (runs, seconds) for source, status, runs, seconds in rows}


def _of_runs(
    conn: db.Connection, ended: Mapping[tuple[str, str], tuple[int, float]], sources: Sequence[str]
) -> Iterator[Sample]:
    for source in sources:
        for status in _FINAL:
            runs, seconds = ended.get((source, status), (0, 0.0))
            yield metrics.RUNS, (source, status), runs
            yield metrics.RUN_SECONDS, (source, status), seconds
    rows = conn.execute(
        """
        select source, status, count(*)
        from runs
        where status in ('queued', 'running')
        group by source, status
        order by source, status
        """
    )
    live = {(source, status): runs for source, status, runs in rows}
    for source in sources:
        for status in model.LIVE_STATUSES:
            yield metrics.LIVE_RUNS, (source, status), live.get((source, status.value), 0)


def _of_last_runs(conn: db.Connection, sources: Sequence[str]) -> Iterator[Sample]:
    rows = conn.execute(
        """
        select k.source, u.seconds, a.warnings, a.alerts
        from unnest(%(sources)s::text[]) as k (source)
        cross join lateral (
            select
                r.id, r.reading, r.config_fingerprint,
                extract(epoch from r.finished_at - r.started_at)::double precision as seconds
            from runs r
            where r.source = k.source
            and r.slice = ''
            -- When a crashed run really ended, nobody knows.
            and r.status in ('succeeded', 'partial', 'failed', 'interrupted', 'deferred')
            order by -r.id
            limit 1
        ) u
        -- An upstream whose list is still the one that was too short is no better for having said so.
        left join lateral (
            select r.id
            from runs r
            where u.reading = 'nothing'
            and r.source = k.source
            and r.reading = 'full'
            and r.config_fingerprint = u.config_fingerprint
            and -r.id > -u.id
            order by -r.id
            limit 1
        ) c on true
        cross join lateral (
            select
                count(*) filter (where n.severity = 'warn') as warnings,
                count(*) filter (where n.severity = 'alert') as alerts
            from anomalies n
            where n.run_id = any(array[u.id, c.id])
            and (n.run_id = u.id or n.metric = 'records')
        ) a
        order by k.source
        """,
        {"sources": list(sources)},
    )
    for source, seconds, warnings, alerts in rows:
        yield metrics.LAST_RUN_SECONDS, (source,), seconds
        yield metrics.LAST_ANOMALIES, (source, "warn"), warnings
        yield metrics.LAST_ANOMALIES, (source, "alert"), alerts


def _list_totals(conn: db.Connection) -> dict[str, tuple[float, ...]]:
    """By source: the outcomes of its records, then the figures of _TOTALS."""
    rows = conn.execute(
        """
        select
            t.source,
            t.inserted - coalesce(p.inserted, 0), t.updated - coalesce(p.updated, 0),
            t.unchanged - coalesce(p.unchanged, 0), t.duplicate - coalesce(p.duplicate, 0),
            t.rejected - coalesce(p.rejected, 0),
            coalesce(p.inserted + p.updated + p.unchanged + p.duplicate + p.rejected, 0),
            t.rejected_expected - coalesce(p.rejected_expected, 0),
            t.raw_inserted, t.future_dated, t.requests, t.retries, t.throttled, t.throttled_seconds,
            t.request_seconds, t.bytes_read
        from source_totals t
        left join replay_totals p on p.source = t.source
        order by t.source
        """
    )
    return {row[0]: row[1:] for row in rows}


def _of_totals(totals: Mapping[str, Sequence[float]], sources: Sequence[str]) -> Iterator[Sample]:
    nothing = (0,) * (len(_OUTCOMES) + len(_TOTALS))
    for source in sources:
        values = totals.get(source, nothing)
        for outcome, value in zip(_OUTCOMES, values, strict=False):
            yield metrics.RECORDS, (source, outcome), value
        for metric, value in zip(_TOTALS, values[len(_OUTCOMES) :], strict=True):
            yield metric, (source,), value


def _of_watermarks(conn: db.Connection, sources: Sequence[str]) -> Iterator[Sample]:
    query = sql.SQL(
        """
        select s.source, extract(epoch from clock_timestamp() - n.watermark)::double precision
        from unnest(%(sources)s::text[]) as s (source)
        cross join lateral (
            select max(k.watermark) as watermark
            from checkpoints k
            where k.source = s.source
            and {of_now}
        ) n
        where n.watermark is not null
        order by s.source
        """
    ).format(of_now=checkpoints.OF_NOW)
    for source, seconds in conn.execute(query, {"sources": list(sources)}):
        yield metrics.WATERMARK_LAG, (source,), seconds


def _of_rejections(conn: db.Connection, sources: Sequence[str]) -> Iterator[Sample]:
    rows = conn.execute(
        """
        select k.source, o.rejections
        from unnest(%(sources)s::text[]) as k (source)
        cross join lateral (
            select count(*) as rejections
            from (
                select
                from rejections r
                where r.source = k.source
                and r.resolved_at is null
                and not r.expected
                limit %(most)s
            ) r
        ) o
        order by k.source
        """,
        {"sources": list(sources), "most": _COUNTED_REJECTIONS},
    )
    for source, rejections in rows:
        yield metrics.OPEN_REJECTIONS, (source,), rejections


def _of_drifts(conn: db.Connection, sources: Sequence[str]) -> Iterator[Sample]:
    rows = conn.execute("select source, kind, drifts from drift_totals")
    ever = {(source, kind): drifts for source, kind, drifts in rows}
    rows = conn.execute("select source, kind, count(*) from drifts where status = 'open' group by source, kind")
    still_open = {(source, kind): drifts for source, kind, drifts in rows}
    for source in sources:
        for kind in DriftKind:
            yield metrics.DRIFTS, (source, kind), ever.get((source, kind), 0)
            yield metrics.OPEN_DRIFTS, (source, kind), still_open.get((source, kind), 0)


def _of_anomalies(conn: db.Connection, sources: Sequence[str]) -> Iterator[Sample]:
    rows = conn.execute("select source, metric, severity, anomalies from anomaly_totals")
    ever = {(source, metric, severity): anomalies for source, metric, severity, anomalies in rows}
    for source in sources:
        for metric in model.JUDGED_METRICS:
            for severity in model.SEVERITIES:
                yield metrics.ANOMALIES, (source, metric, severity), ever.get((source, metric, severity), 0)


def _of_buckets(conn: db.Connection, configured: Sequence[model.SourceInfo]) -> Iterator[Sample]:
    """Each bucket once: sources that share it agree on what it holds."""
    users = {info.bucket: info for info in configured if info.bucket}
    for budget in buckets.list_budgets(conn, list(users.values())):
        name = (budget.name,)
        if budget.tokens is not None:
            yield metrics.TOKENS, name, budget.tokens
        yield metrics.BLOCKED_SECONDS, name, budget.blocked_seconds
        yield metrics.MONTH_USED, name, budget.month_used
        limit = users[budget.name].monthly_requests
        if limit is not None:
            yield metrics.MONTH_LIMIT, name, limit
