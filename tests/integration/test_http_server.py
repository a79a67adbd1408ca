"""The server on real sockets: binding, limits, clients that stall or leave, and stopping without cutting answers."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import api_fixtures as fixtures
import pytest

from kasparro import errors
from kasparro.http import server

CHUNK = b"\x00" * 65536


class Body:
    """A response body that waits for `go` before its last chunk, and tells when it is closed."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.go = threading.Event()
        self.started = threading.Event()
        self.closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> "Body":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        self.started.set()
        for _ in range(self.chunks):
            yield CHUNK
        self.go.wait(20)
        yield b"end"

    def close(self) -> None:
        self.closed.set()


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The smallest application."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def serve() -> Iterator[Callable[..., server.Server]]:
    """Start servers on free ports; all are stopped at the end."""
    started: list[server.Server] = []

    def start(app: Any, host: str = "127.0.0.1", port: int = 0) -> server.Server:
        made = server.Server(app, host, port, 4)
        made.start()
        started.append(made)
        return made

    yield start
    for made in started:
        made.stop(0.0)


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port), timeout=10)


def ask(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def read_hello(sock: socket.socket) -> bytes:
    """An answer of hello(), or as much of it as there is."""
    text = b""
    with contextlib.suppress(ConnectionError):
        while not text.endswith(b"hello") and (part := sock.recv(500)):
            text += part
    return text


def stopping(made: server.Server, seconds: float) -> threading.Thread:
    thread = threading.Thread(target=made.stop, args=(seconds,))
    thread.start()
    return thread


def test_port_0_is_any_free_port(serve: Any) -> None:
    """The server tells which one it got, and does not tell what it is."""
    made = serve(hello)
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"hello")
    assert response.getheader("Server") is None


def test_taken_port_is_named(serve: Any) -> None:
    """One line that says what to change."""
    made = serve(hello)
    with pytest.raises(errors.ConfigError, match=rf"KASPARRO_PORT: cannot listen on 127\.0\.0\.1:{made.port}: "):
        serve(hello, port=made.port)


@pytest.mark.parametrize(("host", "name"), [("no.such.host.invalid", "KASPARRO_HOST"), ("192.0.2.1", "KASPARRO_PORT")])
def test_address_that_is_not_ours_is_named(serve: Any, host: str, name: str) -> None:
    """A name that nobody knows, and an address of another machine."""
    with pytest.raises(errors.ConfigError, match=name):
        serve(hello, host=host)


def test_star_is_every_address_on_one_port(serve: Any) -> None:
    """IPv4, and IPv6 where the machine has it."""
    made = serve(hello, host="*")
    hosts = ["127.0.0.1"]
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", made.port)) == 0:
            hosts.append("::1")
    for host in hosts:
        with connect(made.port, host) as sock:
            ask(sock)
            assert read_hello(sock).startswith(b"HTTP/1.1 200")


def test_large_body_is_refused(serve: Any) -> None:
    """Before the application sees any of it."""
    made = serve(hello)
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=10)
    connection.request("POST", "/", body=b"x" * 70_000)
    assert connection.getresponse().status == 413


def test_stop_waits_for_an_answer_in_the_making(serve: Any) -> None:
    """Nothing that was begun is cut."""
    body = Body(chunks=1)
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        body.started.wait(10)
        stop = stopping(made, 10)
        body.go.set()
        assert read_all(sock).endswith(b"end\r\n0\r\n\r\n")
    stop.join(10)
    assert not stop.is_alive()
    assert body.closed.is_set()


def test_stop_waits_for_a_long_answer_to_a_slow_client(serve: Any) -> None:
    """What the application has handed over is not yet sent: twenty megabytes arrive whole."""
    body = Body(chunks=320)
    body.go.set()
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        body.started.wait(10)
        stop = stopping(made, 10)
        time.sleep(0.3)
        answer = read_all(sock)
    assert answer.count(b"\x00") == 320 * len(CHUNK)
    assert answer.endswith(b"end\r\n0\r\n\r\n")
    stop.join(10)
    assert not stop.is_alive()


def test_stop_gives_up_on_an_answer_that_never_ends(serve: Any) -> None:
    """The time to stop is limited, whatever a request does."""
    body = Body(chunks=1)
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        body.started.wait(10)
        started = time.monotonic()
        made.stop(0.5)
        assert 0.4 < time.monotonic() - started < 3
        assert not read_all(sock).endswith(b"0\r\n\r\n")
    body.go.set()


def test_stop_does_not_wait_for_idle_connections(serve: Any) -> None:
    """A browser keeps connections open that nobody uses."""
    made = serve(hello)
    with connect(made.port) as idle, connect(made.port) as used:
        ask(used)
        assert read_hello(used).endswith(b"hello")
        started = time.monotonic()
        made.stop(10)
        assert time.monotonic() - started < 2
        assert read_all(idle) == read_all(used) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(made.port)


def test_stop_answers_requests_that_had_arrived(serve: Any) -> None:
    """Fifty clients in the moment of the stop: who got through is answered, nobody gets half an answer."""
    made = serve(hello)

    def request(_: int) -> bytes:
        with contextlib.suppress(ConnectionError), connect(made.port) as sock:
            ask(sock)
            return read_hello(sock)
        return b""

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(request, number) for number in range(50)]
        time.sleep(0.01)
        made.stop(5)
        texts = {answer.result() for answer in answers}
    assert all(text == b"" or text.endswith(b"hello") for text in texts)


def test_stop_without_start_and_twice_does_nothing(serve: Any) -> None:
    """Whatever went wrong before, stopping is safe."""
    server.Server(hello, "127.0.0.1", 0).stop(1)
    made = serve(hello)
    made.stop(1)
    made.stop(1)


def test_client_that_stops_reading_is_disconnected(serve: Any, monkeypatch: Any) -> None:
    """Its thread and whatever its answer holds are free again."""
    monkeypatch.setattr(server, "STALL_SECONDS", 0.5)
    body = Body(chunks=2000)
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        assert sock.recv(10)
        assert body.closed.wait(10)


def test_client_that_reads_slowly_is_not_disconnected(serve: Any, monkeypatch: Any) -> None:
    """Slow is not stalled."""
    monkeypatch.setattr(server, "STALL_SECONDS", 0.8)
    body = Body(chunks=400)
    body.go.set()
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        received = 0
        for _ in range(5):
            time.sleep(0.25)
            received += len(sock.recv(1 << 20))
        assert (received + len(read_all(sock))) > 400 * len(CHUNK)


def test_client_that_leaves_ends_its_answer(serve: Any) -> None:
    """Nobody computes what nobody reads."""
    body = Body(chunks=100_000)
    made = serve(body)
    with connect(made.port) as sock:
        ask(sock)
        assert sock.recv(10)
    assert body.closed.wait(10)


def test_api_over_the_wire(dsn: str, serve: Any) -> None:
    """The application and the server fit: pages, streams, problems, and keep-alive between them."""
    with fixtures.serve(dsn) as api:
        listing = fixtures.add_listing(api.conn, "csv", "x")
        fixtures.add_quote(api.conn, listing, fixtures.START)
        made = serve(api.client.app)
        connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=10)
        seen = []
        for method, target in (
            ("GET", "/data"), ("HEAD", "/data"), ("GET", "/data?format=csv"), ("HEAD", "/data?format=ndjson"),
            ("GET", "/data?x=1"), ("BREW", "/data"), ("GET", "/runs/%00"), ("GET", "/health"),
        ):  # fmt: skip
            connection.request(method, target, headers={"X-Request-ID": "w-1"})
            response = connection.getresponse()
            response.read()
            assert response.getheader("X-Request-ID") == "w-1"
            seen.append(response.status)
        made.stop(2)
    assert seen == [200, 200, 200, 200, 400, 405, 404, 200]
