"""Rate limits of the stand-in upstreams: how many pass, and what the others are told."""

from datetime import UTC, datetime

import pytest
from attrs import define
from falcon import testing

from kasparro.upstream import app
from kasparro.upstream.limits import Limiter
from kasparro.upstream.options import Limit, Options

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@define
class Clock:
    """A clock that stands until it is moved."""

    seconds: float = 0.0

    def now(self):
        return NOW

    def monotonic(self):
        return self.seconds

    def wait(self, event, seconds):
        return event.is_set()


def client(clock=None, **limits):
    options = Options(tick=100, coinpaprika_coins=20, coingecko_coins=20, **limits)
    return testing.TestClient(app.create(options, clock=clock or Clock()))


def test_limiter_admits_as_many_as_allowed_when_the_window_slides():
    """In any window of ten seconds two pass; the next passes when the oldest leaves the window."""
    limiter = Limiter(Limit(requests=2, window_seconds=10))
    assert [limiter.spend(at) for at in (0.0, 4.0)] == [None, None]
    assert limiter.spend(6.0) == 4.0
    assert limiter.spend(10.0) is None
    assert limiter.spend(11.0) == 3.0


def test_limiter_admits_everything_when_there_is_no_limit():
    """The default is no limit."""
    limiter = Limiter(Limit())
    assert {limiter.spend(0.0) for _ in range(1000)} == {None}


def test_limiter_admits_nothing_when_the_limit_is_zero():
    """Zero requests close the door for a window at a time."""
    assert Limiter(Limit(requests=0, window_seconds=7)).spend(1.0) == 7


def test_request_passes_again_when_the_time_it_was_told_has_passed():
    """429 with Retry-After in seconds; waiting that long is enough."""
    clock = Clock()
    upstream = client(clock, coingecko_limit=Limit(requests=1, window_seconds=2.5))
    assert upstream.simulate_get("/api/v3/ping").status_code == 200
    refused = upstream.simulate_get("/api/v3/ping")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    clock.seconds += 3
    assert upstream.simulate_get("/api/v3/ping").status_code == 200


def test_limit_binds_one_upstream_when_the_other_has_none():
    """Each upstream counts its own requests."""
    upstream = client(coingecko_limit=Limit(requests=0))
    assert upstream.simulate_get("/api/v3/ping").status_code == 429
    assert upstream.simulate_get("/v1/coins").status_code == 200


def test_limit_body_has_the_recorded_shape_when_each_upstream_refuses():
    """CoinPaprika's flat error, CoinGecko's status with the code 429."""
    upstream = client(coingecko_limit=Limit(requests=0), coinpaprika_limit=Limit(requests=0))
    assert upstream.simulate_get("/v1/coins").json == {"error": "you have reached maximum request limit"}
    status = upstream.simulate_get("/api/v3/ping").json["status"]
    assert (status["error_code"], type(status["error_message"])) == (429, str)


def test_limit_body_is_plain_text_when_chosen():
    """The other answer seen of CoinGecko: the one word Throttled."""
    answer = client(coingecko_limit=Limit(requests=0, body="text")).simulate_get("/api/v3/ping")
    assert (answer.text, answer.headers["Content-Type"]) == ("Throttled", "text/plain; charset=utf-8")


@pytest.mark.parametrize(("kind", "header"), [("absent", None), ("date", "Sun, 01 Mar 2026 12:00:31 GMT")])
def test_limit_tells_when_to_come_back_when_not_in_seconds(kind, header):
    """Retry-After may be a date, or missing."""
    limit = Limit(requests=0, window_seconds=30, retry_after=kind)
    assert client(coingecko_limit=limit).simulate_get("/api/v3/ping").headers.get("Retry-After") == header


def test_refused_key_uses_up_no_request_when_a_limit_is_set():
    """Keys are looked at before the limit."""
    upstream = client(coinpaprika_keys=("right",), coinpaprika_limit=Limit(requests=1))
    for _ in range(3):
        upstream.simulate_get("/v1/coins", headers={"Authorization": "wrong"})
    assert upstream.simulate_get("/v1/coins", headers={"Authorization": "right"}).status_code == 200
