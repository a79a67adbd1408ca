"""Schedules: when each source is due next, and how its last runs went."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen

from kasparro.store import db
from kasparro.store.db import Connection


@frozen(kw_only=True)
class ScheduleState:
    """A source's schedule row, locked, with the database's time of that moment.

    `slot_at` is the next regular moment, `next_run_at` when the source is due: before or after it where a run is tried
    again. Until `blocked_until` its upstream wants to be left alone.
    """

    next_run_at: datetime | None
    slot_at: datetime | None
    failures: int
    now: datetime
    blocked_until: datetime | None = None


def ensure(conn: Connection, intervals: Mapping[str, float]) -> None:
    """Make every source due: a new one at once, a known one within its interval (seconds) from now at the latest.

    A source that waits because it fails, or because its upstream wants to be left alone, goes on waiting.
    """
    conn.execute(
        """
        insert into schedules (source, next_run_at, slot_at)
        select s.source, t.now, t.now
        from unnest(%(sources)s::text[]) as s (source)
        cross join (select clock_timestamp() as now) t
        order by s.source
        on conflict (source) do nothing
        """,
        {"sources": list(intervals)},
    )
    conn.execute(
        """
        update schedules e
        set
            next_run_at = least(e.next_run_at, clock_timestamp() + s.seconds * interval '1 second'),
            slot_at = least(e.slot_at, clock_timestamp() + s.seconds * interval '1 second')
        from unnest(%(sources)s::text[], %(seconds)s::double precision[]) as s (source, seconds)
        where e.source = s.source
        and (
            e.next_run_at is null
            or e.failures = 0
            and (e.blocked_until is null or e.blocked_until < clock_timestamp())
            and greatest(e.next_run_at, e.slot_at) > clock_timestamp() + s.seconds * interval '1 second'
        )
        """,
        {"sources": list(intervals), "seconds": list(intervals.values())},
    )


def list_due(conn: Connection, sources: Sequence[str]) -> list[str]:
    """Which of `sources` are due, queued or held by a dead run, and by no live one right now; the longest due first."""
    rows = conn.execute(
        """
        select s.source
        from schedules s
        left join leases l on l.key = s.source
        where s.source = any(%(sources)s)
        and (l.lease_until is null or l.lease_until < clock_timestamp())
        and (
            s.next_run_at <= clock_timestamp()
            or l.run_id is not null
            or exists (
                select from runs r where r.source = s.source and r.slice = '' and r.status in ('queued', 'running')
            )
        )
        order by s.next_run_at, s.source
        """,
        {"sources": list(sources)},
    ).fetchall()
    return [row[0] for row in rows]


def list_sources(conn: Connection) -> list[str]:
    """Every source that was ever scheduled or run, configured or not."""
    return [row[0] for row in conn.execute("select source from schedules order by source").fetchall()]


def hasten(conn: Connection, source: str) -> bool:
    """Make a source that waits because it failed due at once; whether it is due.

    One whose upstream wants to be left alone goes on waiting, and so does one that nothing schedules.
    """
    made_due = conn.execute(
        """
        update schedules
        set next_run_at = least(next_run_at, clock_timestamp())
        where source = %(source)s
        and failures > 0
        and (blocked_until is null or blocked_until < clock_timestamp())
        """,
        {"source": source},
    )
    return made_due.rowcount > 0


def lock(conn: Connection, source: str) -> ScheduleState:
    """Lock a source's schedule row until the transaction ends, making it first where it is new."""
    conn.execute(
        "insert into schedules (source) values (%(source)s) on conflict (source) do nothing", {"source": source}
    )
    next_run_at, slot_at, failures, blocked_until = db.one(
        conn.execute(
            """
            select next_run_at, slot_at, failures, blocked_until
            from schedules
            where source = %(source)s
            for update
            """,
            {"source": source},
        )
    )
    # In a statement of its own, for the one above may have waited for its lock.
    (now,) = db.one(conn.execute("select clock_timestamp()"))
    return ScheduleState(
        next_run_at=next_run_at, slot_at=slot_at, failures=failures, now=now, blocked_until=blocked_until
    )


def note_end(conn: Connection, source: str, *, status: str, state: ScheduleState) -> None:
    """Write how a run ended, and the state with which the source goes on."""
    conn.execute(
        """
        update schedules
        set
            next_run_at = %(next_run_at)s,
            slot_at = %(slot_at)s,
            failures = %(failures)s,
            blocked_until = %(blocked_until)s,
            last_run_at = clock_timestamp(),
            last_status = %(status)s,
            last_success_at = case
                when %(status)s in ('succeeded', 'partial') then clock_timestamp()
                else last_success_at
            end,
            last_failure_at = case
                when %(status)s in ('failed', 'crashed') then clock_timestamp()
                else last_failure_at
            end
        where source = %(source)s
        """,
        {
            "source": source,
            "status": status,
            "failures": state.failures,
            "blocked_until": state.blocked_until,
            "next_run_at": state.next_run_at,
            "slot_at": state.slot_at,
        },
    )


def is_queued(conn: Connection, source: str) -> bool:
    """Whether somebody asked for a run of this source that has not begun."""
    found = conn.execute(
        "select 1 from runs where source = %(source)s and slice = '' and status = 'queued'", {"source": source}
    ).fetchone()
    return found is not None
