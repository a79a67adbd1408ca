"""Keeping a lease: it is renewed while its run shows signs of life, and given up when they stop or it must be over.

A database that says nothing must not keep anybody waiting: then our own clock says when the lease is over.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kasparro import errors
from kasparro.clock import Clock
from kasparro.etl.job import Job
from kasparro.model import Lease
from kasparro.store import leases
from kasparro.store.db import Database
from kasparro.watchdog import Watchdog

logger = logging.getLogger(__name__)


class Heartbeat:
    """Renews the lease of one run. One that does not move for `stall_seconds` is told to end as stalled."""

    def __init__(self, database: Database, clock: Clock, *, lease_seconds: float, stall_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._watchdog = Watchdog(clock)
        self._lease_seconds = lease_seconds
        self._stall_seconds = stall_seconds

    @contextmanager
    def keep(self, job: Job) -> Iterator[None]:
        """Renew the job's lease every third of its length inside the block; `job.check` says when it is gone."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(job, done), name=f"heartbeat-{job.source.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=self._lease_seconds)

    def _beat(self, job: Job, done: threading.Event) -> None:
        fields = {"source": job.source.name, "run_id": job.run.id}
        # The lease lasts for its length from here at least.
        held_at = self._clock.monotonic()
        while not self._clock.wait(done, self._lease_seconds / 3):
            if job.idle_seconds > self._stall_seconds:
                logger.error("no progress, letting the lease go", extra=fields)
                wanted = f"no sign of life for {self._stall_seconds:g} s (KASPARRO_STALL_SECONDS)"
                job.lose(errors.StalledError(f"{job.lease.key}: {wanted}"))
                return
            asked_at = self._clock.monotonic()
            left_seconds = held_at + self._lease_seconds - asked_at
            try:
                self._renew(job.lease, seconds=max(left_seconds, self._lease_seconds / 3))
                held_at = asked_at
            except errors.LeaseLostError as ex:
                job.lose(ex)
                return
            except errors.ConflictError:
                # The run's own transaction has the row: the database answers, and that renews the lease itself.
                held_at = self._clock.monotonic()
            except errors.KasparroError as ex:
                logger.warning("lease not renewed", extra=fields | {"error": ex.message})
                if self._clock.monotonic() >= held_at + self._lease_seconds:
                    logger.error("the lease is over: it could not be renewed", extra=fields)
                    job.lose(errors.LeaseLostError(f"{job.lease.key}: the lease could not be renewed: {ex.message}"))
                    return

    def _renew(self, lease: Lease, *, seconds: float) -> None:
        """Extend it from now, within so many seconds, whatever the database does."""
        with (
            self._database.connection(timeout_seconds=seconds, patient=True) as conn,
            self._watchdog.limit(conn, seconds=seconds),
            conn.transaction(),
        ):
            leases.limit_waits(conn, lease_seconds=seconds)
            leases.renew(conn, lease, lease_seconds=self._lease_seconds)
