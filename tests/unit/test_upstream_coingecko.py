"""The stand-in's CoinGecko answers, held against recorded ones where they are at hand."""

import itertools
import json
from collections import defaultdict
from pathlib import Path

import pytest
from falcon import testing

from kasparro.upstream import app, ticks
from kasparro.upstream.coingecko import shown
from kasparro.upstream.options import Options

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "coingecko"
TICK = 500_000


@pytest.fixture(scope="module")
def client():
    return testing.TestClient(app.create(Options(tick=TICK)))


@pytest.fixture(scope="module")
def walk(client):
    return list(pages(client))


def pages(client, **params):
    """Every page up to the first short one."""
    page = 1
    while True:
        asked = {"vs_currency": "usd", "per_page": 250, "page": page, **params}
        items = client.simulate_get("/api/v3/coins/markets", params=asked).json
        yield items
        if len(items) < 250:
            return
        page += 1


def recording(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not beside this checkout")
    return json.loads(path.read_text(encoding="utf-8"))


def kinds(items):
    """Every field's path with the kinds of value it held."""
    found = defaultdict(set)
    for item in items:
        for key, value in item.items():
            found[key].add(type(value).__name__)
            if isinstance(value, dict):
                for inner in value:
                    found[f"{key}.{inner}"].add(type(value[inner]).__name__)
    return found


def test_market_has_the_recorded_fields_in_their_order_when_any_coin_is_looked_at(walk):
    """Every recorded field is there, none more, in the recorded order, for all coins."""
    recorded = recording("coins_markets_top100_2025-02-25.json")
    assert {tuple(item) for page in walk for item in page} == {tuple(recorded[0])}


def test_markets_have_only_recorded_kinds_when_the_top_hundred_is_looked_at(walk):
    """The top hundred are null only where recorded ones were, and integers or floats as those."""
    allowed = kinds(recording("coins_markets_top100_2025-02-25.json"))
    for path, seen in kinds(walk[0][:100]).items():
        assert seen <= allowed[path], path


def test_markets_have_every_recorded_kind_when_all_are_looked_at(walk):
    """What a recorded field was at least once, it is here at least once."""
    ours = kinds([item for page in walk for item in page])
    for path, seen in kinds(recording("coins_markets_top100_2025-02-25.json")).items():
        assert seen <= ours[path], path


def test_list_item_has_the_recorded_fields_when_all_coins_are_listed(client):
    """/coins/list gives id, symbol and name of every coin."""
    items = client.simulate_get("/api/v3/coins/list").json
    assert {tuple(item) for item in items} == {tuple(recording("coins_list_2022-04-20_openbb.json")[0])}
    assert len(items) == 3010


def test_list_gives_platforms_when_asked(client):
    """include_platform adds a mapping from chain to address, empty for coins with a chain of their own."""
    items = client.simulate_get("/api/v3/coins/list", params={"include_platform": "true"}).json
    platforms = {item["id"]: item["platforms"] for item in items}
    assert platforms["bitcoin"] == {}
    assert platforms["tether"]["ethereum"].startswith("0x")


def test_markets_use_null_for_unknown_when_figures_are_missing(walk):
    """Some coins have no price, cap or total supply at all; none lacks id, symbol, name, image or last_updated."""
    found = kinds([item for page in walk for item in page])
    for field in ("current_price", "market_cap", "market_cap_rank", "total_supply", "max_supply", "roi"):
        assert "NoneType" in found[field]
    for field in ("id", "symbol", "name", "image", "last_updated"):
        assert found[field] == {"str"}


def test_markets_have_exponents_when_prices_are_tiny(client):
    """Small numbers are written as Python's repr writes them."""
    assert '"current_price":1' in (
        text := client.simulate_get("/api/v3/coins/markets?vs_currency=usd&per_page=250").text
    )
    assert "e-0" in text


def test_markets_end_with_a_short_page_when_walked_to_the_end(client, walk):
    """Every coin is seen on the way, and a page behind the last one is empty."""
    assert len({item["id"] for page in walk for item in page}) == 3010
    assert {len(page) for page in walk[:-1]} == {250}
    beyond = {"vs_currency": "usd", "per_page": 250, "page": 99}
    assert client.simulate_get("/api/v3/coins/markets", params=beyond).json == []


def test_markets_show_a_few_coins_twice_when_paged_by_a_moving_ranking(walk):
    """Some page boundaries repeat a coin, each time the last of a page as first of the next."""
    twice = [(before[-1]["id"], after[0]["id"]) for before, after in itertools.pairwise(walk)]
    repeated = [last for last, first in twice if last == first]
    assert 3 <= len(repeated) <= 5
    assert sum(map(len, walk)) == 3010 + len(repeated)


def test_markets_repeat_other_coins_when_the_tick_moves():
    """Which boundaries overlap is a function of the tick."""
    places = []
    for tick in (600, 601):
        walk = list(pages(testing.TestClient(app.create(Options(tick=tick)))))
        places.append([n for n in range(1, len(walk)) if walk[n - 1][-1]["id"] == walk[n][0]["id"]])
    assert places[0] != places[1]


def test_markets_show_no_coin_twice_when_paged_by_id(client):
    """Ids do not move: a walk in their order is sorted and without repetition."""
    for order, backwards in (("id_asc", False), ("id_desc", True)):
        ids = [item["id"] for page in pages(client, order=order) for item in page]
        assert ids == sorted(set(ids), reverse=backwards)
        assert len(ids) == 3010


def test_markets_are_sorted_by_market_cap_when_no_order_is_given(client):
    """The default page is 100 coins by descending cap, while market_cap_rank lags behind in places."""
    items = client.simulate_get("/api/v3/coins/markets", params={"vs_currency": "usd"}).json
    caps = [item["market_cap"] for item in items]
    ranks = [item["market_cap_rank"] for item in items]
    assert len(items) == 100
    assert all(later < earlier * 1.002 for earlier, later in itertools.pairwise(caps))
    assert ranks != sorted(ranks)


def test_markets_clamp_the_page_size_when_it_exceeds_the_limit(client):
    """per_page stops at 250."""
    asked = {"vs_currency": "usd", "per_page": 1000}
    assert len(client.simulate_get("/api/v3/coins/markets", params=asked).json) == 250


def test_markets_choose_coins_when_ids_or_symbols_are_given(client):
    """ids picks those coins; symbols gives the largest of each unless all are asked for."""

    def ids(**params):
        answer = client.simulate_get("/api/v3/coins/markets", params={"vs_currency": "usd", **params})
        return [item["id"] for item in answer.json]

    assert ids(ids="ripple,bitcoin,no-such-coin") == ["bitcoin", "ripple"]
    assert ids(symbols="btc") == ["bitcoin"]
    assert len(ids(symbols="bor", include_tokens="all")) > 1
    assert ids(names="Bitcoin") == ["bitcoin"]


@pytest.mark.parametrize("params", [{}, {"vs_currency": "xyz"}])
def test_markets_are_refused_when_the_currency_is_missing_or_unknown(client, params):
    """vs_currency is required: 422 with the flat error body."""
    answer = client.simulate_get("/api/v3/coins/markets", params=params)
    assert (answer.status_code, list(answer.json)) == (422, ["error"])


def test_markets_are_stamped_coin_by_coin_when_updated(walk):
    """last_updated has milliseconds, is the coin's own, and never lies after the tick."""
    stamps = [item["last_updated"] for item in walk[0]]
    assert len(set(stamps)) > 240
    assert all(len(stamp) == len("2025-01-01T00:00:00.000Z") for stamp in stamps)
    assert (
        ticks.stamp_milliseconds(TICK * 60 - 170) <= min(stamps) <= max(stamps) <= ticks.stamp_milliseconds(TICK * 60)
    )


def test_range_gives_pairs_of_milliseconds_when_a_day_is_asked_for(client):
    """Up to a day comes in five-minute points, prices and caps and volumes alike."""
    asked = {"vs_currency": "usd", "from": 1764547200, "to": 1764547200 + 86_400}
    answer = client.simulate_get("/api/v3/coins/bitcoin/market_chart/range", params=asked).json
    assert list(answer) == ["prices", "market_caps", "total_volumes"]
    assert answer["prices"][0][0] == 1764547200000
    assert [len(points) for points in answer.values()] == [289, 289, 289]


def test_range_is_refused_when_the_demo_plan_does_not_reach_it(client):
    """More than a year back is a 401 with code 10012 under error.status; an unknown coin a 404."""
    asked = {"vs_currency": "usd", "from": 1700000000, "to": 1764547200}
    refused = client.simulate_get("/api/v3/coins/bitcoin/market_chart/range", params=asked)
    assert refused.status_code == 401
    assert refused.json["error"]["status"]["error_code"] == 10012
    assert client.simulate_get("/api/v3/coins/nope/market_chart/range", params=asked).status_code == 404


@pytest.mark.parametrize(
    ("price", "text"),
    [(88082.4, "88082"), (2394.544, "2394.54"), (1.0042, "1.004"), (0.99953512, "0.999535"), (1.3514e-05, "1.351e-05")],
)
def test_price_is_rounded_by_its_size_when_shown(price, text):
    """Large prices have no decimals, small ones up to eight."""
    assert json.dumps(shown(price)) == text
