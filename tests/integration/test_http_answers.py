"""GET /data: exact values, pages that miss nothing while rows come and go, ETags, and which format is meant."""

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import api_fixtures as fixtures
import pytest

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """Ten quotes of one listing."""
    with fixtures.serve_clone(databases) as api:
        fixtures.add_series(api.conn, fixtures.add_listing(api.conn, "csv", "x"), 10, step=HOUR)
        yield api


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a second database."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def empty(shared: fixtures.Api) -> fixtures.Api:
    """The same, without any rows."""
    return shared.emptied()


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["external_id"], row["observed_at"]) for row in rows]


@pytest.mark.parametrize(
    "price", ["0.000000000000000000000000000001", "123456789012345678901234567890", "1.50", "1e30"]
)
def test_number_survives_exactly(empty: fixtures.Api, price: str) -> None:
    """What was stored is what is shown: no float, no exponent, no digit lost."""
    listing = fixtures.add_listing(empty.conn, "csv", "x")
    fixtures.add_quote(empty.conn, listing, fixtures.START, price, change_24h_pct="-0.00000000000000000001")
    plain = "1" + "0" * 30 if price == "1e30" else price
    row = empty.rows("/data")[0]
    assert (row["price_usd"], row["change_24h_pct"]) == (plain, "-0.00000000000000000001")
    assert f",{plain}," in empty.get("/data", "format=csv").text


def test_times_are_utc_with_microseconds_only_where_there_are_some(empty: fixtures.Api) -> None:
    """RFC 3339, always Z."""
    listing = fixtures.add_listing(empty.conn, "csv", "x")
    for microsecond in (0, 120_000, 1):
        fixtures.add_quote(empty.conn, listing, fixtures.START.replace(microsecond=microsecond))
    times = [row["observed_at"] for row in empty.rows("/data", "order=asc")]
    assert times == ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.12Z"]


def test_estimate_agrees_with_a_page_that_is_everything(empty: fixtures.Api) -> None:
    """Statistics know nothing of rows that are new; the first page does."""
    assert empty.get("/data", "count=estimated").json["pagination"]["total"] == 0
    fixtures.add_series(empty.conn, fixtures.add_listing(empty.conn, "csv", "x"), 7, step=HOUR)
    for query in ("", "&offset=0", "&limit=7", "&view=latest", "&source=csv&limit=1000"):
        body = empty.get("/data", f"count=estimated{query}").json
        assert body["pagination"]["has_more"] is False
        assert body["pagination"]["total"] == len(body["data"])


def disturb(api: fixtures.Api, listings: list[int], doomed: list[int], number: int) -> None:
    """What a run and a retention may do between two pages: new listings and quotes, and rows that go."""
    new = fixtures.add_listing(api.conn, "csv", f"new{number}")
    fixtures.add_quote(api.conn, new, fixtures.START + timedelta(minutes=number))
    fixtures.add_quote(api.conn, listings[number], fixtures.START - timedelta(days=number + 1))
    fixtures.add_quote(api.conn, listings[-number - 1], fixtures.START + timedelta(days=number + 1))
    if doomed:
        gone = doomed.pop()
        api.conn.execute("delete from latest_quotes where listing_id = %s", (gone,))
        api.conn.execute("delete from quotes where listing_id = %s", (gone,))


@pytest.mark.parametrize("query", ["limit=7", "limit=7&order=asc", "limit=7&source=csv", "limit=7&view=latest"])
def test_walk_sees_every_lasting_row_once_while_rows_come_and_go(empty: fixtures.Api, query: str) -> None:
    """Inserts and deletes between pages neither hide nor repeat a row that is there all the time."""
    listings = [fixtures.add_listing(empty.conn, "csv", f"x{number}") for number in range(25)]
    doomed = [fixtures.add_listing(empty.conn, "csv", f"doomed{number}") for number in range(5)]
    for listing in listings + doomed:
        fixtures.add_series(empty.conn, listing, 2, step=HOUR)
    # The latest quote of a listing may be a newer one by the time its page comes.
    identity = (lambda row: row[0]) if "latest" in query else (lambda row: row)
    lasting = [row for row in keys(empty.walk("/data", query)) if not row[0].startswith("doomed")]
    seen: list[Any] = []
    target = f"/data?{query}"
    for number in itertools.count():
        result = empty.client.simulate_get(target)
        seen += [identity(row) for row in keys(result.json["data"])]
        target = fixtures.next_link(result)
        if not target:
            break
        disturb(empty, listings, doomed, number)
    old = sorted(identity(row) for row in lasting)
    assert sorted(row for row in seen if row in set(old)) == old


@pytest.mark.parametrize("query", ["limit=5", "view=latest", "count=exact", "symbol=zzz"])
def test_etag_holds_until_the_answer_changes(empty: fixtures.Api, query: str) -> None:
    """The same rows are a 304; one more row is not."""
    listing = fixtures.add_listing(empty.conn, "csv", "x")
    fixtures.add_quote(empty.conn, listing, fixtures.START)
    first = empty.get("/data", query)
    known = {"If-None-Match": first.headers["ETag"]}
    assert first.headers["ETag"].startswith('W/"')
    again = empty.get("/data", query, known)
    assert (again.status_code, again.text) == (304, "")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    fixtures.add_quote(empty.conn, fixtures.add_listing(empty.conn, "csv", "y", symbol="zzz"), fixtures.START)
    assert empty.get("/data", query, known).status_code == 200


@pytest.mark.parametrize("header", ['"nothing"', "*", '"a", W/"b"', "garbage", '"'])
def test_if_none_match_of_any_shape_is_answered(api: fixtures.Api, header: str) -> None:
    """Only the tag of this answer, or a star, is a match."""
    assert api.get("/data", "limit=1", {"If-None-Match": header}).status_code == (304 if header == "*" else 200)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        ("not a media type;;", "application/json"),
    ],
)
def test_accept_chooses_the_format(api: fixtures.Api, accept: str, media_type: str) -> None:
    """Programs may say in a header what they read; what nobody has is answered with JSON."""
    result = api.get("/data", "", {"Accept": accept})
    assert result.status_code == 200
    assert result.headers["Content-Type"].startswith(media_type)
    assert result.headers["Vary"] == "Accept"


def test_format_wins_over_accept(api: fixtures.Api) -> None:
    """What stands in the address counts."""
    assert api.get("/data", "format=json", {"Accept": "text/csv"}).json["data"]
    assert (
        api.get("/data", "format=csv", {"Accept": "application/json"}).headers["Content-Type"]
        == "text/csv; charset=utf-8"
    )


def test_head_has_the_headers_of_get(api: fixtures.Api) -> None:
    """Everything but the body; only the latency in it may take another number of digits."""
    for query in ("limit=3", "format=csv"):
        head, get = api.client.simulate_head("/data", query_string=query), api.get("/data", query)
        assert head.text == ""
        for name in ("Content-Type", "ETag", "Link", "Cache-Control", "Vary"):
            assert head.headers.get(name) == get.headers.get(name)
        assert abs(int(head.headers.get("Content-Length", 0)) - int(get.headers.get("Content-Length", 0))) <= 2


def test_json_body_says_whose_it_is_and_how_long_it_took(api: fixtures.Api) -> None:
    """Request id and latency stand at the top of every body."""
    result = api.get("/data", "limit=1000", {"X-Request-ID": "mine-1"})
    body = json.loads(result.text)
    assert body["request_id"] == result.headers["X-Request-ID"] == "mine-1"
    assert 0 < body["api_latency_ms"] < 10_000
    assert result.headers["Server-Timing"].startswith("total;dur=")
