"""How each source fares, as far as the database knows: its last runs, the age of its data, what is due."""

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve, frozen

from kasparro.store import db


@frozen(kw_only=True)
class SourceHealth:
    """What is recorded of one source. Ages in seconds by the database's clock; None where there is nothing yet.

    `failures` are those since the last success. `due_age_seconds` is how long its next run has been due; negative for
    a run that lies ahead.
    """

    last_status: str | None = None
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    next_run_at: datetime | None = None
    failures: int = 0
    success_age_seconds: float | None = None
    due_age_seconds: float | None = None
    data_age_seconds: float | None = None


def list_sources(conn: db.Connection, sources: Sequence[str]) -> dict[str, SourceHealth]:
    """The health of each of `sources`, those that never ran included."""
    rows = conn.execute(
        """
        select
            k.source, s.last_status, s.last_run_at, s.last_success_at, s.last_failure_at, s.next_run_at,
            coalesce(s.failures, 0),
            extract(epoch from clock_timestamp() - s.last_success_at)::double precision,
            extract(epoch from clock_timestamp() - s.next_run_at)::double precision,
            extract(epoch from clock_timestamp() - t.newest_observed_at)::double precision
        from unnest(%(sources)s::text[]) as k (source)
        left join schedules s on s.source = k.source
        left join source_totals t on t.source = k.source
        """,
        {"sources": list(sources)},
    )
    found = {
        row[0]: SourceHealth(
            last_status=row[1],
            last_run_at=row[2],
            last_success_at=row[3],
            last_failure_at=row[4],
            next_run_at=row[5],
            failures=row[6],
            success_age_seconds=row[7],
            due_age_seconds=row[8],
            data_age_seconds=row[9],
        )
        for row in rows
    }
    unknown = [source for source, health in found.items() if health.data_age_seconds is None]
    ages = _find_ages(conn, unknown) if unknown else []
    return found | {source: evolve(found[source], data_age_seconds=age) for source, age in ages}


def _find_ages(conn: db.Connection, sources: Sequence[str]) -> list[tuple[str, float]]:
    """How old the newest quotes are of those that have some, found among all of them, in one go."""
    return conn.execute(
        """
        select l.source, extract(epoch from clock_timestamp() - max(n.observed_at))::double precision
        from listings l
        join latest_quotes n on n.listing_id = l.id
        where l.source = any(%(sources)s)
        group by l.source
        """,
        {"sources": sources},
    ).fetchall()
