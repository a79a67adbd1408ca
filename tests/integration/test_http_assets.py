"""GET /assets and /assets/{slug}: found, counted, and priced by the sources that are not stale."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import api_fixtures as fixtures
import pytest


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """Twelve assets; every third is known to two sources."""
    with fixtures.serve_clone(databases) as api:
        for number in range(12):
            fixtures.add_listing(api.conn, "coinpaprika", f"p{number}", symbol=f"s{number}", slug=f"coin-{number}")
            if number % 3 == 0:
                fixtures.add_listing(api.conn, "csv", f"c{number}", symbol=f"s{number}", slug=f"coin-{number}")
        fixtures.add_listing(api.conn, "csv", "odd", symbol="50%_\\", slug="odd")
        yield api


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def priced(shared: fixtures.Api) -> fixtures.Api:
    """The same, empty."""
    return shared.emptied()


def slugs(rows: list[dict[str, Any]]) -> list[str]:
    return [row["slug"] for row in rows]


def add_price(api: fixtures.Api, source: str, price: str, *, age: timedelta) -> None:
    listing = fixtures.add_listing(api.conn, source, f"{source}-btc", slug="bitcoin")
    fixtures.add_quote(api.conn, listing, datetime.now(UTC) - age, price)


def consensus(api: fixtures.Api) -> Any:
    return fixtures.parse(api.get("/assets/bitcoin").text)["consensus"]


@pytest.mark.parametrize("limit", [1, 4, 5, 1000])
def test_walk_gives_every_asset_once(api: fixtures.Api, limit: int) -> None:
    """In the order of their ids."""
    assert slugs(api.walk("/assets", f"limit={limit}")) == [*(f"coin-{number}" for number in range(12)), "odd"]


def test_listings_are_counted(api: fixtures.Api) -> None:
    """How many listings an asset has, and of which sources."""
    row = api.rows("/assets", "q=coin-3")[0]
    assert (row["slug"], row["symbol"], row["listings"], row["sources"]) == (
        "coin-3",
        "S3",
        "2",
        ["coinpaprika", "csv"],
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=COIN-1", ["coin-1", "coin-10", "coin-11"]),
        ("q=name%20of%20coin-7", ["coin-7"]),
        ("q=%25", ["odd"]),
        ("q=_", ["odd"]),
        ("q=%5C", ["odd"]),
        ("q=nothing", []),
        ("symbol=s4,S5", ["coin-4", "coin-5"]),
        ("source=csv&q=coin", ["coin-0", "coin-3", "coin-6", "coin-9"]),
        ("source=coingecko", []),
    ],
)
def test_search_finds(api: fixtures.Api, query: str, expected: list[str]) -> None:
    """Part of a slug, symbol or name in any case, where % and _ mean themselves; symbols and sources exactly."""
    assert slugs(api.walk("/assets", f"{query}&limit=2")) == expected


@pytest.mark.parametrize(
    ("query", "name"),
    [("q=", "q"), ("source=unknown", "source"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("offset=1", "offset")],
)
def test_wrong_parameter_is_named(api: fixtures.Api, query: str, name: str) -> None:
    """A 400 says which."""
    result = api.get("/assets", query)
    assert (result.status_code, result.json["errors"][0]["name"]) == (400, name)


@pytest.mark.parametrize("slug", ["nothing", "%00", "a%2Fb", "x" * 600, "%ff", "'"])
def test_unknown_asset_is_not_found(api: fixtures.Api, slug: str) -> None:
    """Whatever the path says, it is at most a 404."""
    result = api.get(f"/assets/{slug}")
    assert (result.status_code, result.json["code"]) == (404, "not_found")


def test_asset_has_listings_and_the_latest_quote_of_each_source(priced: fixtures.Api) -> None:
    """One answer tells who calls it what, and what they say now."""
    add_price(priced, "csv", "90", age=timedelta(days=1000))
    add_price(priced, "coinpaprika", "100", age=timedelta(minutes=1))
    body = fixtures.parse(priced.get("/assets/bitcoin").text)
    assert (body["slug"], body["symbol"], body["name"]) == ("bitcoin", "BTC", "Name of bitcoin")
    assert [(row["source"], row["price_usd"]) for row in body["latest"]] == [("coinpaprika", "100"), ("csv", "90")]
    assert [row["external_id"] for row in body["listings"]] == ["coinpaprika-btc", "csv-btc"]
    assert body["listings"][0].keys() == {
        "source", "external_id", "symbol", "name", "match_method", "match_confidence",
    }  # fmt: skip


def test_consensus_of_an_even_number_is_the_exact_middle(priced: fixtures.Api) -> None:
    """No float rounds what a reader may compare digit by digit."""
    add_price(priced, "coinpaprika", "0.000000000000000000000000000001", age=timedelta(minutes=1))
    add_price(priced, "coingecko", "0.000000000000000000000000000002", age=timedelta(minutes=1))
    found = consensus(priced)
    assert Decimal(found["price_usd"]) == Decimal("1.5e-30")
    assert (found["spread_pct"], found["sources"]) == ("66.666667", "2")


def test_consensus_of_an_odd_number_is_the_middle_price(priced: fixtures.Api) -> None:
    """One source that is far off moves nothing."""
    for source, price in (("coinpaprika", "100"), ("coingecko", "101"), ("csv", "5000")):
        add_price(priced, source, price, age=timedelta(minutes=1))
    assert consensus(priced)["price_usd"] == "101"


def test_consensus_leaves_out_sources_that_are_disabled_or_removed(priced: fixtures.Api) -> None:
    """However fresh their quotes are; they are still shown."""
    for source, price in (("coingecko", "100"), ("retired", "5000"), ("removed", "5000")):
        add_price(priced, source, price, age=timedelta(minutes=1))
    assert consensus(priced) == {"price_usd": "100", "spread_pct": "0", "sources": "1"}
    assert len(priced.get("/assets/bitcoin").json["latest"]) == 3


@pytest.mark.parametrize(
    ("ages", "price"),
    [
        ({"coinpaprika": 10, "coingecko": 10}, "150"),
        ({"coinpaprika": 31, "coingecko": 10}, "200"),
        ({"coinpaprika": 31, "coingecko": 119}, "200"),
        ({"csv": 119}, "300"),
        ({"coinpaprika": 31, "coingecko": 121, "csv": 121}, None),
        ({}, None),
    ],
)
def test_consensus_leaves_out_stale_sources(priced: fixtures.Api, ages: dict[str, int], price: str | None) -> None:
    """Each source by its own freshness; an archive while it is as young as the slowest live source may be."""
    fixtures.add_listing(priced.conn, "csv", "other", slug="bitcoin")
    for source, value in (("coinpaprika", "100"), ("coingecko", "200"), ("csv", "300")):
        if source in ages:
            add_price(priced, source, value, age=timedelta(minutes=ages[source]))
    found = consensus(priced)
    assert (found and found["price_usd"]) == price
