"""Whatever a client sends, the answer is JSON or a problem, and never the service's own fault."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import api_fixtures as fixtures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = [
    "/data",
    "/assets",
    "/assets/bitcoin",
    "/stats",
    "/runs",
    "/runs/1",
    "/health",
    "/health/live",
    "/health/ready",
]
NAMES = [
    "source", "asset", "symbol", "external_id", "from", "to", "min_price", "max_price", "view", "order", "limit",
    "cursor", "offset", "count", "format", "q", "status", "bogus", "",
]  # fmt: skip
VALUES = [
    "csv", "csv,coingecko", "bitcoin", "BTC,eth", "latest", "all", "asc", "desc", "1", "0", "-1", "50", "1000", "1e30",
    "1e-30", "NaN", "Infinity", "9" * 40, "2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00 02:00",
    "0001-01-01", "9999-12-31", "exact", "estimated", "json", "csv", "ndjson", "failed", "queued", "", " ", "\x00", "%",
    "_", "\\", "'", "\ud7ff", "\U0010ffff", "9223372036854775808", "a" * 1001,
]  # fmt: skip
# What each parameter of /data may be: nearly all combinations are valid, so most of these reach the database.
_TIMES = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
_PRICES = st.sampled_from(["0", "1e-30", "0.5", "1e40"]) | st.integers(0, 10**40).map(str)
_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00,"), min_size=1, max_size=12).filter(str.strip)
PLAUSIBLE = {
    "source": st.sampled_from(["csv", "coingecko,csv", "retired"]),
    "asset": st.just("bitcoin") | _WORDS,
    "symbol": st.sampled_from(["btc", "BTC,eth"]) | _WORDS,
    "external_id": st.just("csv-btc") | _WORDS,
    "from": _TIMES,
    "to": _TIMES,
    "min_price": _PRICES,
    "max_price": _PRICES,
    "view": st.sampled_from(["all", "latest"]),
    "order": st.sampled_from(["asc", "desc"]),
    "limit": st.integers(1, 1000).map(str),
    "offset": st.integers(0, 10_000).map(str),
    "count": st.sampled_from(["none", "estimated", "exact"]),
    "format": st.sampled_from(["json", "csv", "ndjson"]),
}
# Many small examples; the deadline is off because the machine may be busy with something else.
SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """The API with a few rows of everything."""
    with fixtures.serve_clone(databases, api_keys=fixtures.KEYS) as api:
        for name in ("csv", "coingecko"):
            listing = fixtures.add_listing(api.conn, name, f"{name}-btc", slug="bitcoin")
            fixtures.add_quote(api.conn, listing, fixtures.START, "1e-30")
            fixtures.add_run(api.conn, name)
        yield api


def check(result: Any) -> None:
    """An answer, or a problem that is the client's."""
    assert result.status_code < 500, result.text
    if result.status_code == 304:
        return
    if result.status_code < 400:
        assert result.headers["Content-Type"].partition(";")[0] in (
            "application/json", "text/csv", "application/x-ndjson", "text/html", "text/javascript", "text/css",
        )  # fmt: skip
        return
    assert result.headers["Content-Type"] == "application/problem+json"
    body = json.loads(result.text)
    assert body["status"] == result.status_code
    assert body["detail"]
    assert body["request_id"]


@SETTINGS
@given(
    path=st.sampled_from(PATHS),
    pairs=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=30)), max_size=4),
)
def test_any_parameters_give_an_answer_or_a_problem(api: fixtures.Api, path: str, pairs: list[tuple[str, str]]) -> None:
    """Known names with odd values, unknown names, anything twice."""
    check(api.get(path, "&" + urlencode(pairs, errors="surrogatepass"), fixtures.ANN))


@SETTINGS
@given(query=st.fixed_dictionaries({}, optional=PLAUSIBLE))
def test_any_plausible_filter_gives_an_answer_or_a_problem(api: fixtures.Api, query: dict[str, str]) -> None:
    """Every combination of filters makes a statement that Postgres understands."""
    check(api.get("/data", urlencode(query), fixtures.ANN))


@SETTINGS
@given(path=st.sampled_from(PATHS), query=st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60))
def test_any_query_string_gives_an_answer_or_a_problem(api: fixtures.Api, path: str, query: str) -> None:
    """Bytes as they may come over the wire."""
    check(api.get(path, "&" + query, fixtures.ANN))


@SETTINGS
@given(prefix=st.sampled_from(["/", "/assets/", "/runs/", "/data/", "/health/"]), rest=st.text(max_size=30))
def test_any_path_gives_an_answer_or_a_problem(api: fixtures.Api, prefix: str, rest: str) -> None:
    """Whatever stands where a slug or an id should."""
    check(api.get(prefix + quote(rest, safe="", errors="surrogatepass"), "", fixtures.ANN))


@SETTINGS
@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["csv", "source"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["source", "x", ""]), inner, max_size=3)
        ),
        max_leaves=5,
    ).map(json.dumps)
)
def test_any_body_gives_an_answer_or_a_problem(api: fixtures.Api, body: str | bytes) -> None:
    """A run is queued, or the body was wrong."""
    check(api.post_run(body, {"Idempotency-Key": "fuzz"}))


@SETTINGS
@given(
    name=st.sampled_from(["Accept", "If-None-Match", "X-Request-ID", "Authorization", "X-API-Key", "Content-Type"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
)
def test_any_header_gives_an_answer_or_a_problem(api: fixtures.Api, name: str, value: str) -> None:
    """Headers are read, never trusted."""
    check(api.get("/data", "", {**fixtures.ANN, name: value}))
