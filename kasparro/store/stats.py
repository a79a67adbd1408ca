"""What every source was ever counted for, how long its runs take, and where it stands: JSON that Postgres renders.

Counts come from source_totals and run_totals, which pruning never lowers; durations and the last run come from runs.
"""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro import model
from kasparro.store import buckets, checkpoints, db, rejection_records, run_records, timestamps

# Finished runs that durations are taken over: a day or so at usual schedules, read from an index in a millisecond.
_DURATION_RUNS = 100


@frozen(kw_only=True)
class Stats:
    """`totals` as the text of a JSON object, `sources` as that of a JSON array, by source name."""

    totals: str
    sources: str


def get(conn: db.Connection, configured: Sequence[model.SourceInfo], *, named: Sequence[str] | None = None) -> Stats:
    """Statistics of the `configured` sources and of every other one that has totals; of those `named` alone, if any."""
    shown = [info for info in configured if named is None or info.name in named]
    query = sql.SQL(
        """
        with wanted as (
            select c.source, c.month_limit, c.bucket, c.burst, c.per_second
            from unnest(
                %(sources)s::text[], %(month_limits)s::bigint[], %(buckets)s::text[],
                %(bursts)s::double precision[], %(rates)s::double precision[]
            ) as c (source, month_limit, bucket, burst, per_second)
            union all
            select o.source, null, null, null, null
            from (
                select t.source from source_totals t where %(named)s::text[] is null
                union
                -- One whose only run crashed before its first batch was never counted for anything else.
                select e.source from run_totals e where %(named)s::text[] is null
                union
                select unnest(%(named)s::text[])
            ) o
            where not o.source = any(%(sources)s)
        ),
        counted as (
            select
                w.source,
                coalesce(t.records_read, 0) as read, coalesce(t.inserted, 0) as inserted,
                coalesce(t.updated, 0) as updated, coalesce(t.unchanged, 0) as unchanged,
                coalesce(t.duplicate, 0) as duplicate, coalesce(t.rejected, 0) as rejected,
                coalesce(t.requests, 0) as requests, coalesce(t.retries, 0) as retries,
                trim_scale(round(coalesce(t.throttled_seconds, 0)::numeric, 3)) as throttled_seconds
            from wanted w
            left join source_totals t on t.source = w.source
        ),
        by_status as (
            select w.source, s.status, s.place, coalesce(e.runs, 0) + coalesce(l.runs, 0) as runs
            from wanted w
            cross join unnest(%(statuses)s::text[]) with ordinality as s (status, place)
            left join run_totals e on e.source = w.source and e.status = s.status
            left join (
                select u.source, u.status, count(*) as runs
                from runs u
                where u.status in ('queued', 'running')
                group by u.source, u.status
            ) l on l.source = w.source and l.status = s.status
        ),
        described as (
            select
                c.source,
                (
                    select json_object_agg(b.status, b.runs order by b.place) from by_status b where b.source = c.source
                ) as runs,
                json_build_object(
                    'read', c.read, 'inserted', c.inserted, 'updated', c.updated, 'unchanged', c.unchanged,
                    'duplicate', c.duplicate, 'rejected', c.rejected
                ) as records,
                json_build_object('last', d.last, 'median', d.median, 'p95', d.p95) as duration,
                {last_success_at} as last_success_at,
                {last_failure_at} as last_failure_at,
                (
                    select row_to_json(r)
                    from runs u
                    cross join lateral (select {run_columns}) r
                    where u.source = c.source
                    and u.slice = ''
                    order by -u.id
                    limit 1
                ) as last_run,
                c.requests, c.retries, c.throttled_seconds,
                json_build_object(
                    'tokens', trim_scale(round(({tokens})::numeric, 3)),
                    'month_used', {month_used},
                    'month_limit', w.month_limit
                ) as budget,
                json_build_object('position', p.position, 'watermark', {watermark}, 'slices', k.slices) as checkpoint,
                ({open_by_code}) as open_rejections
            from counted c
            join wanted w on w.source = c.source
            left join schedules s on s.source = c.source
            left join buckets g on g.name = w.bucket
            cross join lateral (
                select
                    trim_scale(round((array_agg(f.seconds order by f.id desc))[1], 3)) as last,
                    trim_scale(round((percentile_cont(0.5) within group (order by f.seconds))::numeric, 3)) as median,
                    trim_scale(round((percentile_cont(0.95) within group (order by f.seconds))::numeric, 3)) as p95
                from (
                    select u.id, extract(epoch from u.finished_at - u.started_at) as seconds
                    from runs u
                    where u.source = c.source
                    and u.slice = ''
                    -- When a crashed run really ended, nobody knows.
                    and u.status in ('succeeded', 'partial', 'failed', 'interrupted', 'deferred')
                    order by -u.id
                    limit %(duration_runs)s
                ) f
            ) d
            left join checkpoints p on p.source = c.source and p.slice = ''
            cross join lateral (
                select max(k.watermark) as watermark, count(*) as slices
                from checkpoints k
                where k.source = c.source
                and {of_now}
            ) k
        )
        select
            json_build_object(
                'runs', (
                    select json_object_agg(b.status, b.runs order by b.place)
                    from (select b.status, b.place, sum(b.runs) as runs from by_status b group by b.status, b.place) b
                ),
                'records', json_build_object(
                    'read', coalesce(sum(c.read), 0), 'inserted', coalesce(sum(c.inserted), 0),
                    'updated', coalesce(sum(c.updated), 0), 'unchanged', coalesce(sum(c.unchanged), 0),
                    'duplicate', coalesce(sum(c.duplicate), 0), 'rejected', coalesce(sum(c.rejected), 0)
                ),
                'requests', coalesce(sum(c.requests), 0),
                'retries', coalesce(sum(c.retries), 0),
                'throttled_seconds', coalesce(sum(c.throttled_seconds), 0)
            )::text,
            (select coalesce(json_agg(d order by d.source), '[]')::text from described d)
        from counted c
        """
    ).format(
        last_success_at=timestamps.rfc3339("s.last_success_at"),
        last_failure_at=timestamps.rfc3339("s.last_failure_at"),
        watermark=timestamps.rfc3339("k.watermark"),
        run_columns=run_records.COLUMNS,
        tokens=buckets.TOKENS,
        month_used=buckets.MONTH_USED,
        of_now=checkpoints.OF_NOW,
        open_by_code=rejection_records.OPEN_BY_CODE,
    )
    totals, sources = db.one(
        conn.execute(
            query,
            {
                "sources": [info.name for info in shown],
                "month_limits": [info.monthly_requests for info in shown],
                "buckets": [info.bucket or None for info in shown],
                "bursts": [info.burst for info in shown],
                "rates": [info.tokens_per_second for info in shown],
                "named": None if named is None else list(named),
                "statuses": [status.value for status in model.RunStatus],
                "duration_runs": _DURATION_RUNS,
            },
        )
    )
    return Stats(totals=totals, sources=sources)
