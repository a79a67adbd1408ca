"""One run of one source, its stages in order. Read `Pipeline.run` and `Pipeline._ingest` first: they are the story.

What each stage decides lives in its own file, how rows are written lives in store/, holding the lease in tenure.py.
This file owns the order of the stages, the batch transaction and what a run's end is called.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from attrs import asdict, frozen

from kasparro import errors, log
from kasparro.clock import Clock
from kasparro.etl import ahead, ask, checkpoint, fetch, identify, normalise, tenure
from kasparro.etl.job import Job, Progress
from kasparro.etl.readers import BATCH_RECORDS, Reader
from kasparro.etl.readers.json_api import Get
from kasparro.etl.source import Order, Source
from kasparro.model import Checkpoint, Normalised, Page, RunResult, RunStatus, Traffic, Trigger
from kasparro.store import batches, checkpoints, leases, listings, runs, schedules, totals
from kasparro.store.db import Connection, Database

logger = logging.getLogger(__name__)
T = TypeVar("T")

# An observation further ahead of the run's start than this is future-dated: clocks differ, but not by more.
FUTURE_TOLERANCE = timedelta(minutes=5)
# Symbol groups that are matched in one transaction: some thousand listings.
_MATCH_SYMBOLS = 500
# Seconds before a batch that lost a race or its connection is tried again, doubled each time up to the maximum.
_FIRST_WAIT_SECONDS = 0.05
_MAX_WAIT_SECONDS = 2.0


@frozen(kw_only=True)
class Settings:
    """What running sources takes; see tenure.Settings."""

    tenure: tenure.Settings
    batch_records: int = BATCH_RECORDS


@frozen(kw_only=True)
class _Batch:
    """Records of one page, normalised, that commit together."""

    page: Page
    items: Sequence[Normalised]
    ends_page: bool


class Pipeline:
    """Runs sources. One for the process; any thread may call it."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        http: fetch.Http,
        open_reader: Callable[[Source, Get], Reader],
        settings: Settings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._http = http
        self._open_reader = open_reader
        self._settings = settings
        self._tenure = tenure.Tenure(database, clock, settings.tenure)
        self._running: dict[str, Job] = {}

    def run(
        self,
        source: Source,
        *,
        trigger: Trigger,
        stop: threading.Event,
        watch: Callable[[Progress], None] | None = None,
    ) -> RunResult | None:
        """Ingest what is new in `source`; however the run ends, its record says so.

        None when a scheduled run turns out not to be due any more. Raises BusyError when somebody else runs the
        source, StoppedError when told to stop before it began, LeaseLostError when somebody took over meanwhile, and
        DatabaseError when the end cannot be written.
        """
        claimed = self._tenure.claim(source, trigger, stop)
        if claimed is None:
            return None
        run, lease = claimed
        job = Job(run=run, lease=lease, source=source, clock=self._clock, stop=stop, watch=watch)
        self._running[source.name] = job
        try:
            with log.bind(run_id=run.id, source=source.name), self._tenure.heartbeat(job):
                logger.info("run started", extra={"trigger": run.trigger.value, "resumed_from": run.resumed_from})
                ending = self._attempt(job)
                traffic = job.take_traffic()
                result = self._retried(lambda: self._tenure.end(job, ending, traffic), pause=self._sleep)
                _log_end(result)
                return result
        finally:
            self._running.pop(source.name, None)

    def list_due(self, sources: Sequence[str]) -> list[str]:
        """Which of `sources` are due or queued and not being run by anybody."""
        with self._database.connection() as conn:
            return schedules.list_due(conn, sources)

    def schedule(self, latest: Mapping[str, float]) -> None:
        """Make every source due: a new one at once, a known one within the seconds given (its own interval)."""
        with self._database.transaction() as conn:
            schedules.ensure(conn, latest)

    def abandon(self) -> None:
        """Close the runs whose threads did not come back: the process is about to end."""
        for job in list(self._running.values()):
            try:
                self._tenure.abandon(job.source, job.lease)
            except errors.KasparroError as ex:
                logger.warning("run left open", extra={"run_id": job.run.id, "error": ex.message})

    def _attempt(self, job: Job) -> runs.Ending:
        """Do the work and say how it ended."""
        try:
            self._ingest(job)
        except errors.StoppedError as ex:
            return _ending(job, RunStatus.INTERRUPTED, ex)
        except errors.LeaseLostError:
            raise
        except errors.KasparroError as ex:
            return _ending(job, RunStatus.FAILED, ex)
        except Exception:
            logger.exception("run failed: this is a bug")
            bug = errors.KasparroError("unexpected error; the log has the traceback", code="internal_error")
            return _ending(job, RunStatus.FAILED, bug)
        if not job.slice_errors:
            return _ending(job, RunStatus.SUCCEEDED)
        first, more = job.slice_errors[0], len(job.slice_errors) - 1
        error = errors.SliceError(first.message + (f" (and {more} more)" if more else ""), code=first.code)
        return _ending(job, RunStatus.PARTIAL if len(job.slice_errors) < job.slices else RunStatus.FAILED, error)

    def _ingest(self, job: Job) -> None:
        reader = self._open_reader(job.source, ask.asker(self._http, job))
        normaliser = normalise.compile_source(job.source)
        for slice_name in reader.slices():
            job.slices += 1
            try:
                self._ingest_slice(job, reader, normaliser, slice_name)
            except errors.SliceError as ex:
                logger.error("slice failed", extra={"slice": slice_name, "code": ex.code, "error": ex.message})
                job.slice_errors.append(ex)
        self._match(job)

    def _ingest_slice(self, job: Job, reader: Reader, normaliser: normalise.Normaliser, slice_name: str) -> None:
        start = self._retried(lambda: self._find_checkpoint(job.source.name, slice_name), pause=job.pause)
        newest, in_order = checkpoint.pending(start), job.source.order is Order.SORTED
        batches_to_come = self._prepare(job, reader, normaliser, start)
        for batch in ahead.ahead(batches_to_come, check=job.check, name=f"read-{job.source.name}"):
            newest = checkpoint.newest(batch.items, newest, started_at=job.run.started_at)
            reached = checkpoint.reached(batch.page, newest, in_order=in_order) if batch.ends_page else None
            if batch.items or (reached is not None and not checkpoint.same_place(reached, start)):
                self._load(job, batch, reached)

    def _find_checkpoint(self, source: str, slice_name: str) -> Checkpoint:
        with self._database.connection() as conn:
            return checkpoints.find(conn, source, slice_name)

    def _prepare(
        self, job: Job, reader: Reader, normaliser: normalise.Normaliser, start: Checkpoint
    ) -> Iterator[_Batch]:
        """Read and normalise, batch by batch. A page without records is one empty batch: it may end its slice."""
        pages = reader.read(start.slice, start)
        size = self._settings.batch_records
        while True:
            with job.stage("read"):
                page = next(pages, None)
            if page is None:
                return
            job.add_traffic(Traffic(bytes_read=page.bytes_read))
            for begin in range(0, max(len(page.records), 1), size):
                with job.stage("normalise"):
                    items = [normaliser(record, page.constants) for record in page.records[begin : begin + size]]
                yield _Batch(page=page, items=items, ends_page=begin + size >= len(page.records))

    def _load(self, job: Job, batch: _Batch, reached: Checkpoint | None) -> None:
        """Commit one batch: records, counters and, where reading got to a point to resume from, the checkpoint."""
        traffic = job.take_traffic()
        origin = batches.Origin(
            source=job.source.name,
            slice=batch.page.slice,
            run_id=job.run.id,
            constants=json.dumps(dict(batch.page.constants)) if batch.page.constants else None,
            ceiling=job.run.started_at + FUTURE_TOLERANCE,
        )

        def commit() -> None:
            with self._database.transaction() as conn:
                self._write(conn, job, origin, batch.items, traffic, reached)

        try:
            with job.stage("load"):
                self._retried(commit, pause=job.pause)
        except BaseException:
            # It was asked of the upstream all the same: the run's end counts it.
            job.add_traffic(traffic)
            raise
        job.note_batch(batch.page.slice, len(batch.items))
        logger.debug("batch committed", extra={"slice": batch.page.slice, "records": len(batch.items)})

    def _write(
        self,
        conn: Connection,
        job: Job,
        origin: batches.Origin,
        items: Sequence[Normalised],
        traffic: Traffic,
        reached: Checkpoint | None,
    ) -> None:
        seconds = self._settings.tenure.lease_seconds
        leases.limit_waits(conn, lease_seconds=seconds)
        batches.stage(conn, items)
        leases.fence(conn, job.lease)
        if runs.count_batches(conn, job.run.id) > job.batches:
            # The connection broke in an earlier attempt just when this batch had been committed.
            return
        counts = batches.load(conn, origin)
        runs.count_up(conn, job.run.id, counts, traffic, batches=1)
        totals.count_up(conn, job.source.name, counts, traffic)
        if reached is not None:
            checkpoints.advance(conn, job.source.name, reached, run_id=job.run.id)
        leases.renew(conn, job.lease, lease_seconds=seconds)

    def _match(self, job: Job) -> None:
        """Give new and renamed listings their assets, a few hundred symbol groups at a time."""

        def match_some() -> int:
            with self._database.transaction() as conn:
                leases.limit_waits(conn, lease_seconds=self._settings.tenure.lease_seconds)
                listings.lock_matching(conn)
                symbols = listings.take_symbols(conn, limit=_MATCH_SYMBOLS)
                if symbols:
                    listings.write_matches(conn, identify.match(listings.list_by_symbols(conn, symbols)))
                return len(symbols)

        matched = 1
        while matched:
            job.check()
            with job.stage("match"):
                matched = self._retried(match_some, pause=job.pause)

    def _retried(self, attempt: Callable[[], T], *, pause: Callable[[float], None]) -> T:
        """Do `attempt` again after a lost race or a lost connection, for as long as a lease lasts."""
        deadline = self._clock.monotonic() + self._settings.tenure.lease_seconds
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                return attempt()
            except (errors.ConflictError, errors.DatabaseUnavailableError) as ex:
                if self._clock.monotonic() > deadline:
                    raise
                logger.warning("transaction tried again", extra={"code": ex.code, "error": ex.message})
            # Half of it at random, so that two that met do not meet again.
            pause(wait_seconds * random.uniform(0.5, 1.0))
            wait_seconds = min(wait_seconds * 2, _MAX_WAIT_SECONDS)

    def _sleep(self, seconds: float) -> None:
        """Wait even when told to stop: what is being written is how the run ended."""
        self._clock.wait(threading.Event(), seconds)


def _ending(job: Job, status: RunStatus, error: errors.KasparroError | None = None) -> runs.Ending:
    return runs.Ending(
        status=status,
        stage_seconds=dict(job.seconds),
        error_code=error.code if error else None,
        error_message=error.message if error else None,
    )


def _log_end(result: RunResult) -> None:
    level = logging.INFO if result.status is RunStatus.SUCCEEDED else logging.WARNING
    fields = {"status": result.status.value, "seconds": round(result.seconds, 3), **asdict(result.counts)}
    if result.error_message:
        fields |= {"code": result.error_code, "error": result.error_message}
    logger.log(level, "run ended", extra=fields)
