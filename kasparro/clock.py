"""Time, passed in: what a test replaces to make an hour pass in a microsecond.

Nothing else in the service asks the machine for the time. Across processes even this clock decides
nothing: leases, buckets and schedules go by the database's clock_timestamp().
"""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The three questions about time that the service asks."""

    def now(self) -> datetime:
        """The wall clock, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; only differences mean anything."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; True when it was set."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(seconds, 0.0))
