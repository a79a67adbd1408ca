"""Forgetting what is old: by command, and once a day by one of the processes that schedule, be it `serve` or a cron.

Every transaction is short and bounded, so that ingestion and requests go on. One that was killed has simply pruned
less; the next goes on.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from attrs import asdict, evolve, frozen

from kasparro import errors
from kasparro.clock import Clock
from kasparro.etl.commit import Committer
from kasparro.store import chores, pruning
from kasparro.store.db import Connection, Database

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Blocks of a table that one transaction looks at: 16 MB, some tens of milliseconds.
_BLOCKS = 2048
# Rows of other tables that one transaction deletes.
_ROWS = 1000
_CHORE = "prune"
_DAY_SECONDS = 86_400.0
# Seconds between two looks at whether it is time.
_LOOK_SECONDS = 300.0

Step = Callable[[Connection], int]


@frozen(kw_only=True)
class Pruned:
    """How much of a source went."""

    raw_records: int = 0
    rejections: int = 0
    drifts: int = 0
    runs: int = 0


class Pruner:
    """Prunes until `stop` is set. Several at once, in whatever processes, do no harm."""

    def __init__(self, database: Database, committer: Committer, clock: Clock, stop: threading.Event) -> None:
        self._database = database
        self._committer = committer
        self._clock = clock
        self._stop = stop

    def prune(self, *, raw_days: int | None = None, keep_runs: int | None = None) -> dict[str, Pruned]:
        """Prune raw records that changed no quote for `raw_days`, and all but `keep_runs` ended runs of each source.

        Rejections that were resolved, and drifts that were closed, that long ago go with the raw records. What went, by
        source. Raises StoppedError when told to stop, DatabaseError when the database fails for longer than a lease
        lasts.
        """
        pruned: dict[str, Pruned] = {}
        if raw_days is not None:
            before = self._do(lambda conn: pruning.cutoff(conn, days=raw_days))
            for source in self._do(pruning.list_sources):
                raw = sum(self._do(step) for step in self._raw_steps(source, before))
                rejections = self._repeat(_deleting(pruning.delete_rejections, source, before))
                drifts = self._repeat(_deleting(pruning.delete_drifts, source, before))
                pruned[source] = Pruned(raw_records=raw, rejections=rejections, drifts=drifts)
        if keep_runs is not None:
            for old in self._do(lambda conn: pruning.list_old_runs(conn, keep=keep_runs)):
                so_far = pruned.get(old.source, Pruned())
                pruned[old.source] = evolve(so_far, runs=so_far.runs + self._repeat(_deleting_runs(old)))
        for source, each in pruned.items():
            logger.info("pruned", extra={"source": source, **asdict(each)})
        return pruned

    def prune_daily(self, *, raw_days: int) -> None:
        """Prune raw records once a day, in turn with other processes, until told to stop."""
        while not self._stop.is_set():
            self.try_if_due(raw_days=raw_days)
            self._clock.wait(self._stop, _LOOK_SECONDS)

    def try_if_due(self, *, raw_days: int) -> None:
        """As `prune_if_due`, but what goes wrong is only logged: the next look goes on."""
        try:
            self.prune_if_due(raw_days=raw_days)
        except errors.StoppedError:
            pass
        except errors.KasparroError as ex:
            logger.warning("not pruned", extra={"code": ex.code, "error": ex.message})
        except Exception:
            logger.exception("not pruned: this is a bug")

    def prune_if_due(self, *, raw_days: int) -> None:
        """Prune raw records, unless that was done within the last day or somebody is at it."""
        with self._database.connection() as conn:
            if not chores.claim(conn, _CHORE, every_seconds=_DAY_SECONDS):
                return
        done = False
        try:
            self.prune(raw_days=raw_days)
            done = True
        finally:
            with self._database.connection() as conn:
                chores.finish(conn, _CHORE, done=done)

    def _raw_steps(self, source: str, before: datetime) -> Iterator[Step]:
        blocks = self._do(lambda conn: pruning.count_blocks(conn, source))
        for first in range(0, blocks, _BLOCKS):
            some = range(first, min(first + _BLOCKS, blocks))

            def delete(conn: Connection, some: range = some) -> int:
                chores.extend(conn, _CHORE)
                pruning.lock_source(conn, source)
                return pruning.delete_raw(conn, source, some, before=before)

            yield delete

    def _repeat(self, step: Step) -> int:
        """Do a step until it finds nothing more."""
        total = found = self._do(step)
        while found:
            found = self._do(step)
            total += found
        return total

    def _do(self, step: Callable[[Connection], T]) -> T:
        """One short transaction, tried again after bad luck."""

        def attempt() -> T:
            with self._database.transaction() as conn:
                self._committer.limit_waits(conn)
                return step(conn)

        self._pause(0)
        return self._committer.retried(attempt, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        if self._clock.wait(self._stop, seconds):
            raise errors.StoppedError("the process was asked to stop")


def _deleting(delete: Callable[..., int], source: str, before: datetime) -> Step:
    return lambda conn: delete(conn, source, before=before, limit=_ROWS)


def _deleting_runs(old: pruning.OldRuns) -> Step:
    return lambda conn: pruning.delete_runs(conn, old, limit=_ROWS)
