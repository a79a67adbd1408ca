"""Holding a source: how a run gets its lease, keeps it while it makes progress, and gives it back with its result.

Only what Postgres can prove counts: lease times are the database's, and every write names the epoch.
"""

import logging
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime

from attrs import evolve, frozen

from kasparro import __version__, errors
from kasparro.clock import Clock
from kasparro.etl import judge, next_run
from kasparro.etl.faults import Faults, Place
from kasparro.etl.heartbeat import Heartbeat
from kasparro.etl.job import Job
from kasparro.etl.source import Source
from kasparro.model import LIVE, Lease, Run, RunResult, RunStatus, Trigger
from kasparro.store import anomalies, leases, migrate, rejections, run_endings, runs, schedules, totals
from kasparro.store.db import Connection, Database
from kasparro.tallies import Counts

logger = logging.getLogger(__name__)

# Seconds between two looks at a lease that somebody holds: soon enough to see it renewed, too rare to be a load.
_LOOK_SECONDS = 0.5
# Leases that a claim goes on for without being told whose the source is: a batch holds the lease row for less than one.
_CLAIM_LEASES = 4
# What a run failed of, wholly or in part, for what became of its records; and how one ends that came to its end.
_REJECTIONS = "rejections"
_CAME_TO_ITS_END = (RunStatus.SUCCEEDED, RunStatus.PARTIAL)


@frozen(kw_only=True)
class Settings:
    """What holding a source takes. `holder` names this process in leases and run records.

    The heartbeat renews a lease only while the run's last sign of life is younger than `stall_seconds`.
    """

    holder: str
    lease_seconds: float
    stall_seconds: float


@frozen(kw_only=True)
class Claim:
    """Who wants what: a run of `slice` of a source, holding the lease `key`."""

    source: Source
    key: str
    slice: str
    trigger: Trigger


class Tenure:
    """Claims, keeps and ends the leases of this process."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, faults: Faults) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._faults = faults

    def claim(self, claim: Claim, stop: threading.Event) -> tuple[Run, Lease] | None:
        """Become the holder of the lease and start a run.

        A lease of somebody else is waited for as long as it lasts: a dead holder's ends by itself. None when a
        scheduled run is no longer due. Raises BusyError when the lease is renewed meanwhile or nobody can look at it,
        StoppedError when told to stop, SchemaError when the database meanwhile serves newer code only.
        """
        self._at(claim, "before", stop)
        try:
            self.close_dead_slices([claim.source])
        except errors.DatabaseError as ex:
            # The next claim looks again; what is wrong with the database, this one's own transaction says.
            logger.warning("dead runs left open", extra={"source": claim.source.name, "error": ex.message})
        met: datetime | None = None
        give_up_at = self._clock.monotonic() + _CLAIM_LEASES * self._settings.lease_seconds
        while True:
            try:
                with self._database.transaction() as conn:
                    leases.limit_waits(conn, lease_seconds=self._settings.lease_seconds)
                    state = leases.lock(conn, claim.key)
                    claimed = self._start(conn, claim, state) if state.seconds_left == 0 else None
                if state.seconds_left == 0:
                    self._at(claim, "after", stop, claimed)
                    return claimed
            except errors.ConflictError as ex:
                # The holder's transaction has the row; it ends soon, one way or another.
                logger.warning("claim tried again", extra={"source": claim.source.name, "error": ex.message})
                if self._clock.monotonic() > give_up_at:
                    raise errors.BusyError(f"{claim.key}: its lease cannot be looked at: {ex.message}") from ex
                wait_seconds = _LOOK_SECONDS
            else:
                if met is not None and state.lease_until != met:
                    raise errors.BusyError(f"{claim.key}: {state.holder} is at it (run {state.run_id})")
                if met is None:
                    fields = {
                        "source": claim.source.name,
                        "holder": state.holder,
                        "seconds_left": round(state.seconds_left, 1),
                    }
                    logger.info("waiting for a lease to end or to be renewed", extra=fields)
                met = state.lease_until
                wait_seconds = min(state.seconds_left + 0.01, _LOOK_SECONDS)
            if self._clock.wait(stop, wait_seconds):
                raise errors.StoppedError(f"{claim.key}: asked to stop before the run began")

    def _at(self, claim: Claim, moment: str, stop: threading.Event, claimed: tuple[Run, Lease] | None = None) -> None:
        def wait(seconds: float) -> None:
            if self._clock.wait(stop, seconds):
                raise errors.StoppedError(f"{claim.key}: asked to stop before the run began")

        run_id = claimed[0].id if claimed is not None else None
        place = Place(source=claim.source.name, stage="claim", moment=moment, run_id=run_id)
        self._faults.hit(place, wait=wait)

    def _start(self, conn: Connection, claim: Claim, state: leases.LeaseState) -> tuple[Run, Lease] | None:
        # A newer release may have migrated while this process went on.
        migrate.require_served(conn, code_version=__version__)
        name = claim.source.name
        self._close_dead(conn, claim.source, claim.key, state)
        crash = run_endings.close_unheld(conn, name, claim.slice)
        if crash is not None:
            self._note_crash(conn, claim.source, crash)
        due = schedules.lock(conn, name)
        is_due = due.next_run_at is not None and due.next_run_at <= due.now
        if claim.trigger is Trigger.SCHEDULE and not is_due and not schedules.is_queued(conn, name):
            return None
        new = runs.NewRun(
            source=name,
            slice=claim.slice,
            trigger=claim.trigger,
            config_fingerprint=claim.source.fingerprint,
            epoch=state.epoch + 1,
            holder=self._settings.holder,
        )
        run = runs.start(conn, new)
        lease = Lease(key=claim.key, epoch=new.epoch, holder=new.holder, run_id=run.id)
        leases.take(conn, lease, lease_seconds=self._settings.lease_seconds)
        return run, lease

    def close_dead_slices(self, sources: Iterable[Source]) -> None:
        """Close runs of parts of the sources that died, whose leases nobody may ever claim again."""
        by_name = {source.name: source for source in sources}
        with self._database.connection() as conn:
            keys = leases.list_dead_slices(conn, list(by_name))
        for key in keys:
            with self._database.transaction() as conn:
                leases.limit_waits(conn, lease_seconds=self._settings.lease_seconds)
                state = leases.lock(conn, key)
                if state.seconds_left == 0:
                    self._close_dead(conn, by_name[key.partition("/")[0]], key, state)

    def _close_dead(self, conn: Connection, source: Source, key: str, state: leases.LeaseState) -> None:
        """Close the run that a lease names which ran out, and free the lease: nobody else would look for either."""
        if state.run_id is None:
            return
        dead = Lease(key=key, epoch=state.epoch, holder=state.holder or "", run_id=state.run_id)
        crash = run_endings.close_crashed(conn, dead.run_id, epoch=dead.epoch)
        if crash is not None:
            self._note_crash(conn, source, crash)
        leases.release(conn, dead)

    def _note_crash(self, conn: Connection, source: Source, crash: run_endings.Crash) -> None:
        logger.warning("found a crashed run", extra={"source": crash.source, "crashed_run_id": crash.run_id})
        status = RunStatus.CRASHED.value
        totals.count_run(conn, crash.source, status=status, seconds=crash.seconds)
        if crash.slice == LIVE:
            due = schedules.lock(conn, crash.source)
            schedules.note_end(conn, crash.source, status=status, state=next_run.after_crash(source, due))

    def heartbeat(self, job: Job) -> AbstractContextManager[None]:
        """Keep the job's lease inside the block; see heartbeat.py."""
        lease_seconds, stall_seconds = self._settings.lease_seconds, self._settings.stall_seconds
        return Heartbeat(self._database, self._clock, lease_seconds=lease_seconds, stall_seconds=stall_seconds).keep(
            job
        )

    def end(self, job: Job, ending: run_endings.Ending) -> RunResult:
        """Write how the run ended and when the next is due, and give the lease back, in one fenced transaction.

        Safe to call again when it is not known whether it arrived. Raises LeaseLostError when somebody took over, who
        then closed the run already.
        """
        with self._database.transaction() as conn:
            leases.limit_waits(conn, lease_seconds=self._settings.lease_seconds)
            written = run_endings.find_end(conn, job.lease)
            if written is None:
                leases.fence(conn, job.lease)
                self._count_traffic(conn, job)
                if (seen := job.profile) is not None:
                    fields = {**seen.as_json(), "inputs": job.inputs}
                    runs.note_fields(conn, job.run.id, fields, fingerprint=seen.fingerprint)
            counts, traffic = runs.get_tallies(conn, job.run.id)
            ending = _by_records(conn, job, ending, counts)
            if written is None:
                seconds = self._close(conn, job, ending)
                held_seconds = self._settings.lease_seconds
                found = judge.judge(conn, job, status=ending.status, counts=counts, lease_seconds=held_seconds)
            else:
                seconds, found = written, anomalies.list_of_run(conn, job.run.id)
            job.at("finish", conn=conn)
        return RunResult(
            run_id=job.run.id,
            source=job.source.name,
            status=ending.status,
            counts=counts,
            traffic=traffic,
            seconds=seconds,
            error_code=ending.error_code,
            error_message=ending.error_message,
            anomalies=found,
        )

    def abandon(self, job: Job) -> None:
        """Close the run of a thread that does not come back in time; its epoch ends, so it can write nothing more."""
        message = "the process had to stop before the batch was done"
        ending = run_endings.Ending(
            status=RunStatus.INTERRUPTED, stage_seconds={}, error_code="interrupted", error_message=message
        )
        with self._database.transaction(timeout_seconds=1.0) as conn:
            leases.limit_waits(conn, lease_seconds=1.0)
            leases.fence(conn, job.lease)
            self._count_traffic(conn, job)
            self._close(conn, job, ending)

    def _count_traffic(self, conn: Connection, job: Job) -> None:
        """Add what was asked of the upstream and no batch has written. Behind the fence no batch comes any more."""
        traffic = job.unwritten_traffic(batches=runs.count_batches(conn, job.run.id))
        runs.count_up(conn, job.run.id, Counts(), traffic, batches=0)
        totals.count_up(conn, job.source.name, Counts(), traffic)

    def _close(self, conn: Connection, job: Job, ending: run_endings.Ending) -> float:
        seconds = run_endings.finish(conn, job.lease, job.run, ending)
        totals.count_run(conn, job.source.name, status=ending.status.value, seconds=seconds)
        if job.run.slice == LIVE:
            due = schedules.lock(conn, job.source.name)
            after = next_run.after(job.source, ending, due)
            schedules.note_end(conn, job.source.name, status=ending.status.value, state=after)
        leases.release(conn, job.lease)
        return seconds


def _by_records(conn: Connection, job: Job, ending: run_endings.Ending, counts: Counts) -> run_endings.Ending:
    """What a run that came to its end is called for what became of its records.

    With rejections that its source does not expect it is partial. It failed when it gave no quote and nothing was there
    as before; and when nothing was new since a run that failed so, for nothing got better.
    """
    if ending.status is RunStatus.SUCCEEDED and counts.rejected > counts.rejected_expected:
        why = rejections.describe(conn, job.source.name, job.run.id)
        ending = evolve(ending, status=RunStatus.PARTIAL, error_code=_REJECTIONS, error_message=why)
    is_partial = ending.status is RunStatus.PARTIAL
    gave_nothing = counts.read == (counts.rejected if is_partial else 0)
    if job.run.slice != LIVE or job.accept_rejections or not gave_nothing or ending.status not in _CAME_TO_ITS_END:
        return ending
    if is_partial and not job.seen.confirmed:
        return evolve(ending, status=RunStatus.FAILED)
    fruitless = run_endings.find_fruitless(conn, job.source.name)
    if fruitless is None:
        return ending
    why = ending.error_message or f"nothing is new since run {fruitless}, of which no record gave a quote"
    return evolve(ending, status=RunStatus.FAILED, error_code=ending.error_code or _REJECTIONS, error_message=why)
