"""GET /data: every filter against a plain reading of the same rows, found in pages that miss nothing."""

import csv
import io
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import api_fixtures as fixtures
import pytest

from kasparro.store import quote_keys

COLUMNS = [
    "source", "external_id", "asset", "symbol", "name", "observed_at", "price_usd", "market_cap_usd", "volume_24h_usd",
    "change_24h_pct", "rank", "circulating_supply", "ingested_at",
]  # fmt: skip
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """Three sources of different pace and age, many ties in time, one listing with far more rows than the others."""
    with fixtures.serve_clone(databases) as api:
        for number in range(30):
            for name, day in (("coinpaprika", 40), ("coingecko", 20), ("csv", 0)):
                listing = fixtures.add_listing(
                    api.conn, name, f"{name}-{number}", symbol=f"C{number % 7}", slug=f"coin-{number}"
                )
                count = 60 if (name, number) == ("csv", 3) else 1 + number % 4
                start = fixtures.START + timedelta(days=day)
                fixtures.add_series(api.conn, listing, count, step=HOUR, start=start)
        yield api


@pytest.fixture(scope="module")
def everything(api: fixtures.Api) -> list[dict[str, Any]]:
    """All rows with their listing ids, as Postgres tells them."""
    names = ("listing_id", "source", "external_id", "asset", "symbol", "observed_at", "price_usd")
    rows = api.conn.execute(
        """
        select q.listing_id, l.source, l.external_id, a.slug, l.symbol, q.observed_at, q.price_usd
        from quotes q join listings l on l.id = q.listing_id join assets a on a.id = l.asset_id
        """
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def expected(rows: list[dict[str, Any]], query: dict[str, str]) -> list[tuple[str, str]]:
    """What a plain reading of the filter gives, in order."""

    def matches(row: dict[str, Any]) -> bool:
        return (
            ("source" not in query or row["source"] in query["source"].split(","))
            and ("symbol" not in query or row["symbol"].lower() in query["symbol"].lower().split(","))
            and query.get("asset") in (None, row["asset"])
            and query.get("external_id") in (None, row["external_id"])
            and ("from" not in query or row["observed_at"] >= datetime.fromisoformat(query["from"]))
            and ("to" not in query or row["observed_at"] < datetime.fromisoformat(query["to"]))
            and ("min_price" not in query or row["price_usd"] >= int(query["min_price"]))
            and ("max_price" not in query or row["price_usd"] <= int(query["max_price"]))
        )

    if query.get("view") == "latest":
        newest = {row["listing_id"]: row for row in sorted(rows, key=lambda row: row["observed_at"])}
        found = sorted(filter(matches, newest.values()), key=lambda row: row["listing_id"])
    else:
        found = sorted(filter(matches, rows), key=lambda row: (row["observed_at"], row["listing_id"]))
    if query.get("order", "desc") == "desc":
        found.reverse()
    return [(row["external_id"], row["observed_at"].isoformat().replace("+00:00", "Z")) for row in found]


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["external_id"], row["observed_at"]) for row in rows]


CHOICES = {
    "source": ["csv", "coinpaprika", "coingecko,csv", "csv,coingecko,coinpaprika", "retired"],
    "symbol": ["c1", "C2,c3", "zzz"],
    "asset": ["coin-3", "coin-7"],
    "external_id": ["csv-3", "coingecko-11", "none"],
    "from": ["2024-01-01T01:00:00+00:00", "2024-01-02T00:00:00+00:00"],
    "to": ["2024-01-02T02:00:00+00:00", "2024-01-21T02:00:00+00:00"],
    "min_price": ["2", "3"],
    "max_price": ["3", "40"],
    "view": ["latest"],
    "order": ["asc", "desc"],
}


def random_query(seed: int) -> dict[str, str]:
    choose = random.Random(seed)
    names = choose.sample(sorted(CHOICES), choose.randint(0, 4))
    return {name: choose.choice(CHOICES[name]) for name in names}


@pytest.mark.parametrize("seed", range(40))
def test_walk_over_any_filter_equals_a_plain_reading(
    api: fixtures.Api, everything: list[dict[str, Any]], seed: int
) -> None:
    """Following the links gives every matching row once, in order, whatever the filter and the size of the page."""
    query = random_query(seed)
    limit = random.Random(seed).choice((1, 7, 50, 1000))
    rows = api.walk("/data", urlencode({**query, "limit": limit}) if limit > 1 else urlencode({**query, "limit": 13}))
    assert keys(rows) == expected(everything, query)


@pytest.mark.parametrize(("entries", "few"), [(3, 0), (3, 1000), (1000, 0)])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [5, 70])
def test_every_way_to_find_a_page_gives_the_same(
    api: fixtures.Api,
    everything: list[dict[str, Any]],
    monkeypatch: Any,
    entries: int,
    few: int,
    order: str,
    limit: int,
) -> None:
    """Looking by time and looking listing by listing are two ways to the same rows."""
    monkeypatch.setattr(quote_keys, "_WINDOW_ENTRIES", entries)
    monkeypatch.setattr(quote_keys, "_FEW_LISTINGS", few)
    query = {"source": "csv,coingecko", "order": order, "limit": str(limit)}
    assert keys(api.walk("/data", urlencode(query))) == expected(everything, query)


@pytest.mark.parametrize("query", [{}, {"source": "csv"}, {"view": "latest"}, {"asset": "coin-3", "order": "asc"}])
@pytest.mark.parametrize("offset", [0, 1, 59, 10_000])
def test_offset_is_a_place_in_the_same_order(
    api: fixtures.Api, everything: list[dict[str, Any]], query: dict[str, str], offset: int
) -> None:
    """A page by number is the same page as by cursor."""
    rows = api.rows("/data", urlencode({**query, "offset": offset, "limit": 20}))
    assert keys(rows) == expected(everything, query)[offset : offset + 20]


@pytest.mark.parametrize("query", ["", "source=csv", "view=latest", "symbol=c1&from=2024-01-21"])
def test_csv_ndjson_and_json_give_the_same_rows(api: fixtures.Api, query: str) -> None:
    """Three formats, one answer."""
    pages = [{name: value or "" for name, value in row.items()} for row in api.walk("/data", f"{query}&limit=200")]
    lines = api.get("/data", f"{query}&format=ndjson").text.splitlines()
    objects = [{name: value or "" for name, value in fixtures.parse(line).items()} for line in lines]
    table = list(csv.DictReader(io.StringIO(api.get("/data", f"{query}&format=csv").text)))
    assert pages == objects == table
    assert pages


@pytest.mark.parametrize("query", ["", "source=csv&symbol=c3", "view=latest", "max_price=2&view=latest", "symbol=zzz"])
def test_exact_count_is_the_number_of_rows(api: fixtures.Api, query: str) -> None:
    """The total counts the filter, not the page."""
    pagination = api.get("/data", f"{query}&count=exact&limit=1").json["pagination"]
    assert pagination["total"] == len(api.walk("/data", f"{query}&limit=1000"))


def test_estimated_count_follows_the_statistics(api: fixtures.Api) -> None:
    """After analyze the planner knows the size of the table."""
    api.conn.execute("analyze")
    total = api.get("/data", "count=estimated&limit=1").json["pagination"]["total"]
    assert total == api.get("/data", "count=exact&limit=1").json["pagination"]["total"]
    assert api.get("/data", "count=estimated&symbol=zzz").json["pagination"]["total"] == 0


def test_count_is_left_out_by_default(api: fixtures.Api) -> None:
    """Nobody pays for a count that was not asked for."""
    pagination = api.get("/data").json["pagination"]
    assert pagination.keys() == {"limit", "has_more", "next_cursor"}
    assert pagination["limit"] == 50


def test_row_has_every_column_in_order(api: fixtures.Api) -> None:
    """Absent values are null, never left out."""
    row = api.rows("/data", "limit=1")[0]
    assert list(row) == COLUMNS
    assert row["market_cap_usd"] is None
    assert api.get("/data", "format=csv").text.splitlines()[0] == ",".join(COLUMNS)


def test_last_page_has_no_next(api: fixtures.Api) -> None:
    """Exactly as many rows as fit are the last page."""
    result = api.get("/data", "asset=coin-0&limit=3")
    assert result.json["pagination"] == {"limit": 3, "has_more": False, "next_cursor": None}
    assert "Link" not in result.headers


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("cursor=abc", {"cursor"}),
        ("cursor=abc&offset=1", {"cursor", "offset"}),
        ("offset=10001", {"offset"}),
        ("format=csv&limit=5", {"limit"}),
        ("format=ndjson&cursor=x", {"cursor"}),
        ("format=csv&offset=1&count=exact", {"offset", "count"}),
        ("format=xml", {"format"}),
        ("source=unknown", {"source"}),
        ("min_price=NaN&max_price=Infinity", {"min_price", "max_price"}),
        ("view=old&order=up&count=all", {"view", "order", "count"}),
        ("asset=%00", {"asset"}),
        ("from=2024-01-02&to=2024-01-02", {"from", "to"}),
        ("from=2024-01-02&to=2024-01-01&format=csv", {"from", "to"}),
        ("min_price=2&max_price=1.9", {"min_price", "max_price"}),
        ("from=yesterday&to=2024-02-30", {"from", "to"}),
    ],
)
def test_wrong_parameters_are_named(api: fixtures.Api, query: str, names: set[str]) -> None:
    """A 400 says which parameters are wrong."""
    result = api.get("/data", query)
    assert result.status_code == 400
    assert {error["name"] for error in result.json["errors"]} == names


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit must be from 1 to 1000, got 0"),
        ("limit=x&offset=-1", "limit must be a whole number from 1 to 1000, got 'x'"),
        ("from=2024-01-02&to=2024-01-01", "from must be before to"),
        ("min_price=1&min_price=2", "min_price stands more than once"),
    ],
)
def test_detail_is_the_first_reason(api: fixtures.Api, query: str, detail: str) -> None:
    """It can be acted upon without looking at `errors`; the names that are valid follow."""
    assert api.get("/data", query).json["detail"].startswith(f"{detail}; valid parameters are source, asset,")


def test_detail_lists_the_names_when_one_is_unknown(api: fixtures.Api) -> None:
    """Wherever it stands."""
    detail = api.get("/data", "limit=0&bogus=1").json["detail"]
    assert detail.startswith("limit must be from 1 to 1000, got 0; valid parameters are source, asset, symbol, ")


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("symbol=%ff", [{"name": "symbol", "message": "must be UTF-8 text"}]),
        ("symbol=\xff&limit=5", [{"name": "symbol", "message": "must be UTF-8 text"}]),
        ("%ff=1", [{"message": "the names of parameters must be UTF-8 text"}]),
        ("&".join(["limit=1"] * 65), [{"message": "the query must have at most 64 parameters"}]),
    ],
)
def test_query_that_is_no_text_names_the_parameter_where_there_is_one(
    api: fixtures.Api, query: str, problems: list[dict[str, str]]
) -> None:
    """No name is made up."""
    result = api.get("/data", query)
    assert (result.status_code, result.json["errors"]) == (400, problems)


def test_cursor_of_other_filters_is_refused(api: fixtures.Api) -> None:
    """A cursor belongs to its filter and order; only the size of the page may change."""
    cursor = api.get("/data", "source=csv&limit=5").json["pagination"]["next_cursor"]
    assert api.get("/data", f"source=csv&limit=9&cursor={cursor}").status_code == 200
    assert api.get("/data", f"source=csv&order=desc&view=all&cursor={cursor}").status_code == 200
    for other in ("source=coingecko", "source=csv&order=asc", "source=csv&view=latest", "", "source=csv&min_price=1"):
        result = api.get("/data", f"{other}&cursor={cursor}")
        assert result.status_code == 400
        assert result.json["errors"][0]["name"] == "cursor"


@pytest.mark.parametrize("query", ["asset=no-such-asset", "asset=no-such-asset&format=csv"])
def test_unknown_asset_is_not_found(api: fixtures.Api, query: str) -> None:
    """An asset that does not exist is a 404, not an empty answer."""
    result = api.get("/data", query)
    assert (result.status_code, result.json["code"]) == (404, "not_found")


def test_plus_sign_that_arrives_as_a_space_is_understood(api: fixtures.Api) -> None:
    """Nobody escapes the plus of an offset."""
    plain = api.get("/data", "from=2024-01-21T02:00:00+02:00&count=exact").json["pagination"]["total"]
    escaped = api.get("/data", "from=2024-01-21T02:00:00%2B02:00&count=exact").json["pagination"]["total"]
    assert plain == escaped == api.get("/data", "from=2024-01-21&count=exact").json["pagination"]["total"]
