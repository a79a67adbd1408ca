"""May this request pass now? At most so many in any window, and how long to wait otherwise.

The window slides: what it admits is never more than the limit, wherever one starts to count. Refused requests do
not count.
"""

import threading
from collections import deque

from kasparro.upstream.options import Limit


class Limiter:
    """One upstream's limit. Safe to use from several threads."""

    def __init__(self, limit: Limit) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._admitted: deque[float] = deque()

    @property
    def limit(self) -> Limit:
        """The limit in force."""
        return self._limit

    def change(self, limit: Limit) -> None:
        """Put another limit in force; what was admitted before is forgotten."""
        with self._lock:
            self._limit = limit
            self._admitted.clear()

    def spend(self, monotonic: float) -> float | None:
        """Admit a request at this time (seconds): None when it passes, else the seconds until the next one may."""
        with self._lock:
            limit = self._limit
            if limit.requests is None:
                return None
            while self._admitted and self._admitted[0] <= monotonic - limit.window_seconds:
                self._admitted.popleft()
            if len(self._admitted) < limit.requests:
                self._admitted.append(monotonic)
                return None
            if not self._admitted:
                return limit.window_seconds
            return self._admitted[0] + limit.window_seconds - monotonic
