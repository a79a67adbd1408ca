"""Stage: one batch into the tables, with the checkpoint, in one transaction behind the fence; after a run, matching.

What is written, and in which SQL, is store/batches.py. This file owns the order and the retries after bad luck.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen

from kasparro import errors
from kasparro.clock import Clock
from kasparro.etl import identify
from kasparro.etl.content import Past
from kasparro.etl.job import Job
from kasparro.etl.refusals import Refusal
from kasparro.etl.source import Duplicates
from kasparro.fields import FieldNotes, Rename
from kasparro.model import REPLAY, Checkpoint, Normalised, Page
from kasparro.store import (
    batches,
    checkpoints,
    drifts,
    held_drifts,
    known_fields,
    known_listings,
    leases,
    listings,
    pruning,
    runs,
    totals,
    unended,
)
from kasparro.store.db import Connection, Database
from kasparro.tallies import Counts

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
class Batch:
    """Records of one page, normalised, that commit together; `notes` are what was found out about the page's fields."""

    page: Page
    items: Sequence[Normalised]
    ends_page: bool
    notes: FieldNotes | None = None
    refusal: Refusal | None = None


def origin_of(job: Job, page: Page) -> batches.Origin:
    """Where the records of a page come from, for the tables."""
    files = job.source.files
    return batches.Origin(
        source=job.source.name,
        slice=page.slice,
        run_id=job.run.id,
        constants=json.dumps(dict(page.constants)) if page.constants else None,
        ceiling=job.run.started_at + FUTURE_TOLERANCE,
        file=batches.File(rejects=files.duplicates is Duplicates.REJECT, anew=page.anew) if files is not None else None,
    )


def _end(job: Job, batch: Batch) -> unended.End | None:
    if job.source.files is None:
        return None
    return unended.End(
        source=job.source.name,
        slice=batch.page.slice,
        run_id=job.run.id,
        ceiling=job.run.started_at + FUTURE_TOLERANCE,
        unended=batch.page.unended > 0,
        anew=batch.page.anew,
        again=batch.page.again,
        inner=batch.page.inner,
    )


class Committer:
    """Writes what runs have read. One for the process; any thread may call it."""

    def __init__(self, database: Database, clock: Clock, *, lease_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._lease_seconds = lease_seconds

    def find_checkpoint(self, job: Job, slice_name: str) -> Checkpoint:
        """Where a slice stands."""

        def find() -> Checkpoint:
            with self._database.connection() as conn:
                return checkpoints.find(conn, job.source.name, slice_name)

        return self.retried(find, pause=job.pause)

    def past(self, job: Job) -> Past:
        """What was read of the job's source before."""

        def find(what: Callable[..., T], *which: Any) -> T:
            def ask() -> T:
                with self._database.connection() as conn:
                    return what(conn, job.source.name, *which)

            return self.retried(ask, pause=job.pause)

        return Past(
            find_known=partial(find, known_fields.find),
            find_listings=partial(find, known_listings.find),
            find_names=partial(find, known_listings.find_names),
        )

    def rename_fields(self, job: Job, *, with_ended: bool = False) -> None:
        """Let the run read its source with the renames in force; `with_ended`: with those that were, too."""

        def find() -> list[Rename]:
            with self._database.connection() as conn:
                return known_fields.list_renames(conn, job.source.name, with_ended=with_ended)

        job.source = job.source.renamed(self.retried(find, pause=job.pause))

    def load(self, job: Job, batch: Batch, reached: Checkpoint | None) -> None:
        """Commit one batch: records, counters and, where reading got to a point to resume from, the checkpoint."""
        origin, end = origin_of(job, batch.page), _end(job, batch)

        def write(conn: Connection) -> Counts:
            if batch.notes is not None:
                drifts.write(conn, job.source.name, job.run.id, batch.notes)
            removed, stands = unended.settle(conn, end) if end is not None else (0, False)
            with unended.noted(conn, end):
                counts = batches.load(
                    conn,
                    origin,
                    again=batch.page.inner or stands,
                    around_raw=lambda moment: job.at("raw", moment, conn=conn),
                )
            return evolve(counts, removed=counts.removed + removed)

        before = job.seconds["load"]
        self.commit(job, batch.items, write, reached=reached)
        job.note_batch(batch.page.slice, len(batch.items))
        job.seen.note_items(batch.items)
        seconds = round(job.seconds["load"] - before, 3)
        fields = {"stage": "load", "slice": batch.page.slice, "records": len(batch.items), "seconds": seconds}
        logger.info("batch committed", extra=fields)

    def quarantine(self, job: Job, batch: Batch) -> None:
        """Keep the rejected records of a batch that is not loaded, and why they were; the slice stays where it is."""
        origin, end = origin_of(job, batch.page), _end(job, batch)
        rejected = [item for item in batch.items if item.rejection is not None]

        def write(conn: Connection) -> Counts:
            if batch.notes is not None:
                # What such records look like is not what is usual.
                notes = evolve(batch.notes, learned={}, resolved=())
                drifts.write(conn, job.source.name, job.run.id, notes)
            drift_id = None
            if (why := batch.refusal) is not None:
                drift_id = held_drifts.find_newest(
                    conn, job.source.name, path=why.path, kind=why.kind, rescaled=why.rescaled
                )
            with unended.noted(conn, end):
                return batches.load_rejected(conn, origin, drift_id=drift_id)

        self.commit(job, rejected, write)
        job.note_batch(batch.page.slice, 0)

    def commit(
        self,
        job: Job,
        items: Sequence[Normalised],
        write: Callable[[Connection], Counts],
        *,
        reached: Checkpoint | None = None,
    ) -> None:
        """Stage the items and let `write` move them on behind the fence, in one transaction with what it counted.

        Done again after bad luck, and yet counted once. Nobody notes the batch: that is the caller's, when this ended.
        """
        traffic = job.take_traffic()

        def attempt() -> None:
            with self._database.transaction() as conn:
                leases.limit_waits(conn, lease_seconds=self._lease_seconds)
                batches.stage(conn, items, midway=lambda: job.at("copy", conn=conn))
                leases.fence(conn, job.lease)
                if runs.count_batches(conn, job.run.id) > job.batches:
                    # The connection broke in an earlier attempt just when this batch had been committed.
                    return
                pruning.hold_off(conn, job.source.name)
                job.at("load", conn=conn)
                counts = write(conn)
                runs.count_up(conn, job.run.id, counts, traffic, batches=1)
                totals.count_up(conn, job.source.name, counts, traffic)
                if job.run.slice == REPLAY:
                    totals.count_replayed(conn, job.source.name, counts)
                job.at("load", "after", conn=conn)
                if reached is not None:
                    job.at("checkpoint", conn=conn)
                    checkpoints.advance(conn, job.source.name, reached, run_id=job.run.id)
                    job.at("checkpoint", "after", conn=conn)
                leases.renew(conn, job.lease, lease_seconds=self._lease_seconds)
                job.at("commit", conn=conn)

        with job.stage("load"):
            self.retried(attempt, pause=job.pause)
        job.at("commit", "after")

    def match(self, job: Job) -> None:
        """Give new and renamed listings their assets, a few hundred symbol groups at a time."""

        def match_some() -> int:
            with self._database.transaction() as conn:
                leases.limit_waits(conn, lease_seconds=self._lease_seconds)
                listings.lock_matching(conn)
                symbols = listings.take_symbols(conn, limit=_MATCH_SYMBOLS)
                if symbols:
                    job.at("identify", conn=conn)
                    listings.write_matches(conn, identify.match(listings.list_by_symbols(conn, symbols)))
                return len(symbols)

        matched = 1
        while matched:
            job.check()
            with job.stage("match"):
                matched = self.retried(match_some, pause=job.pause)
            if matched:
                job.at("identify", "after")

    def limit_waits(self, conn: Connection) -> None:
        """Let this transaction neither wait nor idle for longer than a lease lasts."""
        leases.limit_waits(conn, lease_seconds=self._lease_seconds)

    def retried(self, attempt: Callable[[], T], *, pause: Callable[[float], None]) -> T:
        """Do `attempt` again after a lost race or a lost connection, for as long as a lease lasts."""
        deadline = self._clock.monotonic() + self._lease_seconds
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                return attempt()
            except (errors.ConflictError, errors.DatabaseUnavailableError) as ex:
                if self._clock.monotonic() > deadline:
                    # Whoever lost the lease meanwhile has nothing more to write.
                    pause(0)
                    raise
                logger.warning("transaction tried again", extra={"code": ex.code, "error": ex.message})
            # Half of it at random, so that two that met do not meet again.
            pause(wait_seconds * random.uniform(0.5, 1.0))
            wait_seconds = min(wait_seconds * 2, _MAX_WAIT_SECONDS)

    def sleep(self, seconds: float) -> None:
        """Wait even when told to stop: what is being written is how the run ended."""
        self._clock.wait(threading.Event(), seconds)
