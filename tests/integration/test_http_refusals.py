"""What the server answers by itself looks like every other error of the API."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kasparro.http import server
from kasparro.http.run_request import MAX_BODY_BYTES

MEMBERS = {"type", "title", "status", "detail", "code", "errors", "request_id", "api_latency_ms"}
POST = b"POST /runs HTTP/1.1\r\nHost: x\r\nX-Request-ID: r-1\r\n"
# Bytes of headers that waitress takes; all of them are read before it answers, so that no reset overtakes the answer.
MAX_HEADER_BYTES = 262_144


def accept_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An application that tells how long the body was."""
    text = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server."""
    served = server.Server(accept_body, "127.0.0.1", 0, 2)
    served.start()
    yield served.port
    served.stop(0.0)


def exchange(port: int, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the answer to these bytes; the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    ("request_bytes", "status", "code", "detail"),
    [
        (POST + b"Content-Length: 65537\r\n\r\n", 413, "body_too_large", "at most 65536 bytes"),
        (POST + b"Content-Length: ten\r\n\r\n", 400, "bad_request", "Content-Length is invalid"),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "not_implemented", "Transfer-Encoding"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n", 400, "bad_request", "chunk"),
        (b"GET /\r\nno header\r\n\r\n", 400, "bad_request", "Invalid header"),
        ((POST + b"X: ").ljust(MAX_HEADER_BYTES, b"x"), 431, "headers_too_large", "too long"),
    ],
)
def test_refusal_of_the_server_is_a_problem(
    port: int, request_bytes: bytes, status: int, code: str, detail: str
) -> None:
    """The same members and headers as of any problem."""
    line, headers, text = exchange(port, request_bytes)
    body = json.loads(text)
    assert line.startswith((f"HTTP/1.1 {status} {body['title']}", f"HTTP/1.0 {status} {body['title']}"))
    assert headers["Content-Type"] == "application/problem+json"
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert headers["Server-Timing"].startswith("total;dur=")
    assert int(headers["Content-Length"]) == len(text)
    assert body.keys() == MEMBERS
    assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code)
    assert detail in body["detail"]
    assert body["request_id"] == headers["X-Request-Id"]


def test_refusal_keeps_the_id_of_the_request(port: int) -> None:
    """Where its headers could be read."""
    _, headers, _ = exchange(port, POST + b"Content-Length: 65537\r\n\r\n")
    assert headers["X-Request-Id"] == "r-1"


def test_refusal_has_a_line_in_the_access_log(port: int, caplog: Any) -> None:
    """As every request has."""
    with caplog.at_level(logging.INFO, logger="kasparro.http"):
        exchange(port, POST + b"Content-Length: 65537\r\n\r\n")
    assert [record.getMessage() for record in caplog.records if hasattr(record, "bytes")] == ["POST (unknown) 413"]


def test_largest_body_is_taken(port: int) -> None:
    """At most is at most."""
    size = str(MAX_BODY_BYTES).encode()
    request = POST + b"Connection: close\r\nContent-Length: " + size + b"\r\n\r\n" + b"x" * MAX_BODY_BYTES
    status, _, body = exchange(port, request)
    assert (status, body) == ("HTTP/1.1 200 OK", size)
