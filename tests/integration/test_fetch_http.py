"""One GET over a real socket: what is usable, what each failure is called, and what never leaves for elsewhere."""

import gzip
import io
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve
from raw_server import head, raw_server

from kasparro import log
from kasparro.clock import SystemClock
from kasparro.errors import FetchError
from kasparro.etl import fetch

KEY = "key-of-nobody-1234"
LIMITS = fetch.Limits(connect_seconds=2.0, read_seconds=2.0, total_seconds=5.0, max_bytes=100_000)
# Seconds. Long enough for any machine, short enough to tell a limit of a fraction of a second from none.
SOON = 2.0


@pytest.fixture
def http():
    opened = fetch.Http(SystemClock())
    yield opened
    opened.close()


def get(http, url, *, limits=LIMITS, params=None, headers=None, validators=None):
    """One GET."""
    asked = fetch.Request(url=url, params=params or {}, headers=headers or {}, validators=validators or {})
    return http.get(asked, limits=limits)


def error(http, url, **options):
    """The error that this GET ends with; the key is not in it."""
    with pytest.raises(FetchError) as caught:
        get(http, url, headers={"x-key": KEY}, **options)
    assert KEY not in caught.value.message
    return caught.value


def test_answer_is_its_text_and_validators_when_all_is_well(http, httpserver):
    """The request says who asks, for what, and carries its parameters and headers."""
    headers = {"ETag": '"v1"', "Last-Modified": "Fri, 02 Jan 2026 12:00:00 GMT"}
    httpserver.expect_request("/x").respond_with_data("[1, 2] ä", headers=headers)
    found = get(http, httpserver.url_for("/x"), params={"page": "2", "order": "a b"}, headers={"x-key": KEY})
    assert (found.text, found.bytes_read, found.not_modified) == ("[1, 2] ä", 9, False)
    assert found.validators == {"etag": '"v1"', "last_modified": "Fri, 02 Jan 2026 12:00:00 GMT"}
    (request, _) = httpserver.log[0]
    assert dict(request.args) == {"page": "2", "order": "a b"}
    assert request.headers["User-Agent"].startswith("kasparro/")
    assert (request.headers["Accept"], request.headers["X-Key"]) == ("application/json", KEY)


def test_nothing_is_logged_when_many_sources_ask_one_host_at_a_time(http, caplog):
    """Each keeps its connection; urllib3 would warn of those that it closes."""
    together = threading.Barrier(8)
    with raw_server(together.wait, head("Content-Length: 2"), b"[]") as url, ThreadPoolExecutor(8) as pool:
        assert [found.text for found in pool.map(lambda _: get(http, url), range(8))] == ["[]"] * 8
    assert caplog.messages == []


def test_validators_are_sent_back_when_there_are_some(http, httpserver):
    """304 means that nothing changed: no text, and the validators stay."""
    httpserver.expect_request("/x").respond_with_data(status=304)
    known = {"etag": '"v1"', "last_modified": "Fri, 02 Jan 2026 12:00:00 GMT", "other": "x"}
    found = get(http, httpserver.url_for("/x"), validators=known)
    assert (found.text, found.not_modified, found.validators, found.bytes_read) == ("", True, known, 0)
    (request, _) = httpserver.log[0]
    assert request.headers["If-None-Match"] == '"v1"'
    assert request.headers["If-Modified-Since"] == "Fri, 02 Jan 2026 12:00:00 GMT"


def test_answer_is_an_error_when_it_says_unchanged_and_nobody_asked_whether(http, httpserver):
    """A 304 to a plain request is no complete read of nothing."""
    httpserver.expect_request("/x").respond_with_data(status=304)
    with pytest.raises(FetchError, match="answered 304") as raised:
        get(http, httpserver.url_for("/x"))
    assert raised.value.code == "http_304"


@pytest.mark.parametrize("encoding", ["gzip", None])
def test_answer_is_decoded_when_it_is_compressed_or_has_a_bom(http, httpserver, encoding):
    """Bytes are counted as they are when decompressed."""
    body = "\ufeff[1]".encode()
    headers = {"Content-Encoding": encoding} if encoding else {}
    httpserver.expect_request("/x").respond_with_data(gzip.compress(body) if encoding else body, headers=headers)
    found = get(http, httpserver.url_for("/x"))
    assert (found.text, found.bytes_read) == ("[1]", 6)


@pytest.mark.parametrize("size", [65_536, 65_537, 90_000])
@pytest.mark.parametrize("style", ["length", "chunked", "gzip", "close"])
def test_answer_is_whole_when_it_comes_in_many_pieces(http, size, style):
    """However it is framed, every byte arrives."""
    body = bytes(97 + number * 7 % 26 for number in range(size))
    if style == "gzip":
        body_sent = gzip.compress(body)
        parts = [head("Content-Encoding: gzip", f"Content-Length: {len(body_sent)}")]
        parts += [body_sent[start : start + 10] for start in range(0, 200, 10)] + [body_sent[200:]]
    elif style == "chunked":
        pieces = [body[start : start + 9_000] for start in range(0, size, 9_000)]
        parts = [head("Transfer-Encoding: chunked"), *(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces)]
        parts.append(b"0\r\n\r\n")
    else:
        length = [f"Content-Length: {size}"] if style == "length" else ["Connection: close"]
        parts = [head(*length), body[:1], 0.01, body[1:70_000], 0.01, body[70_000:]]
    with raw_server(*parts) as url:
        assert get(http, url).text == body.decode()


STATUSES = {
    400: (False, "answered 400"), 401: (False, "a key is required or wrong"), 402: (False, "quota is used up"),
    403: (False, "the key is wrong"), 404: (False, "nothing at this address"), 408: (True, "answered 408"),
    410: (False, "answered 410"), 422: (False, "answered 422"), 425: (True, "answered 425"),
    429: (True, "answered 429"),
    500: (True, "answered 500"), 501: (True, "answered 501"), 502: (True, "answered 502"), 503: (True, "answered 503"),
    504: (True, "answered 504"), 204: (False, "answered 204"),
}  # fmt: skip


def test_error_says_whether_to_try_again_and_what_to_do_when_the_status_is_bad(http, httpserver):
    """Each has its own code; the upstream's words are quoted, one line of them, never a page."""
    for status, (retryable, advice) in STATUSES.items():
        httpserver.expect_request(f"/{status}").respond_with_data("so\nsorry " * 500, status=status)
        found = error(http, httpserver.url_for(f"/{status}"), params={"secret": "x"})
        assert (found.code, found.retryable) == (f"http_{status}", retryable)
        assert advice in found.message
        assert "\n" not in found.message
        assert "secret" not in found.message
        assert len(found.message) < 400
        assert ("so sorry" in found.message) == (status != 204)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_refused_and_the_key_stays_when_the_upstream_points_elsewhere(http, httpserver, status):
    """A key belongs to one host."""
    with raw_server(head("Content-Length: 2"), b"[]") as elsewhere:
        httpserver.expect_request("/x").respond_with_data(status=status, headers={"Location": elsewhere})
        found = error(http, httpserver.url_for("/x"))
    assert (found.code, found.retryable) == ("redirect_refused", False)
    assert f"{elsewhere.removesuffix('/x')}: not followed, for a key belongs to its host" in found.message
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("location", ["/y?a=1", "y", "//{host}/y", "{base}/y"])
def test_redirect_is_handed_back_when_it_stays_on_its_host(http, httpserver, location):
    """Whoever asked decides about going there; nothing but the address is taken from it."""
    base = httpserver.url_for("").rstrip("/")
    target = location.format(base=base, host=base.removeprefix("http://"))
    httpserver.expect_request("/x").respond_with_data(status=308, headers={"Location": target})
    assert get(http, f"{base}/x").redirect_to.startswith(f"{base}/y")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999999"}, 7 * 86400.0),
        ({"Retry-After": "9" * 400}, 7 * 86400.0),
        ({"Retry-After": "Fri, 02 Jan 2026 12:00:30 GMT", "Date": "Fri, 02 Jan 2026 12:00:00 GMT"}, 30.0),
        ({"Retry-After": "Fri, 02 Jan 2026 11:00:00 GMT", "Date": "Fri, 02 Jan 2026 12:00:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 02 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_wish_to_be_left_alone_is_understood_when_it_comes_as_seconds_or_as_a_date(http, headers, seconds):
    """A date is compared with the answer's own; nonsense is no wish."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    with raw_server(head("Content-Length: 0", *lines, status="429 Slow Down")) as url:
        assert error(http, url).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("headers", "remaining", "seconds"),
    [
        ({"RateLimit-Remaining": "3", "RateLimit-Reset": "20"}, 3, 20.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5"}, 0, 5.0),
        ({"RateLimit": '"default";r=12;t=8'}, 12, 8.0),
        ({"X-RateLimit-Remaining": "4"}, 4, None),
        ({"X-RateLimit-Remaining": "4", "X-RateLimit-Reset": "1000000001"}, 4, 0.0),
        ({"X-RateLimit-Remaining": "many"}, None, None),
        ({}, None, None),
    ],
)
def test_budget_is_read_when_the_upstream_tells_it(http, httpserver, headers, remaining, seconds):
    """In the forms that are in use."""
    httpserver.expect_request("/x").respond_with_data("[]", headers=headers)
    found = get(http, httpserver.url_for("/x"))
    assert (found.rate_remaining, found.rate_reset_seconds) == (remaining, seconds)


@pytest.mark.parametrize("unit", [1, 1000])
def test_reset_is_understood_by_the_upstreams_clock_when_ours_is_wrong(http, unit):
    """A moment in Unix time is compared with the answer's own date, as Retry-After is."""
    reset = 1_767_355_260 * unit
    lines = (f"X-RateLimit-Reset: {reset}", "X-RateLimit-Remaining: 0", "Date: Fri, 02 Jan 2026 12:00:00 GMT")
    with raw_server(head("Content-Length: 2", *lines), b"[]") as url:
        assert get(http, url).rate_reset_seconds == 60.0


def test_answer_is_refused_when_it_is_too_large(http, httpserver):
    """Also when its length is not announced."""
    httpserver.expect_request("/x").respond_with_data(b"x" * 100_001)
    found = error(http, httpserver.url_for("/x"))
    assert (found.code, found.retryable) == ("too_large", False)
    httpserver.expect_request("/y").respond_with_data(b"x" * 100_000)
    assert len(get(http, httpserver.url_for("/y")).text) == 100_000


def test_answer_is_refused_when_it_becomes_too_large_by_decompression(http, httpserver):
    """A few kilobytes that hold a hundred megabytes."""
    bomb = gzip.compress(bytes(100_000_000))
    httpserver.expect_request("/x").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    assert error(http, httpserver.url_for("/x")).code == "too_large"


def dripping(*lines):
    """An answer whose 20 bytes take 4 seconds, each of them well within the limit for reading."""
    return [head(*lines), *[b"x", 0.2] * 20]


@pytest.mark.parametrize(
    "parts",
    [
        dripping("Content-Length: 20"),
        dripping("Connection: close"),
        [head("Transfer-Encoding: chunked"), *[b"1\r\nx\r\n", 0.2] * 20],
        [head("Transfer-Encoding: chunked"), b"1;", *[b"x", 0.2] * 20],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", *[b"X: 1\r\n", 0.2] * 20],
        [b"HTTP/1.1 200 OK\r\nX: ", *[b"x", 0.2] * 20],
        [*[b"H", 0.2] * 20],
        [10.0],
    ],
    ids=["length", "close", "chunked", "in-chunk", "headers", "in-header", "in-status", "silent"],
)
def test_answer_is_given_up_when_it_takes_longer_than_the_total_limit(http, parts):
    """A drop now and then does not keep it alive."""
    clock = SystemClock()
    with raw_server(*parts) as url:
        began = clock.monotonic()
        found = error(http, url, limits=evolve(LIMITS, total_seconds=0.5))
        assert clock.monotonic() - began < SOON
    assert (found.code, found.retryable) == ("timeout", True)


def test_answer_is_given_up_when_nothing_comes_for_the_read_limit(http):
    """Even while the total limit is far away."""
    with raw_server(head("Content-Length: 10"), b"x", 10.0) as url:
        found = error(http, url, limits=evolve(LIMITS, read_seconds=0.3, total_seconds=60.0))
    assert found.code == "timeout"


@pytest.mark.parametrize(
    "parts",
    [
        [head("Content-Length: 10"), b"[1]"],
        [head("Transfer-Encoding: chunked"), b"3\r\n[1]\r\n"],
        [head("Transfer-Encoding: chunked"), b"9\r\n[1]"],
        [head("Content-Encoding: gzip", "Content-Length: 3"), b"[1]"],
        [b"gopher\r\n\r\n"],
        [],
    ],
    ids=["length", "chunked", "in-chunk", "no-gzip", "no-http", "nothing"],
)
def test_answer_is_an_error_when_it_breaks_off(http, parts):
    """Half an answer is none."""
    with raw_server(*parts) as url:
        found = error(http, url)
    assert (found.code, found.retryable) == ("truncated", True)


def test_answer_is_an_error_when_it_is_not_utf_8(http, httpserver):
    """Nothing is guessed about its letters."""
    httpserver.expect_request("/x").respond_with_data("ä".encode("latin-1"))
    found = error(http, httpserver.url_for("/x"))
    assert (found.code, found.retryable) == ("bad_answer", True)


def test_error_is_unreachable_when_nobody_listens_or_the_name_is_unknown(http):
    """It says why, without the machinery's own words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = error(http, f"http://127.0.0.1:{port}/x")
    assert (refused.code, refused.retryable) == ("unreachable", True)
    assert "Connection refused" in refused.message
    assert "object at 0x" not in refused.message
    assert error(http, "http://name.invalid/x").code == "unreachable"


@pytest.mark.parametrize("url", ["http://[::1/x", "gopher://127.0.0.1/x", "http:///x", "http://a b/x"])
def test_error_is_a_bad_address_when_it_is_none(http, url):
    """Trying again would change nothing."""
    found = error(http, url)
    assert (found.code, found.retryable) == ("bad_url", False)


@pytest.mark.parametrize("key", ["line\nbreak-1234", "snowman-☃-1234"])
def test_error_names_no_key_when_it_cannot_travel(http, httpserver, key):
    """A key with a line break, mostly from a file, is an error and not a leak."""
    with pytest.raises(FetchError) as caught:
        get(http, httpserver.url_for("/x"), headers={"x-key": key})
    assert not caught.value.retryable
    assert key.split("-")[-1] not in caught.value.message
    assert httpserver.log == []


def test_next_request_is_answered_when_the_last_one_was_given_up(http):
    """A connection with half an answer in it is not used again."""
    slow = [head("Transfer-Encoding: chunked"), b"1\r\nx\r\n", 0.3, b"1\r\nx\r\n", 5.0]
    with raw_server(*slow) as url:
        assert error(http, url, limits=evolve(LIMITS, total_seconds=0.2)).code == "timeout"
        again = error(http, url, limits=evolve(LIMITS, total_seconds=0.2))
    assert again.code == "timeout"


def test_connection_is_used_again_when_the_answer_was_whole(http):
    """Page after page over one connection: nobody accepts a second one here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            conn, _ = listener.accept()
            with conn:
                while conn.recv(65536):
                    conn.sendall(head("Content-Length: 2") + b"[]")

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        assert [get(http, url).text for _ in range(3)] == ["[]"] * 3
        http.close()


def test_log_holds_no_key_when_requests_fail(http, httpserver):
    """Not in lines of the service, nor of the library, at any level."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    stream = io.StringIO()
    log.configure(secrets=[KEY], stream=stream)
    root.setLevel(logging.DEBUG)
    try:
        httpserver.expect_request("/x").respond_with_data("no", status=401)
        error(http, httpserver.url_for("/x"))
    finally:
        root.handlers[:], root.level = before[0], before[1]
    assert "401" in stream.getvalue()
    assert KEY not in stream.getvalue()


def test_key_is_hidden_when_the_upstream_repeats_it(http, httpserver):
    """What an upstream says stands in run records, which the API serves."""
    httpserver.expect_request("/x").respond_with_data(f'{{"error": "invalid key {KEY}"}}', status=403)
    assert "invalid key ***" in error(http, httpserver.url_for("/x")).message
