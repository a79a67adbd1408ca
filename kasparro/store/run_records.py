"""Run records as readers see them: JSON that Postgres renders, one of them or a page, newest first."""

from collections.abc import Sequence

from psycopg import sql

from kasparro import errors
from kasparro.store import anomalies, db, drift_records, record_pages, timestamps
from kasparro.store.record_pages import Chosen, RecordPage, Shown

# Drifts that a run shows: a source that turned into another one may have thousands, and GET /drift has all of them.
_MOST_DRIFTS = 100

# The fields of a run record in their order. Needs a row `u` of runs in scope.
COLUMNS = sql.SQL(
    """
    u.id as run_id, u.source, u.slice, u.trigger, u.status, u.code_version, u.config_fingerprint, u.schema_fingerprint,
    {created_at} as created_at, {started_at} as started_at, {finished_at} as finished_at,
    trim_scale(round(extract(epoch from u.finished_at - u.started_at), 3)) as duration_seconds,
    u.resumed_from, u.checkpoint_before, u.checkpoint_after, u.stage_seconds, u.batches,
    json_build_object(
        'read', u.records_read, 'inserted', u.inserted, 'updated', u.updated, 'unchanged', u.unchanged,
        'duplicate', u.duplicate, 'rejected', u.rejected, 'rejected_expected', u.rejected_expected,
        'raw_inserted', u.raw_inserted, 'future_dated', u.future_dated, 'removed', u.removed
    ) as counts,
    u.requests, u.retries, u.throttled, u.bytes_read,
    trim_scale(round(u.throttled_seconds::numeric, 3)) as throttled_seconds,
    trim_scale(round(u.request_seconds::numeric, 3)) as request_seconds,
    case when u.error_code is not null then
        json_build_object('code', u.error_code, 'message', u.error_message)
    end as error,
    coalesce(
        (
            select
                json_agg(
                    json_build_object('fault', f.fault, 'fired_at', {fired_at}) order by f.fired_at, f.fault, f.firing
                )
            from faults_fired f
            where f.run_id = u.id
        ),
        '[]'::json
    ) as faults,
    u.reading, u.measures,
    coalesce(
        (
            select json_agg(a order by n.id)
            from anomalies n
            cross join lateral (select {anomaly_columns}) a
            where n.run_id = u.id
        ),
        '[]'::json
    ) as anomalies
    """
).format(
    created_at=timestamps.rfc3339("u.created_at"),
    started_at=timestamps.rfc3339("u.started_at"),
    finished_at=timestamps.rfc3339("u.finished_at"),
    fired_at=timestamps.rfc3339("f.fired_at"),
    anomaly_columns=anomalies.COLUMNS,
)


def page(
    conn: db.Connection, *, sources: Sequence[str] | None, status: str | None, limit: int, before_id: int | None
) -> RecordPage:
    """At most `limit` runs, newest first, older than `before_id`."""
    shown = Shown(table="runs", alias="u", columns=COLUMNS, by_minus_id=True)
    which = Chosen(sources=sources, equal={"status": status})
    return record_pages.page(conn, shown, which, limit=limit, before_id=before_id)


def get(conn: db.Connection, run_id: int) -> str:
    """One run as the text of a JSON object, with its anomalies and drifts. Raises NotFoundError."""
    query = sql.SQL(
        """
        select row_to_json(r)::text
        from runs u
        cross join lateral (
            select
                {columns},
                (
                    select coalesce(json_agg(r order by d.id), '[]')
                    from (
                        select s.drift_id
                        from drifts_seen s
                        where s.run_id = u.id
                        order by s.drift_id
                        limit %(most_drifts)s
                    ) s
                    join drifts d on d.id = s.drift_id
                    cross join lateral (select {drift_columns}) r
                ) as drifts
        ) r
        where u.id = %(id)s
        """
    ).format(columns=COLUMNS, drift_columns=drift_records.COLUMNS)
    row = conn.execute(query, {"id": run_id, "most_drifts": _MOST_DRIFTS}).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no run {run_id}")
    return str(row[0])
