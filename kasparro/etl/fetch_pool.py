"""Connections to upstreams that show their socket to whoever sends a request, before the first byte of its answer.

urllib3 gives a response to its caller once all headers are there; until then nobody else could end the wait for them.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from kasparro.watchdog import Connected, Watchdog

# Idle connections to one host that are kept: more than sources run at a time of one, for urllib3 warns of each beyond.
_IDLE_CONNECTIONS = 256
# What this thread wants done with the socket of the request that it is sending.
_note_socket: ContextVar[Callable[[Connected], Any]] = ContextVar("kasparro_note_socket")


@contextmanager
def watched(watchdog: Watchdog, *, left_seconds: Callable[[], float]) -> Iterator[None]:
    """Let the block wait for the answer to its one request for `left_seconds()`, asked once that was sent."""
    with contextlib.ExitStack() as limits:
        token = _note_socket.set(lambda sock: limits.enter_context(watchdog.limit(sock, seconds=left_seconds())))
        try:
            yield
        finally:
            _note_socket.reset(token)


class _HttpConnection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        _note_socket.get()(self.sock)
        return super().getresponse()


class _HttpsConnection(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        _note_socket.get()(self.sock)
        return super().getresponse()


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def create() -> urllib3.PoolManager:
    """A pool of such connections; nothing is asked twice by it."""
    pool = urllib3.PoolManager(num_pools=8, maxsize=_IDLE_CONNECTIONS, retries=False)
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool
