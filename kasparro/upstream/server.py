"""How do the stand-in upstreams run? On waitress, in threads of their own.

Commands and tests start and stop them; a stop takes less than a second, whatever is being answered.
"""

import socket
import threading
from types import TracebackType
from typing import Any, Self

import waitress.server
from waitress import wasyncore

from kasparro import clock as clocks
from kasparro import errors
from kasparro.upstream import app
from kasparro.upstream.options import Options

# Seconds that stop() gives running answers before their connections are cut.
_DRAIN_SECONDS = 0.5
# Seconds between two looks at the stop event, should the wake-up be missed.
_LOOK_SECONDS = 0.5
# Connections. Above what tests open at once; waitress' own default of 100 would make the 101st wait.
_CONNECTIONS = 500
# Bytes of an answer kept in memory. Above the largest one, so that none goes through a temporary file.
_BUFFER_BYTES = 16 * 2**20


class UpstreamServer:
    """The stand-in upstreams on a TCP port; port 0 takes a free one.

    Also a context manager: started on entry, stopped on exit. After a stop it may be started again, on the same port
    and with new state: what an outage looks like to a client.
    """

    def __init__(
        self,
        options: Options,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: clocks.Clock | None = None,
        threads: int = 8,
    ) -> None:
        self._options = options
        self._host = host
        self._port = port
        self._clock = clock or clocks.SystemClock()
        self._threads = threads
        self._stopping = threading.Event()
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The bound port; before start() the one asked for."""
        return self._port

    @property
    def coinpaprika_url(self) -> str:
        """The base URL for a source of CoinPaprika's format."""
        return f"{self._root}/v1"

    @property
    def coingecko_url(self) -> str:
        """The base URL for a source of CoinGecko's format."""
        return f"{self._root}/api/v3"

    @property
    def control_url(self) -> str:
        """The base URL of the control paths."""
        return f"{self._root}/_control"

    @property
    def _root(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> int:
        """Listen and serve; returns the bound port. Raises ConfigError when the address cannot be used."""
        if self._server is not None:
            return self._port
        self._stopping = threading.Event()
        standin = app.create(self._options, clock=self._clock, stopping=self._stopping)
        listener = self._listen()
        self._port = listener.getsockname()[1]
        self._server = waitress.server.create_server(
            standin,
            sockets=[listener],
            threads=self._threads,
            connection_limit=_CONNECTIONS,
            outbuf_overflow=_BUFFER_BYTES,
            ident="upstream",
        )
        self._thread = threading.Thread(target=self._loop, name="upstream", daemon=True)
        self._thread.start()
        return self._port

    def stop(self) -> None:
        """End slow answers, give running ones a moment, close every connection. Harmless when not running."""
        self._stopping.set()
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._server = self._thread = None
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown(timeout=_DRAIN_SECONDS)
        wasyncore.close_all(server._map, ignore_all=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except (OSError, OverflowError) as ex:
            listener.close()
            raise errors.ConfigError([f"upstream: cannot listen on {self._host}:{self._port}: {ex}"]) from ex
        return listener

    def _loop(self) -> None:
        server = self._server
        while not self._stopping.is_set():
            wasyncore.loop(timeout=_LOOK_SECONDS, use_poll=True, map=server._map, count=1)
