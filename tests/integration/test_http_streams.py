"""CSV and JSON lines of any length: constant memory, a few at a time, nothing left behind."""

import csv
import io
import logging
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import api_fixtures as fixtures
import pytest
from falcon.testing import create_environ

from kasparro import errors
from kasparro.http import server, streams

ROWS = 40_000


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """Many rows of one listing, whose names are hard on every format."""
    with fixtures.serve_clone(databases) as api:
        listing = fixtures.add_listing(api.conn, "csv", 'a\\b "q"\x01\x02', symbol="=1+1", slug="a, b\n\u00e9")
        api.conn.execute(
            """
            insert into quotes (listing_id, observed_at, price_usd, content_hash, run_id, ingested_at)
            select %s, %s + n * interval '1 second', n, gen_random_uuid(), 1, now()
            from generate_series(1, %s) n
            """,
            (listing, fixtures.START, ROWS),
        )
        yield api


@contextmanager
def opened(api: fixtures.Api, query: str) -> Iterator[Any]:
    """A response's body as a WSGI server gets it, closed as a WSGI server does."""
    body = api.client.app(create_environ("/data", query_string=query), lambda *_: None)
    try:
        yield body
    finally:
        body.close()


def lent(api: fixtures.Api) -> int:
    """Connections of the pool that somebody holds."""
    stats = api.database.stats()
    return stats["pool_size"] - stats["pool_available"]


def wait_until_returned(api: fixtures.Api) -> None:
    """The pool replaces closed connections in a thread of its own; the test's own time limit ends this."""
    while lent(api):
        time.sleep(0.01)


@pytest.mark.parametrize("text_format", ["csv", "ndjson"])
def test_stream_takes_the_same_memory_for_any_number_of_rows(api: fixtures.Api, text_format: str) -> None:
    """Megabytes pass, kilobytes stay."""
    with opened(api, f"format={text_format}") as body:
        chunks = iter(body)
        size = len(next(chunks))
        tracemalloc.start()
        size += sum(len(chunk) for chunk in chunks)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 500_000


def test_difficult_text_survives_every_format(api: fixtures.Api) -> None:
    """Quotes, commas, newlines, backslashes and control characters; a formula is data like any other."""
    page = api.rows("/data", "limit=1&order=asc")[0]
    line = api.get("/data", "format=ndjson&order=asc&to=2024-01-01T00:00:02Z").text.splitlines()
    table = api.get("/data", "format=csv&order=asc&to=2024-01-01T00:00:02Z").text
    row = next(csv.DictReader(io.StringIO(table, newline="")))
    for name, text in (("external_id", 'a\\b "q"\x01\x02'), ("asset", "a, b\n\u00e9"), ("symbol", "=1+1")):
        assert page[name] == row[name] == fixtures.parse(line[0])[name] == text
    assert len(line) == 1


def test_stream_that_is_closed_early_gives_everything_back(api: fixtures.Api) -> None:
    """A client that goes away leaves no connection and no place behind, more often than there are places."""
    for _ in range(3 * streams.MAX_STREAMS):
        with opened(api, "format=csv&max_price=5000") as body:
            next(iter(body))
    wait_until_returned(api)
    assert api.get("/data", "format=csv&max_price=1").status_code == 200


def test_client_that_leaves_is_one_line_in_the_log(api: fixtures.Api, caplog: Any) -> None:
    """Somebody stopped a download: that is no warning."""
    caplog.set_level(logging.INFO, logger="kasparro")
    served = server.Server(api.client.app, "127.0.0.1", 0)
    served.start()
    with socket.socket() as sock:
        # So small that the answer cannot be under way as a whole when the client leaves.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", served.port))
        sock.sendall(b"GET /data?format=csv HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(10) == b"HTTP/1.1 2"
    while not any(hasattr(record, "client_left") for record in caplog.records):
        time.sleep(0.01)
    wait_until_returned(api)
    served.stop(5)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "GET /data 200, the client went away")
    ]


def test_connection_that_broke_is_still_a_warning(api: fixtures.Api, caplog: Any) -> None:
    """Only what we close ourselves is no news."""
    with pytest.raises(errors.DatabaseUnavailableError), api.database.connection() as conn:
        conn.execute("select pg_terminate_backend(pg_backend_pid())")
    assert "discarding closed connection" in caplog.text


def test_stream_that_is_never_read_gives_everything_back(api: fixtures.Api) -> None:
    """Also when the client is gone before the first byte."""
    for _ in range(3 * streams.MAX_STREAMS):
        with opened(api, "format=csv&max_price=10"):
            pass
    wait_until_returned(api)


def test_head_of_a_stream_holds_nothing(api: fixtures.Api) -> None:
    """There is no body that anybody could close."""
    for _ in range(3 * streams.MAX_STREAMS):
        assert api.client.simulate_head("/data", query_string="format=csv&max_price=10").status_code == 200
    wait_until_returned(api)


def test_one_stream_too_many_is_a_503(api: fixtures.Api) -> None:
    """With Retry-After; pages go on, and when one stream ends there is a place again."""
    held = [opened(api, "format=csv&max_price=5000") for _ in range(streams.MAX_STREAMS)]
    for stream in held:
        stream.__enter__()
    result = api.get("/data", "format=ndjson")
    assert (result.status_code, result.json["code"]) == (503, "too_many_streams")
    assert result.headers["Retry-After"].isdigit()
    assert api.get("/data", "limit=1").status_code == 200
    for stream in held:
        stream.__exit__(None, None, None)
    assert api.get("/data", "format=ndjson&max_price=1").status_code == 200


@pytest.mark.parametrize("query", ["format=csv&asset=unknown", "format=csv&source=unknown", "format=ndjson&limit=1"])
def test_refused_stream_holds_no_place(api: fixtures.Api, query: str) -> None:
    """An error before the first row is a status, and gives back what was taken."""
    for _ in range(2 * streams.MAX_STREAMS):
        assert api.get("/data", query).status_code in (400, 404)
    assert api.get("/data", "format=csv&max_price=1").status_code == 200


def test_stream_ends_in_time(api: fixtures.Api, monkeypatch: Any, caplog: Any) -> None:
    """However slowly it is read: the connection is cut, and whoever reads notices that rows are missing."""
    # Time enough for the first rows on a machine that is busy with other tests.
    monkeypatch.setattr(streams, "STREAM_SECONDS", 3.0)
    with opened(api, "format=ndjson") as body:
        chunks = iter(body)
        next(chunks)
        time.sleep(3.2)
        with pytest.raises(errors.DatabaseUnavailableError):
            list(chunks)
    assert "stream broke off" in caplog.text
    wait_until_returned(api)


def test_stream_has_the_common_headers(api: fixtures.Api) -> None:
    """It says which request it belongs to, as everything does."""
    result = api.get("/data", "format=csv&max_price=1", {"X-Request-ID": "s-1"})
    assert result.headers["X-Request-ID"] == "s-1"
    assert "Server-Timing" in result.headers


def test_empty_stream_is_only_a_header(api: fixtures.Api) -> None:
    """Nothing found is no error."""
    assert api.get("/data", "format=csv&symbol=none").text.count("\n") == 1
    assert api.get("/data", "format=ndjson&symbol=none").text == ""
