"""One source's way to its bucket: each question is one short transaction that holds nothing but the bucket's row."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from kasparro.etl import bucket
from kasparro.etl.bucket import Decision
from kasparro.etl.commit import Committer
from kasparro.etl.job import Job
from kasparro.model import BucketState
from kasparro.store import buckets
from kasparro.store.db import Database

T = TypeVar("T")


class Purse:
    """Spends from the bucket that the job's source shares with all who use its key."""

    def __init__(self, database: Database, committer: Committer, job: Job) -> None:
        self._database = database
        self._committer = committer
        self._job = job
        self._name = job.source.bucket
        self._limit = job.source.limits.as_limit()

    def spend(self) -> Decision:
        """Pay for one request, or hear how long to wait."""

        def decide(state: BucketState, now: datetime) -> tuple[BucketState, Decision]:
            decision = bucket.spend(state, self._limit, now=now)
            return decision.state, decision

        return self._change(decide)

    def block(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        self._change(lambda state, now: (bucket.block(state, self._limit, seconds=seconds, now=now), None))

    def correct(self, *, remaining: int, reset_seconds: float | None) -> None:
        """Take over what the upstream says is left."""
        self._change(
            lambda state, now: (
                bucket.correct(state, self._limit, remaining=remaining, reset_seconds=reset_seconds, now=now),
                None,
            )
        )

    def _change(self, decide: Callable[[BucketState, datetime], tuple[BucketState, T]]) -> T:
        def attempt() -> T:
            with self._database.transaction() as conn:
                self._committer.limit_waits(conn)
                state, now = buckets.lock(conn, self._name, tokens=float(self._limit.burst))
                changed, answer = decide(state, now)
                buckets.update(conn, self._name, changed)
                return answer

        return self._committer.retried(attempt, pause=self._job.pause)
