"""Who asked for what, and when? Every request to an upstream path, for a test to look at afterwards.

Keys are masked before they come here, in headers and in queries.
"""

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

# Requests. A day of the demo fits; without a bound a stand-in left running would grow for ever.
MAX_ENTRIES = 20_000


@frozen(kw_only=True)
class Entry:
    """One request: `at` is its wall-clock time, `monotonic` seconds of a clock for differences, both at its arrival."""

    at: str
    monotonic: float
    upstream: str
    method: str
    path: str
    query: Mapping[str, str]
    status: int
    key: str | None


class RequestLog:
    """The newest requests in the order of their answers. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)

    def add(self, entry: Entry) -> None:
        """Remember a request; the oldest is forgotten when there are too many."""
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def entries(self) -> list[dict[str, Any]]:
        """The entries as JSON objects."""
        with self._lock:
            return [asdict(entry) for entry in self._entries]
