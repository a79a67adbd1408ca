"""Two runs of a source beside each other: JSON that Postgres renders.

Run `a` is compared with run `b`, usually the one before: deltas are a - b, ratios a / b.
"""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import anomalies, db, run_records


@frozen(kw_only=True)
class Head:
    """What has to be known of a run before it is compared."""

    run_id: int
    source: str
    finished: bool


def list_heads(conn: db.Connection, run_ids: Sequence[int]) -> list[Head]:
    """The heads of these runs, in their order. Raises NotFoundError for the first that is not there."""
    rows = conn.execute(
        """
        select id, source, finished_at is not null
        from runs
        where id = any(%(run_ids)s)
        order by id
        """,
        {"run_ids": list(run_ids)},
    ).fetchall()
    found = {id_: Head(run_id=id_, source=source, finished=finished) for id_, source, finished in rows}
    for run_id in run_ids:
        if run_id not in found:
            raise errors.NotFoundError(f"there is no run {run_id}")
    return [found[run_id] for run_id in run_ids]


def problems(a: Head, b: Head) -> list[tuple[str, str]]:
    """Why these runs cannot be compared: which of them, a or b, and what is wanted of it."""
    if a.source != b.source:
        return [("b", f"must be a run of {a.source} as run {a.run_id} is; run {b.run_id} is one of {b.source}")]
    live = [(name, head.run_id) for name, head in (("a", a), ("b", b)) if not head.finished]
    return [(name, f"must have ended; run {run_id} has not yet") for name, run_id in live]


def get_last(conn: db.Connection, source: str) -> tuple[int, int | None]:
    """The last finished run of what the source has now, and the one before it if there is one.

    Raises NotFoundError when none has finished.
    """
    rows = conn.execute(
        """
        select id
        from runs
        where source = %(source)s
        and slice = ''
        and finished_at is not null
        order by -id
        limit 2
        """,
        {"source": source},
    ).fetchall()
    if not rows:
        raise errors.NotFoundError(f"no run of {source} has finished yet")
    return rows[0][0], rows[1][0] if len(rows) > 1 else None


# The figures of a run: section, place in it, name, value. Needs a row `c` of runs in scope.
_FIGURES = sql.SQL(
    """
    values
        ('counts', 1, 'read', c.records_read::numeric),
        ('counts', 2, 'inserted', c.inserted),
        ('counts', 3, 'updated', c.updated),
        ('counts', 4, 'unchanged', c.unchanged),
        ('counts', 5, 'duplicate', c.duplicate),
        ('counts', 6, 'rejected', c.rejected),
        ('counts', 7, 'rejected_expected', c.rejected_expected),
        ('counts', 8, 'raw_inserted', c.raw_inserted),
        ('counts', 9, 'future_dated', c.future_dated),
        ('counts', 10, 'removed', c.removed),
        ('traffic', 1, 'batches', c.batches),
        ('traffic', 2, 'requests', c.requests),
        ('traffic', 3, 'retries', c.retries),
        ('traffic', 4, 'throttled', c.throttled),
        ('traffic', 5, 'bytes_read', c.bytes_read),
        ('durations', 1, 'duration_seconds', round(extract(epoch from c.finished_at - c.started_at), 3)),
        ('durations', 2, 'throttled_seconds', round(c.throttled_seconds::numeric, 3))
    union all
    select 'stage_seconds', 1, key, value::numeric from jsonb_each_text(c.stage_seconds)
    union all
    select 'measures', 1, key, value::numeric from jsonb_each_text(coalesce(c.measures, '{}'))
    """
)

# What the profiles of runs `a` and `b` say of their source's fields, where both are of the same files or of what is no
# file; a field's type is its most frequent one.
_SCHEMA = sql.SQL(
    """
    select
        json_build_object(
            'changed', case when k.known then a.schema_fingerprint <> b.schema_fingerprint end,
            'a', a.schema_fingerprint,
            'b', b.schema_fingerprint,
            'added', case when k.known then
                coalesce(json_agg(p.path order by p.path) filter (where p.path is not null and p.was is null), '[]')
            end,
            'missing', case when k.known then
                coalesce(json_agg(p.path order by p.path) filter (where p.path is not null and p.now is null), '[]')
            end,
            'type_changed', case when k.known then coalesce(
                json_agg(json_build_object('path', p.path, 'a', p.now_type, 'b', p.was_type) order by p.path)
                    filter (where p.now_type <> p.was_type),
                '[]'
            ) end
        )
    from (
        select
            a.profile is not null
            and b.profile is not null
            and a.profile ->> 'inputs' is not distinct from b.profile ->> 'inputs' as known
    ) k
    left join lateral (
        select path, n.value as now, w.value as was, {now_type} as now_type, {was_type} as was_type
        from jsonb_each(a.profile -> 'paths') n (path, value)
        full join jsonb_each(b.profile -> 'paths') w (path, value) using (path)
    ) p on k.known and p.path is not null
    group by k.known
    """
).format(
    **{
        name: sql.SQL(
            "(select t.key from jsonb_each_text({} -> 'types') t order by t.value::bigint desc, t.key limit 1)"
        ).format(sql.SQL(side))
        for name, side in (("now_type", "n.value"), ("was_type", "w.value"))
    }
)


def compare(conn: db.Connection, a: int, b: int | None) -> str:
    """The text of a JSON object: both run records, and in what and by how much `a` differs from `b`.

    A ratio is null where `b` has 0 or nothing; all of `b` is null where there is none.
    """
    query = sql.SQL(
        """
        with chosen as materialized (
            select s.side, u.*
            from (values ('a', %(a)s::bigint), ('b', %(b)s::bigint)) s (side, run_id)
            join runs u on u.id = s.run_id
        ),
        compared as (
            select
                f.section, f.name, min(f.place) as place,
                trim_scale(max(f.value) filter (where c.side = 'a')) as a,
                trim_scale(max(f.value) filter (where c.side = 'b')) as b
            from chosen c
            cross join lateral ({figures}) f (section, place, name, value)
            group by f.section, f.name
        ),
        sections as (
            select
                json_object_agg(
                    k.name,
                    json_build_object(
                        'a', k.a, 'b', k.b, 'delta', k.a - k.b,
                        'ratio', case when k.b <> 0 then trim_scale(round(k.a / k.b, 6)) end
                    )
                    order by k.place, k.name
                ) as entries,
                k.section
            from compared k
            group by k.section
        )
        select row_to_json(r)::text
        from (
            select
                (select row_to_json(x) from chosen u cross join lateral (select {columns}) x where u.side = 'a') as a,
                (select row_to_json(x) from chosen u cross join lateral (select {columns}) x where u.side = 'b') as b,
                a.reading = b.reading as alike,
                (select entries from sections where section = 'counts') as counts,
                (select entries from sections where section = 'traffic') as traffic,
                (select entries from sections where section = 'durations') as durations,
                coalesce((select entries from sections where section = 'stage_seconds'), '{{}}') as stage_seconds,
                coalesce((select entries from sections where section = 'measures'), '{{}}') as measures,
                json_build_object(
                    'changed', a.config_fingerprint <> b.config_fingerprint,
                    'a', a.config_fingerprint,
                    'b', b.config_fingerprint
                ) as configuration,
                json_build_object(
                    'changed', a.code_version <> b.code_version, 'a', a.code_version, 'b', b.code_version
                ) as code,
                ({schema}) as schema,
                (
                    select coalesce(json_agg(v order by n.id desc), '[]')
                    from anomalies n
                    cross join lateral (select {anomaly_columns}) v
                    where n.run_id in (a.id, b.id)
                ) as anomalies
            from chosen a
            left join chosen b on b.side = 'b'
            where a.side = 'a'
        ) r
        """
    ).format(figures=_FIGURES, columns=run_records.COLUMNS, schema=_SCHEMA, anomaly_columns=anomalies.COLUMNS)
    return str(db.one(conn.execute(query, {"a": a, "b": b}))[0])
