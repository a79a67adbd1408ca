"""Faults on demand: what a client sees of each kind, on which requests, and how often."""

import json
import threading
from datetime import UTC, datetime

import pytest
from attrs import define, field
from falcon import testing

from kasparro.upstream import app
from kasparro.upstream.options import Options

MARKETS = "/api/v3/coins/markets?vs_currency=usd&per_page=10"


@define
class Clock:
    """A clock that stands still and remembers how long it was asked to wait."""

    waits: list[float] = field(factory=list)

    def now(self):
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self):
        return 0.0

    def wait(self, event, seconds):
        self.waits.append(seconds)
        return event.is_set()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(clock):
    options = Options(tick=100, coinpaprika_coins=40, coingecko_coins=40)
    return testing.TestClient(app.create(options, clock=clock))


def inject(client, **fault):
    answer = client.simulate_post("/_control/faults", json={"upstream": "coingecko", **fault})
    assert answer.status_code == 200, answer.text


def test_status_fires_as_often_as_asked_when_requests_come(client):
    """Three times 503 with upstream's error shape, then the data again."""
    inject(client, kind="status", status=503, times=3, retry_after="120")
    answers = [client.simulate_get(MARKETS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 200]
    assert answers[0].json["status"]["error_code"] == 503
    assert answers[0].headers["Retry-After"] == "120"
    (fault,) = client.simulate_get("/_control/faults").json
    assert fault["fired"] == 3


def test_status_fires_for_ever_when_no_times_are_given(client):
    """Only DELETE ends such a fault."""
    inject(client, kind="status")
    assert {client.simulate_get(MARKETS).status_code for _ in range(5)} == {500}
    assert client.simulate_delete("/_control/faults").status_code == 204
    assert client.simulate_get(MARKETS).status_code == 200
    assert client.simulate_get("/_control/faults").json == []


def test_slow_waits_before_the_answer_when_it_fires(client, clock):
    """The answer itself is whole."""
    inject(client, kind="slow", seconds=2.5, times=1)
    assert len(client.simulate_get(MARKETS).json) == 10
    client.simulate_get(MARKETS)
    assert clock.waits == [2.5]


def test_truncate_promises_more_than_it_sends_when_it_fires(client):
    """Content-Length is the whole body's, the bytes are a share of it."""
    whole = client.simulate_get(MARKETS).content
    inject(client, kind="truncate", keep=0.25)
    cut = client.simulate_get(MARKETS)
    assert int(cut.headers["Content-Length"]) == len(whole)
    assert cut.content == whole[: len(whole) // 4]


def test_bad_json_has_its_own_length_but_cannot_be_read_when_it_fires(client):
    """The answer arrives complete and is no JSON."""
    inject(client, kind="bad_json")
    answer = client.simulate_get(MARKETS)
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_rename_keeps_value_and_place_when_it_fires(client):
    """A renamed field holds what it held, where it stood, in every record."""
    before = client.simulate_get(MARKETS).json
    inject(client, kind="rename", field="current_price", to="price_now")
    after = client.simulate_get(MARKETS).json
    assert [list(item.values()) for item in after] == [list(item.values()) for item in before]
    assert [list(item).index("price_now") for item in after] == [4] * 10
    assert all("current_price" not in item for item in after)


def test_rename_reaches_nested_fields_when_dotted(client):
    """quotes.USD.price is the price within USD within quotes."""
    inject(client, upstream="coinpaprika", kind="rename", field="quotes.USD.price", to="last_price")
    for item in client.simulate_get("/v1/tickers").json:
        assert next(iter(item["quotes"]["USD"])) == "last_price"


def test_drop_keeps_a_share_of_the_records_when_it_fires(client):
    """The answer is well-formed, only shorter."""
    inject(client, kind="drop", keep=0.3)
    assert len(client.simulate_get(MARKETS).json) == 3


def test_nan_stands_in_the_first_record_when_it_fires(client):
    """The literal NaN, which strict readers refuse, in one record only."""
    inject(client, kind="nan", field="current_price")
    text = client.simulate_get(MARKETS).text
    assert text.count('"current_price":NaN') == 1
    assert text.index("NaN") < text.index('"market_cap"')


def test_fault_fires_on_its_page_only_when_one_is_given(client):
    """A query without page is page 1."""
    inject(client, kind="status", page=2)
    urls = (MARKETS, f"{MARKETS}&page=1", f"{MARKETS}&page=2", f"{MARKETS}&page=3")
    assert [client.simulate_get(url).status_code for url in urls] == [200, 200, 500, 200]


def test_fault_fires_on_its_path_and_upstream_only_when_given(client):
    """The path's end is compared; the other upstream and the control paths are never hit."""
    inject(client, kind="status", path="/coins/markets")
    assert client.simulate_get("/api/v3/coins/list").status_code == 200
    assert client.simulate_get("/v1/tickers").status_code == 200
    assert client.simulate_get(MARKETS).status_code == 500


def test_faults_act_together_when_several_fit(client, clock):
    """Slow, shorter and renamed at once; the answer remembered for the tick stays as it was."""
    inject(client, kind="slow", seconds=1, times=1)
    inject(client, kind="drop", keep=0.5, times=1)
    inject(client, kind="rename", field="id", to="coin", times=1)
    spoiled = client.simulate_get(MARKETS).json
    assert (len(spoiled), next(iter(spoiled[0])), clock.waits) == (5, "coin", [1])
    whole = client.simulate_get(MARKETS).json
    assert (len(whole), next(iter(whole[0]))) == (10, "id")


def test_fault_fires_exactly_as_often_as_asked_when_threads_race(client):
    """Eight threads share five refusals between them."""
    inject(client, kind="status", times=5)
    seen = []

    def ask():
        seen.extend(client.simulate_get("/api/v3/ping").status_code for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (seen.count(500), seen.count(200)) == (5, 75)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"upstream": "binance", "kind": "slow"}, "upstream"),
        ({"upstream": "coingecko"}, "kind"),
        ({"upstream": "coingecko", "kind": "explode"}, "kind"),
        ({"upstream": "coingecko", "kind": "status", "status": 200}, "status"),
        ({"upstream": "coingecko", "kind": "status", "times": 0}, "times"),
        ({"upstream": "coingecko", "kind": "slow", "seconds": "2"}, "seconds"),
        ({"upstream": "coingecko", "kind": "drop", "keep": 1.5}, "keep"),
        ({"upstream": "coingecko", "kind": "drop", "page": True}, "page"),
        ({"upstream": "coingecko", "kind": "rename", "to": "x"}, "field"),
        ({"upstream": "coingecko", "kind": "rename", "field": "x"}, "to"),
        ({"upstream": "coingecko", "kind": "nan"}, "field"),
        ({"upstream": "coingecko", "kind": "slow", "second": 2}, "second"),
        (["slow"], "body"),
    ],
)
def test_fault_is_refused_by_field_when_its_body_is_wrong(client, body, name):
    """400 names the field, and nothing is on the board afterwards."""
    answer = client.simulate_post("/_control/faults", json=body)
    assert (answer.status_code, answer.json["field"]) == (400, name)
    assert answer.json["error"].startswith(f"{name}: must be ")
    assert client.simulate_get("/_control/faults").json == []
