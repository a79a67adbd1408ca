"""Answers and files as they were recorded in the wild, through the real pipeline with the built-in sources."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.etl.readers import json_text
from kasparro.model import RunStatus
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded answers at {DATA}")

COLUMNS = "external_id, observed_at, symbol, name, price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank"


def recorded(name):
    """The text of a recorded answer."""
    return (DATA / name).read_text(encoding="utf-8")


def parsed(text):
    """The same as Python reads it, with exact numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def ask(name, httpserver):
    """The built-in source of that name, asking the test's own server."""
    environ = {f"KASPARRO_SOURCE_{name.upper()}_URL": httpserver.url_for("/api")}
    return catalogue.load_all(Config.from_env(environ))[name]


def stored(etl):
    """Every quote with its listing, by external_id."""
    query = f"select {COLUMNS}, circulating_supply from quotes join listings l on l.id = listing_id"
    return {row[0]: row[1:] for row in etl.rows(query)}


def moment(text):
    return datetime.fromisoformat(text)


def unless_zero(number):
    return number or None


def test_coinpaprika_is_stored_exactly_when_its_recorded_tickers_are_read(etl, httpserver):
    """Twelve coins; its zeros that mean unknown are absent, those that mean zero are not."""
    text = recorded("coinpaprika/tickers_free_2026-05-13_rank1-12.json")
    httpserver.expect_request("/api/tickers").respond_with_data(text)
    source = ask("coinpaprika", httpserver)
    result = etl.run(of=source)
    assert (result.status, result.counts.inserted, result.counts.raw_inserted) == (RunStatus.SUCCEEDED, 12, 12)
    expected = {
        coin["id"]: (
            moment(coin["last_updated"]), coin["symbol"], coin["name"], usd["price"], unless_zero(usd["market_cap"]),
            usd["volume_24h"], usd["percent_change_24h"], coin["rank"], unless_zero(coin.get("circulating_supply")),
        )
        for coin in parsed(text)
        for usd in [coin["quotes"]["USD"]]
    }  # fmt: skip
    assert stored(etl) == expected
    assert etl.run(of=source).counts == Counts(read=12, unchanged=12)


def test_zero_is_absent_when_coinpaprika_does_not_know_a_number(etl, httpserver):
    """A price of zero is an expected rejection, once."""
    coins = parsed(recorded("coinpaprika/tickers_free_2026-05-13_rank1-12.json"))
    coins[0] |= {"rank": 0, "circulating_supply": 0}
    coins[0]["quotes"]["USD"] |= {"market_cap": 0, "volume_24h": 0}
    coins[1]["quotes"]["USD"]["price"] = 0
    httpserver.expect_request("/api/tickers").respond_with_data(json.dumps(coins, default=float))
    result = etl.run(of=ask("coinpaprika", httpserver))
    assert (result.status, result.counts.rejected_expected) == (RunStatus.SUCCEEDED, 1)
    _, _, _, _, cap, volume, _, rank, supply = stored(etl)[coins[0]["id"]]
    assert (cap, volume, rank, supply) == (None, 0, None, None)


def coingecko_rows(coins):
    """What is to be stored of these coins."""
    return {
        coin["id"]: (
            moment(coin["last_updated"]), coin["symbol"], coin["name"], coin["current_price"], coin["market_cap"],
            coin["total_volume"], coin["price_change_percentage_24h"], coin["market_cap_rank"],
            coin["circulating_supply"],
        )
        for coin in coins
    }  # fmt: skip


def test_coingecko_is_stored_exactly_when_its_recorded_markets_are_read(etl, httpserver):
    """A hundred coins are a short page: nothing more is asked."""
    text = recorded("coingecko/coins_markets_top100_2025-02-25.json")
    httpserver.expect_request("/api/coins/markets").respond_with_data(text)
    result = etl.run(of=ask("coingecko", httpserver))
    assert result.counts == Counts(read=100, inserted=100, raw_inserted=100)
    assert result.traffic.requests == 1
    assert stored(etl) == coingecko_rows(parsed(text))
    assert dict(httpserver.log[0][0].args) == {
        "vs_currency": "usd", "page": "1", "per_page": "250", "order": "market_cap_desc",
    }  # fmt: skip


def test_coingecko_is_asked_for_the_next_page_when_the_recorded_one_is_full(etl, httpserver):
    """Two hundred and fifty coins fill a page; the same ones again on the next are duplicates of nobody."""
    records = list(json_text.records(recorded("coingecko/coins_markets_top250_2024-02-18_remarshalled.json"), "coins"))
    text = "[" + ",".join(record.payload for record in records) + "]"
    httpserver.expect_ordered_request("/api/coins/markets").respond_with_data(text)
    again = "[" + ",".join(record.payload for record in records[240:]) + "]"
    httpserver.expect_ordered_request("/api/coins/markets").respond_with_data(again)
    result = etl.run(of=ask("coingecko", httpserver))
    assert result.counts == Counts(read=260, inserted=250, unchanged=10, raw_inserted=250)
    assert [request.args["page"] for request, _ in httpserver.log] == ["1", "2"]
    assert stored(etl) == coingecko_rows(parsed(text))


def test_raw_records_are_the_answer_when_put_together_again(etl, httpserver):
    """To the last byte: nothing was written anew."""
    text = recorded("coingecko/coins_markets_top100_2025-02-25.json")
    httpserver.expect_request("/api/coins/markets").respond_with_data(text)
    etl.run(of=ask("coingecko", httpserver))
    payloads = [payload for (payload,) in etl.rows("select payload::text from raw_coingecko order by last_seen_at")]
    assert "[" + ", ".join(payloads) + "]" == text.strip()
