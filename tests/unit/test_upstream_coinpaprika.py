"""The stand-in's CoinPaprika answers, held against a recorded one where it is at hand."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from falcon import testing

from kasparro.upstream import app, ticks
from kasparro.upstream.coinpaprika import noisy, whole
from kasparro.upstream.options import Options

DATA = Path(__file__).parents[2].parent / "shared" / "data"
RECORDING = DATA / "coinpaprika" / "tickers_free_2026-05-13_rank1-12.json"
TICK = 500_000


@pytest.fixture(scope="module")
def client():
    return testing.TestClient(app.create(Options(tick=TICK)))


@pytest.fixture(scope="module")
def tickers(client):
    return client.simulate_get("/v1/tickers").json


@pytest.fixture(scope="module")
def recorded():
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not beside this checkout")
    return json.loads(RECORDING.read_text(encoding="utf-8"))


def kinds(items):
    """Every field's path, in order, with the kinds of value it held."""
    found = defaultdict(set)

    def visit(path, value):
        found[path].add(type(value).__name__)
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(f"{path}.{key}", inner)

    for item in items:
        visit("", item)
    return found


def test_ticker_has_the_recorded_fields_in_their_order_when_no_key_is_sent(tickers, recorded):
    """Every field of the free plan is there, none more, in the recorded order."""
    assert {tuple(kinds([item])) for item in tickers} == {tuple(kinds(recorded))}


def test_ticker_has_only_recorded_kinds_when_its_rank_was_recorded(tickers, recorded):
    """The first ranks hold what the recorded ones held: no null, floats as floats, whole floats as integers."""
    allowed = kinds(recorded)
    for path, seen in kinds([item for item in tickers if item["rank"] <= len(recorded)]).items():
        assert seen <= allowed[path], path


def test_tickers_have_every_recorded_kind_when_all_are_looked_at(tickers, recorded):
    """What a recorded field was at least once, it is here at least once."""
    ours = kinds(tickers)
    for path, seen in kinds(recorded).items():
        assert seen <= ours[path], path


def test_tickers_hold_back_paid_figures_when_no_key_is_sent(tickers):
    """As recorded on the free plan, changes over a month and a year are 0 for every coin."""
    quotes = [item["quotes"]["USD"] for item in tickers]
    assert {quote["percent_change_30d"] for quote in quotes} == {quote["percent_change_1y"] for quote in quotes} == {0}


def test_tickers_have_paid_figures_when_a_key_is_sent(client):
    """With a key come circulating supplies behind the rank, and changes over a month."""
    items = client.simulate_get("/v1/tickers", headers={"Authorization": "some-key"}).json
    assert list(items[0])[3:6] == ["rank", "circulating_supply", "total_supply"]
    assert all(isinstance(item["circulating_supply"], int) for item in items)
    assert items[0]["quotes"]["USD"]["percent_change_30d"] != 0


def test_tickers_use_zero_for_unknown_when_figures_are_missing(tickers):
    """Unknown prices, caps and supplies are 0, each for some coins; a missing cap leaves the price alive."""
    quotes = [item["quotes"]["USD"] for item in tickers]
    assert any(quote["price"] == 0 for quote in quotes)
    assert any(quote["price"] > 0 and quote["market_cap"] == 0 for quote in quotes)
    assert any(item["total_supply"] == 0 for item in tickers)
    assert any(item["max_supply"] == 0 for item in tickers)


def test_tickers_are_neither_sorted_nor_uniquely_ranked_when_read_in_order(tickers):
    """A reader may rely on neither the order nor the rank."""
    ranks = [item["rank"] for item in tickers]
    assert len(tickers) == 2000
    assert ranks != sorted(ranks)
    assert len(set(ranks)) < len(ranks)
    assert set(range(1, max(ranks))) - set(ranks)


def test_tickers_are_never_stamped_after_their_tick_when_last_updated(tickers):
    """last_updated is RFC 3339 in whole seconds, up to three minutes before the tick."""
    moment = ticks.stamp_seconds(TICK * 60)
    stamps = {item["last_updated"] for item in tickers}
    assert max(stamps) == moment
    assert min(stamps) >= ticks.stamp_seconds(TICK * 60 - 180)
    assert len(stamps) > 50


def test_tickers_are_byte_identical_when_the_tick_is_pinned(client):
    """A pinned tick answers the same bytes on every call, also in another process of the same seed."""
    other = testing.TestClient(app.create(Options(tick=TICK)))
    bodies = {source.simulate_get("/v1/tickers").content for source in (client, client, other)}
    assert len(bodies) == 1


def test_ticker_alone_equals_its_place_in_the_list_when_asked_by_id(client, tickers):
    """/tickers/{id} gives the same object; an unknown id is a 404 with upstream's body."""
    assert client.simulate_get("/v1/tickers/btc-bitcoin").json == tickers[0]
    missing = client.simulate_get("/v1/tickers/no-such-coin")
    assert (missing.status_code, missing.json) == (404, {"error": "id not found"})


def test_tickers_quote_other_currencies_when_asked(client):
    """quotes names up to three currencies; the all-time high is known in dollars only."""
    quotes = client.simulate_get("/v1/tickers/btc-bitcoin", params={"quotes": "USD,BTC"}).json["quotes"]
    assert quotes["BTC"]["price"] == pytest.approx(1.0)
    assert quotes["BTC"]["ath_price"] is None
    assert client.simulate_get("/v1/tickers", params={"quotes": "USD,BTC,EUR,ETH"}).status_code == 400


def test_coins_list_retired_coins_without_rank_when_all_are_listed(client, tickers):
    """/coins holds more than /tickers: what is no longer active has rank 0."""
    items = client.simulate_get("/v1/coins").json
    assert list(items[0]) == ["id", "name", "symbol", "rank", "is_new", "is_active", "type"]
    assert len(items) > len(tickers)
    assert all((item["rank"] == 0) != item["is_active"] for item in items)


def test_historical_gives_aligned_points_when_a_range_is_asked_for(client):
    """Points lie on the interval, oldest first, and the price at a tick is the ticker's."""
    params = {"start": "2025-12-01", "end": "2025-12-04", "interval": "1d"}
    items = client.simulate_get("/v1/tickers/btc-bitcoin/historical", params=params).json
    assert [item["timestamp"] for item in items] == [f"2025-12-0{day}T00:00:00Z" for day in range(1, 5)]
    assert [type(value) for value in items[0].values()] == [str, float, int, int]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400),
        ({"start": "yesterday"}, 400),
        ({"start": "2025-12-14", "interval": "2m"}, 400),
        ({"start": "2025-12-14", "interval": "5m"}, 402),
        ({"start": "2025-12-01", "interval": "1h"}, 402),
        ({"start": "2024-01-01", "interval": "1d"}, 402),
    ],
)
def test_historical_is_refused_when_the_free_plan_does_not_reach_it(client, params, status):
    """Bad parameters are a 400, history beyond the free plan a 402, both with upstream's body."""
    answer = client.simulate_get("/v1/tickers/btc-bitcoin/historical", params=params)
    assert (answer.status_code, list(answer.json)) == (status, ["error"])


def test_unknown_path_answers_plain_text_when_coinpaprika_has_no_such_path(client):
    """The free host's 404 is not JSON."""
    answer = client.simulate_get("/v1/no/such/path")
    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_percentage_passes_a_small_float_when_sent():
    """Two decimals come out as a 32-bit float shows them, whole ones as integers."""
    assert json.dumps([noisy(-0.16), noisy(3.0), noisy(-0.001)]) == "[-0.1599999964237213, 3, 0]"
    assert json.dumps([whole(2.5), whole(-13.0)]) == "[2.5, -13]"
