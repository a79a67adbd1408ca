"""How runs end: by themselves, or found dead by whoever comes next. A finished run is never written again."""

from collections.abc import Mapping

from attrs import frozen
from psycopg.types.json import Jsonb

from kasparro.model import Lease, Run, RunStatus
from kasparro.store import checkpoints, db
from kasparro.store.db import Connection

# Characters of an error message that are kept: many times what a person reads.
_MAX_MESSAGE_CHARACTERS = 2000


@frozen(kw_only=True)
class Ending:
    """How a run ended. `stage_seconds` maps stages to time spent.

    After `retry_seconds` a deferred run is due again, and not before where it is `blocked`, by its upstream's wish.
    """

    status: RunStatus
    stage_seconds: Mapping[str, float]
    error_code: str | None = None
    error_message: str | None = None
    retry_seconds: float | None = None
    blocked: bool = False


def finish(conn: Connection, lease: Lease, run: Run, ending: Ending) -> float:
    """Close a running run; how many seconds it took. Call it behind the fence."""
    (seconds,) = db.one(
        conn.execute(
            """
            update runs
            set
                status = %(status)s,
                finished_at = clock_timestamp(),
                checkpoint_after = %(checkpoint)s,
                stage_seconds = %(stage_seconds)s,
                error_code = %(error_code)s,
                error_message = %(error_message)s
            where id = %(run_id)s
            and status = 'running'
            and epoch = %(epoch)s
            returning extract(epoch from finished_at - started_at)::double precision
            """,
            {
                "run_id": lease.run_id,
                "epoch": lease.epoch,
                "status": ending.status.value,
                "checkpoint": Jsonb(checkpoints.summary(conn, run.source, run.slice)),
                "stage_seconds": Jsonb({name: round(value, 3) for name, value in ending.stage_seconds.items()}),
                "error_code": ending.error_code,
                "error_message": _storable(ending.error_message),
            },
        )
    )
    return float(seconds)


def find_fruitless(conn: Connection, source: str) -> int | None:
    """The last live run of a failing source that read records, if none of them gave a quote and some are still open."""
    row = conn.execute(
        """
        select u.id
        from schedules s
        cross join lateral (
            select r.id, r.status, r.records_read, r.rejected
            from runs r
            where r.source = s.source
            and r.slice = ''
            and r.records_read > 0
            and r.finished_at is not null
            order by -r.id
            limit 1
        ) u
        where s.source = %(source)s
        -- Of a source that does well nobody has to look back to where it read something.
        and s.failures > 0
        and u.status = 'failed'
        and u.records_read = u.rejected
        and exists (
            select
            from rejections j
            where j.source = s.source
            and not j.expected
            and j.resolved_at is null
            and j.run_id >= u.id
        )
        """,
        {"source": source},
    ).fetchone()
    return None if row is None else int(row[0])


@frozen(kw_only=True)
class Crash:
    """A run that was found dead, and how long it lived at most."""

    run_id: int
    source: str
    slice: str
    seconds: float


def find_end(conn: Connection, lease: Lease) -> float | None:
    """How many seconds the lease's run took, if its end is already written by this holder; else None."""
    row = conn.execute(
        """
        select extract(epoch from finished_at - started_at)::double precision
        from runs
        where id = %(run_id)s
        and epoch = %(epoch)s
        and finished_at is not null
        and error_code is distinct from 'crashed'
        """,
        {"run_id": lease.run_id, "epoch": lease.epoch},
    ).fetchone()
    return None if row is None else float(row[0])


def close_crashed(conn: Connection, run_id: int, *, epoch: int) -> Crash | None:
    """Close the run whose process died holding its lease at `epoch`, with its last committed position.

    None when it had ended by itself. The lease row must be locked.
    """
    found = conn.execute("select source, slice from runs where id = %(id)s", {"id": run_id}).fetchone()
    if found is None:
        return None
    source, slice_name = found
    row = conn.execute(
        """
        update runs
        set
            status = 'crashed',
            finished_at = clock_timestamp(),
            checkpoint_after = %(checkpoint)s,
            error_code = 'crashed',
            error_message = 'the process died, or slept past its lease'
        where id = %(id)s
        and status = 'running'
        and epoch = %(epoch)s
        returning extract(epoch from finished_at - started_at)::double precision
        """,
        {"id": run_id, "epoch": epoch, "checkpoint": Jsonb(checkpoints.summary(conn, source, slice_name))},
    ).fetchone()
    return None if row is None else Crash(run_id=run_id, source=source, slice=slice_name, seconds=float(row[0]))


def close_unheld(conn: Connection, source: str, slice_name: str) -> Crash | None:
    """Close a running run of this kind that no lease names, if there is one. Its lease row must be locked, and free."""
    row = conn.execute(
        """
        select r.id, r.epoch
        from runs r
        where r.source = %(source)s
        and r.slice = %(slice)s
        and r.status = 'running'
        and not exists (select from leases l where l.run_id = r.id)
        """,
        {"source": source, "slice": slice_name},
    ).fetchone()
    return None if row is None else close_crashed(conn, row[0], epoch=row[1])


def _storable(message: str | None) -> str | None:
    """A message as text that Postgres takes: what an upstream said or a file holds may be anything."""
    if message is None:
        return None
    text = message.replace("\x00", "\ufffd").encode("utf-8", "backslashreplace").decode()
    return text[:_MAX_MESSAGE_CHARACTERS]
