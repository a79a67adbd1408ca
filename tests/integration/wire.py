"""A wire to Postgres that can be frozen: how a stopped server looks, or a network that swallows everything."""

import contextlib
import socket
import threading
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Wire:
    """Forwards connections from a port of its own to the server of `dsn`; `dsn` of the wire leads through it."""

    def __init__(self, dsn: str) -> None:
        target = conninfo_to_dict(dsn)
        self._host, self._port = str(target.get("host", "127.0.0.1")), int(str(target.get("port") or 5432))
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_conninfo(
            dsn, host="127.0.0.1", port=self._listener.getsockname()[1], sslmode="disable", gssencmode="disable"
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.thaw()
        self.cut()

    def freeze(self) -> None:
        """From now on nothing arrives, and nothing says so."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Everything arrives again, what was held back first."""
        self._flowing.set()

    def cut(self) -> None:
        """End every connection, as a restart of the server does."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return sock

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), target:
            while data := source.recv(65536):
                self._flowing.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
