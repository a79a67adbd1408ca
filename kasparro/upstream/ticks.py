"""Which tick is it, and what moment does it stand for? And: answers that are remembered while a tick lasts.

A tick is the only notion of time that prices know. It follows the wall clock, or stands still where it was pinned.
"""

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from kasparro import clock as clocks
from kasparro.upstream import checks
from kasparro.upstream.options import EPOCH

T = TypeVar("T")

# Seconds, some 150 years. A tick far beyond it could not be written as a date.
LAST_SECONDS = 5_000_000_000
# Answers. The pages of one walk fit twenty times over; a client that varies its page size must not eat the memory.
MAX_REMEMBERED = 300


class Ticks:
    """The tick that answers are made for. Safe to use from several threads."""

    def __init__(self, clock: clocks.Clock, *, tick_seconds: int, pinned: int | None) -> None:
        self._clock = clock
        self.tick_seconds = tick_seconds
        self._pinned: int | None = None
        self.pin(pinned)

    @property
    def pinned(self) -> int | None:
        """The tick that was pinned, or None while the wall clock decides."""
        return self._pinned

    def pin(self, tick: int | None) -> None:
        """Stand still at `tick`; None follows the wall clock again. Raises FieldError for a tick too far ahead."""
        if tick is not None and tick * self.tick_seconds > LAST_SECONDS:
            raise checks.FieldError("tick", f"at most {LAST_SECONDS // self.tick_seconds}", tick)
        self._pinned = tick

    def now(self) -> int:
        """The current tick: whole ticks since EPOCH, negative before it."""
        pinned = self._pinned
        if pinned is not None:
            return pinned
        return int((self._clock.now() - EPOCH).total_seconds() // self.tick_seconds)

    def seconds(self) -> int:
        """The current tick's moment in seconds since EPOCH."""
        return self.now() * self.tick_seconds


class Memory:
    """Values of the last moment asked for; another moment forgets them all."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._seconds: int | None = None
        self._values: dict[Hashable, Any] = {}

    def get(self, seconds: int, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned the first time for this moment and key; made once, the others wait for it.

        `make` may itself ask for other values of the same moment.
        """
        with self._lock:
            if self._seconds != seconds or len(self._values) >= MAX_REMEMBERED:
                self._seconds = seconds
                self._values = {}
            if key not in self._values:
                self._values[key] = make()
            value: T = self._values[key]
            return value


def moment(seconds: float) -> datetime:
    """`seconds` since EPOCH as an aware UTC time."""
    return EPOCH + timedelta(seconds=seconds)


def unix(seconds: float) -> int:
    """`seconds` since EPOCH as Unix seconds."""
    return int(EPOCH.timestamp() + seconds)


def stamp_seconds(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds: 2025-01-01T00:00:00Z."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_milliseconds(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: 2025-01-01T00:00:00.000Z."""
    when = moment(seconds)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"
