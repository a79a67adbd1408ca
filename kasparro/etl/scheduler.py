"""Which source runs now? A thread that asks the database once a second, and a thread for every run.

What is due stands in Postgres, so a restart neither skips nor doubles; who may run is decided by the lease, so any
number of schedulers may look at the same sources.
"""

import logging
import threading
from collections.abc import Mapping

from kasparro import errors
from kasparro.clock import Clock
from kasparro.etl import schedule
from kasparro.etl.pipeline import Pipeline
from kasparro.etl.source import Source
from kasparro.model import SchedulerState, Trigger

logger = logging.getLogger(__name__)

# Seconds between two looks at what is due; a queued run is to be taken within a second.
POLL_SECONDS = 0.5
# Seconds for writing that runs are given up; without it the next start finds them crashed.
ABANDON_SECONDS = 1.0
# Seconds without a look after which the scheduler counts as dead: many polls, and longer than any database wait.
DEAD_AFTER_SECONDS = 30.0


class Scheduler:
    """Runs what is due or queued, sources beside each other, each one once at a time."""

    def __init__(self, pipeline: Pipeline, sources: Mapping[str, Source], clock: Clock) -> None:
        self._pipeline = pipeline
        self._sources = {name: source for name, source in sources.items() if source.enabled}
        self._clock = clock
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._runs: dict[str, threading.Thread] = {}
        self._looked_at = clock.monotonic()

    def start(self) -> None:
        """Begin to look for what is due."""
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once: a run was queued."""
        self._wake.set()

    def stop(self, *, seconds: float) -> None:
        """Start nothing more and let runs end at their next batch; close those that take longer than `seconds`."""
        self._stop.set()
        self._wake.set()
        deadline = self._clock.monotonic() + seconds
        if self._thread is not None:
            # First, so that no run begins after the runs were listed.
            self._thread.join(timeout=seconds)
        for thread in list(self._runs.values()):
            thread.join(timeout=max(deadline - self._clock.monotonic(), 0.0))
        # In a thread of its own: a database that hangs must not keep the process from ending.
        closing = threading.Thread(target=self._pipeline.abandon, name="abandon", daemon=True)
        closing.start()
        closing.join(timeout=ABANDON_SECONDS)

    def state(self) -> SchedulerState:
        """Whether the scheduler looked lately."""
        alive = self._thread is not None and self._thread.is_alive()
        age_seconds = self._clock.monotonic() - self._looked_at
        recent = age_seconds < DEAD_AFTER_SECONDS
        return SchedulerState(enabled=True, alive=alive and recent, heartbeat_age_seconds=age_seconds)

    def _loop(self) -> None:
        known = False
        while not self._stop.is_set():
            try:
                if not known:
                    self._pipeline.schedule(self._intervals())
                    known = True
                self._start_due()
                self._pipeline.close_dead_slices(self._sources.values())
            except errors.KasparroError as ex:
                logger.warning("scheduler cannot look", extra={"code": ex.code, "error": ex.message})
            self._looked_at = self._clock.monotonic()
            self._clock.wait(self._wake, POLL_SECONDS)
            self._wake.clear()

    def _start_due(self) -> None:
        self._runs = {name: thread for name, thread in self._runs.items() if thread.is_alive()}
        idle = [name for name in self._sources if name not in self._runs]
        for name in self._pipeline.list_due(idle) if idle else []:
            thread = threading.Thread(target=self._run, args=(self._sources[name],), name=f"run-{name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as ex:
                # The machine has no thread to give: the source stays due, and is looked at again.
                logger.error("run not started", extra={"source": name, "error": str(ex)})
                return
            self._runs[name] = thread

    def _run(self, source: Source) -> None:
        try:
            self._pipeline.run(source, trigger=Trigger.SCHEDULE, stop=self._stop)
        except errors.SchemaError as ex:
            # Only a newer release may write now: this one's other runs end at their next batch.
            logger.error("scheduler ends", extra={"code": ex.code, "error": ex.message})
            self._stop.set()
            self._wake.set()
        except errors.KasparroError as ex:
            fields = {"source": source.name, "code": ex.code, "error": ex.message}
            logger.log(logging.INFO if ex.retryable else logging.ERROR, "run not done", extra=fields)

    def _intervals(self) -> dict[str, float]:
        now = self._clock.now()
        return {name: schedule.longest_gap_seconds(each.schedule, now=now) for name, each in self._sources.items()}
