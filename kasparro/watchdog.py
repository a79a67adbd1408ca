"""Waits on a socket that end in time, whatever the other side does.

A socket's own timeout limits one wait, and each byte that arrives begins another; some libraries know no timeout at
all. So a watchdog shuts down the socket of whoever takes longer than allowed: whatever it waits for then fails.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from kasparro.clock import Clock

# Seconds between two looks of the watchdog: how late it may cut, against waking up for nothing.
_TICK_SECONDS = 0.05
# Ticks without work after which the watchdog's thread ends; the next limit starts it again.
_IDLE_TICKS = 100


class Connected(Protocol):
    """A socket, or what has one: a database connection."""

    def fileno(self) -> int:
        """Its descriptor."""


class Watchdog:
    """Shuts down the sockets that are used for longer than allowed.

    One thread for all of them; it starts with the first limit and ends by itself when there is nothing to watch.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._never = threading.Event()
        self._lock = threading.Lock()
        self._armed: dict[int, tuple[float, socket.socket]] = {}
        self._last_key = 0
        self._running = False

    @contextmanager
    def limit(self, connected: Connected, *, seconds: float) -> Iterator[None]:
        """Let the block use the socket for `seconds`; after that whatever it waits for fails, or looks ended."""
        # A duplicate of the descriptor: the number of a closed one may belong to somebody else a moment later.
        with socket.socket(fileno=os.dup(connected.fileno())) as sock:
            with self._lock:
                self._last_key += 1
                key = self._last_key
                self._armed[key] = (self._clock.monotonic() + seconds, sock)
                if not self._running:
                    self._running = True
                    threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
            try:
                yield
            finally:
                with self._lock:
                    self._armed.pop(key, None)

    def _watch(self) -> None:
        idle_ticks = 0
        while True:
            self._clock.wait(self._never, _TICK_SECONDS)
            with self._lock:
                self._cut_overdue()
                idle_ticks = 0 if self._armed else idle_ticks + 1
                if idle_ticks > _IDLE_TICKS:
                    self._running = False
                    return

    def _cut_overdue(self) -> None:
        now = self._clock.monotonic()
        for key in [key for key, (deadline, _) in self._armed.items() if deadline <= now]:
            _, sock = self._armed.pop(key)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
