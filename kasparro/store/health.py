"""How each source fares, as far as the database knows: its last runs, the age of its data, what is due."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

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
            extract(epoch from clock_timestamp() - d.newest)::double precision
        from unnest(%(sources)s::text[]) as k (source)
        left join schedules s on s.source = k.source
        -- All sources in one go: one by one, each of two hundred would read all the latest quotes.
        left join (
            select l.source, max(n.observed_at) as newest
            from listings l
            join latest_quotes n on n.listing_id = l.id
            where l.source = any(%(sources)s)
            group by l.source
        ) d on d.source = k.source
        """,
        {"sources": list(sources)},
    )
    return {
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
