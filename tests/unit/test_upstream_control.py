"""The control paths: the request log, the tick and the limits, changed while the stand-in runs."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import define
from falcon import testing

from kasparro.upstream import app
from kasparro.upstream.options import EPOCH, Options


@define
class Clock:
    """A wall clock that stands at `at`."""

    at: datetime = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic(self):
        return 42.5

    def wait(self, event, seconds):
        return event.is_set()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(clock):
    options = Options(coinpaprika_coins=30, coingecko_coins=30, coingecko_keys=("CG-0123456789",))
    return testing.TestClient(app.create(options, clock=clock))


def test_log_shows_a_request_with_its_key_masked_when_asked(client):
    """When, where, what was asked and answered; of a key only the beginning."""
    client.simulate_get("/api/v3/coins/list?status=active", headers={"x-cg-demo-api-key": "CG-0123456789"})
    (entry,) = client.simulate_get("/_control/requests").json
    assert entry == {
        "at": "2026-03-01T12:00:30+00:00",
        "monotonic": 42.5,
        "upstream": "coingecko",
        "method": "GET",
        "path": "/api/v3/coins/list",
        "query": {"status": "active"},
        "status": 200,
        "key": "CG***",
    }


def test_log_hides_a_key_when_it_came_in_the_query(client):
    """A key is nowhere in the log, whichever way it came, right or wrong."""
    client.simulate_get("/api/v3/ping?x_cg_demo_api_key=CG-0123456789")
    client.simulate_get("/api/v3/ping?x_cg_pro_api_key=CG-wrong-wrong")
    text = client.simulate_get("/_control/requests").text
    assert "0123" not in text
    assert "wrong" not in text


def test_log_holds_refused_and_unknown_requests_when_they_came(client):
    """Every request to an upstream counts, whatever its answer; control requests do not."""
    client.simulate_get("/v1/tickers/no-such-coin")
    client.simulate_get("/api/v3/nothing")
    client.simulate_get("/api/v3/ping", headers={"x-cg-demo-api-key": "CG-wrong"})
    client.simulate_post("/v1/tickers")
    entries = client.simulate_get("/_control/requests").json
    assert [(entry["upstream"], entry["status"]) for entry in entries] == [
        ("coinpaprika", 404),
        ("coingecko", 404),
        ("coingecko", 401),
        ("coinpaprika", 405),
    ]


def test_log_is_empty_when_it_was_deleted(client):
    """DELETE starts the log anew."""
    client.simulate_get("/v1/coins")
    assert client.simulate_delete("/_control/requests").status_code == 204
    assert client.simulate_get("/_control/requests").json == []


def test_tick_follows_the_wall_clock_when_it_is_not_pinned(client, clock):
    """One tick a minute; within a minute the answers stay, then they move."""
    first = client.simulate_get("/v1/tickers").content
    clock.at += timedelta(seconds=29)
    assert client.simulate_get("/v1/tickers").content == first
    clock.at += timedelta(seconds=1)
    assert client.simulate_get("/v1/tickers").content != first
    minutes = (clock.at - EPOCH) // timedelta(minutes=1)
    assert client.simulate_get("/_control/tick").json == {"tick": minutes, "pinned": False}


def test_tick_stands_still_when_pinned_and_runs_when_released(client, clock):
    """A pinned tick gives the same bytes for ever; null goes back to the wall clock."""
    assert client.simulate_post("/_control/tick", json={"tick": 1234}).json == {"tick": 1234, "pinned": True}
    first = client.simulate_get("/v1/tickers").content
    assert b'"last_updated":"2025-01-01T20:34:00Z"' in first
    clock.at += timedelta(days=3)
    assert client.simulate_get("/v1/tickers").content == first
    client.simulate_post("/_control/tick", json={"tick": None})
    assert client.simulate_get("/v1/tickers").content != first


def test_tick_moves_every_price_and_stamp_when_it_advances_by_one(client):
    """Between two ticks every coin with a price has another one, and a later stamp."""
    quotes = []
    for tick in (700, 701):
        client.simulate_post("/_control/tick", json={"tick": tick})
        quotes.append({item["id"]: item for item in client.simulate_get("/v1/tickers").json})
    for id_, before in quotes[0].items():
        after = quotes[1][id_]
        assert after["last_updated"] > before["last_updated"]
        assert (
            after["quotes"]["USD"]["price"] != before["quotes"]["USD"]["price"] or not before["quotes"]["USD"]["price"]
        )


@pytest.mark.parametrize("body", [{"tick": -1}, {"tick": "now"}, {"tick": 1.5}, {"tick": 10**12}, {}])
def test_tick_is_refused_by_field_when_it_cannot_be(client, body):
    """400 names tick, and the wall clock goes on deciding."""
    answer = client.simulate_post("/_control/tick", json=body)
    assert (answer.status_code, answer.json["field"]) == (400, "tick")
    assert client.simulate_get("/_control/tick").json["pinned"] is False


def test_limit_is_in_force_when_it_was_posted(client):
    """A limit set while running binds the next requests, and null lifts it."""
    body = {"upstream": "coinpaprika", "requests": 1, "window_seconds": 5}
    assert client.simulate_post("/_control/limits", json=body).status_code == 200
    assert [client.simulate_get("/v1/coins").status_code for _ in range(2)] == [200, 429]
    assert client.simulate_get("/_control/limits").json["coinpaprika"]["requests"] == 1
    client.simulate_post("/_control/limits", json={"upstream": "coinpaprika", "requests": None})
    assert client.simulate_get("/v1/coins").status_code == 200


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"requests": 1}, "upstream"),
        ({"upstream": "coingecko", "requests": -1}, "requests"),
        ({"upstream": "coingecko", "window_seconds": 0}, "window_seconds"),
        ({"upstream": "coingecko", "retry_after": "soon"}, "retry_after"),
        ({"upstream": "coingecko", "body": "xml"}, "body"),
        ({"upstream": "coingecko", "request": 1}, "request"),
    ],
)
def test_limit_is_refused_by_field_when_its_body_is_wrong(client, body, name):
    """400 names the field, and no limit is set."""
    answer = client.simulate_post("/_control/limits", json=body)
    assert (answer.status_code, answer.json["field"]) == (400, name)
    assert client.simulate_get("/_control/limits").json["coingecko"]["requests"] is None


def test_body_is_refused_when_it_is_no_json(client):
    """Not even an object: 400 that says so."""
    answer = client.simulate_post("/_control/tick", body="tick=5")
    assert (answer.status_code, answer.json["field"]) == (400, "body")
