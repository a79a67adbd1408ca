"""The server beneath the API: binds, serves from threads, and stops without cutting an answer short.

Waitress does the work, but neither its serve() nor its close() ends well: an answer that is still being sent is cut,
and a client that stops reading holds a thread for ever. So its loop is run here, where both can be seen.
"""

import errno
import functools
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import waitress
from waitress import wasyncore
from waitress.server import BaseWSGIServer

from kasparro import errors
from kasparro.clock import Clock, SystemClock
from kasparro.http.channel import Channel
from kasparro.http.run_request import MAX_BODY_BYTES
from kasparro.metrics import HttpCounts

logger = logging.getLogger("kasparro.http")

# Requests served at once. They mostly wait for Postgres, so there are more than cores; streams may take four, the rest
# keeps answering probes. The connection pool must be larger by what the scheduler needs, or threads wait for it.
THREADS = 16

# Bytes of an answer that wait for a slow client before its thread waits too: what a stream costs in memory.
_BUFFERED_BYTES = 1024 * 1024
# Bytes of an answer above which waitress would write it to a temporary file: never, the file system may be read-only.
_SPOOL_BYTES = 1024 * 1024 * 1024
# Open connections, kept-alive ones included; below the usual limit of 1,024 descriptors.
_CONNECTIONS = 500
# Seconds a client may take nothing of an answer that waits for it.
STALL_SECONDS = 30.0
# Seconds between two looks at the connections, while serving and while stopping.
_LOOK_SECONDS = 1.0
_DRAIN_LOOK_SECONDS = 0.05
# Seconds for idle threads to end.
_THREAD_END_SECONDS = 1.0
# Connections that had arrived when stop() was called and are still taken.
_LAST_ACCEPTS = 20
# Tries to find a port that is free for IPv4 and IPv6, where any port will do.
_ANY_PORT_TRIES = 10
# What binding says where a machine has no such address family.
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Server:
    """Serves a WSGI application in a thread of its own. `host` may be a name, an address, or * for IPv4 and IPv6."""

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        threads: int = THREADS,
        *,
        clock: Clock | None = None,
        counts: HttpCounts | None = None,
    ) -> None:
        self._app = app
        self._host = host
        self._threads = threads
        self._clock = clock or SystemClock()
        self._counts = counts or HttpCounts(())
        self._map: dict[int, Any] = {}
        self._stop_at: float | None = None
        self._stopping = threading.Lock()
        self._thread: threading.Thread | None = None
        self.port = port

    def start(self) -> None:
        """Bind, and serve from now on; `port` tells which port, where 0 was asked for.

        Raises ConfigError when the address cannot be had.
        """
        sockets = _bind(self._host, self.port)
        self.port = sockets[0].getsockname()[1]
        self._dispatcher = waitress.create_server(
            self._app,
            map=self._map,
            sockets=sockets,
            threads=self._threads,
            ident=None,
            # Waitress takes what is smaller than this.
            max_request_body_size=MAX_BODY_BYTES + 1,
            outbuf_high_watermark=_BUFFERED_BYTES,
            outbuf_overflow=_SPOOL_BYTES,
            connection_limit=_CONNECTIONS,
        ).task_dispatcher
        self._listeners = [entry for entry in self._map.values() if isinstance(entry, BaseWSGIServer)]
        for listener in self._listeners:
            listener.channel_class = functools.partial(Channel, self._clock, self._counts)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Accept nothing more, wait up to `drain_seconds` until every answer is sent, then close."""
        if self._thread is None or self._stop_at is not None:
            return
        with self._stopping:
            self._stop_at = self._clock.monotonic() + drain_seconds
            self._listeners[0].pull_trigger()
        self._thread.join(drain_seconds + 2 * _THREAD_END_SECONDS)

    def _run(self) -> None:
        next_look = self._clock.monotonic() + _LOOK_SECONDS
        while self._stop_at is None:
            self._turn(_LOOK_SECONDS)
            if self._clock.monotonic() >= next_look:
                next_look = self._clock.monotonic() + _LOOK_SECONDS
                self._close_stalled()
        with self._stopping:
            # What wakes this thread up is closed below: not before it was pulled.
            stop_at = self._stop_at
        self._drain(stop_at)
        self._close()

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _drain(self, until: float) -> None:
        for _ in range(_LAST_ACCEPTS):
            self._turn(0.0)
        for listener in self._listeners:
            # The listening socket alone: threads still need the listener's trigger to have their answers sent.
            wasyncore.dispatcher.close(listener)
        while self._clock.monotonic() < until:
            self._turn(0.0)
            for channel in self._channels():
                if not _is_busy(channel):
                    channel.handle_close()
            if not self._channels():
                return
            self._turn(_DRAIN_LOOK_SECONDS)
        if self._channels():
            logger.warning("%d connections are closed before their answers were sent", len(self._channels()))

    def _close(self) -> None:
        for channel in self._channels():
            channel.handle_close()
        self._dispatcher.shutdown(timeout=_THREAD_END_SECONDS)
        # A thread that still runs may pull a trigger; closed, its descriptor could be somebody else's by then.
        if not self._dispatcher.threads:
            wasyncore.close_all(self._map)

    def _close_stalled(self) -> None:
        now = self._clock.now().timestamp()
        for channel in self._channels():
            if channel.total_outbufs_len and now - channel.last_activity > STALL_SECONDS:
                logger.warning("a client took nothing of its answer for %g s: its connection is closed", STALL_SECONDS)
                channel.handle_close()

    def _channels(self) -> list[Any]:
        return [channel for listener in self._listeners for channel in list(listener.active_channels.values())]


def _is_busy(channel: Any) -> bool:
    """Whether a request of this connection waits, is being answered, or its answer is not sent."""
    return bool(channel.requests or channel.total_outbufs_len)


def _bind(host: str, port: int) -> list[socket.socket]:
    for _ in range(_ANY_PORT_TRIES):
        try:
            return _bind_all(host, port)
        except OSError as ex:
            problem = ex
            if port != 0 or ex.errno != errno.EADDRINUSE:
                break
    raise errors.ConfigError([f"KASPARRO_PORT: cannot listen on {host}:{port}: {problem.strerror}"]) from problem


def _bind_all(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on all addresses of `host`, all on one port; families that the machine lacks are left out."""
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in _addresses(host):
            try:
                bound.append(_listen(family, address, bound[0].getsockname()[1] if bound else port))
            except OSError as ex:
                if ex.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = ex
        if not bound and missing is not None:
            raise missing
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _addresses(host: str) -> list[tuple[int, str]]:
    if host == "*":
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104 - that is what * asks for
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as ex:
        raise errors.ConfigError([f"KASPARRO_HOST: cannot resolve {host!r}: {ex.strerror}"]) from ex
    return list(dict.fromkeys((entry[0], str(entry[4][0])) for entry in found))


def _listen(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        # Two sockets may be bound to one port as long as neither listens: only now is it ours.
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock
