"""The stand-in upstreams on a real port: started, asked, cut off and stopped. Needs no database."""

import threading
import time

import pytest
import urllib3

from kasparro.errors import ConfigError
from kasparro.upstream.options import Options
from kasparro.upstream.server import UpstreamServer

SMALL = Options(tick=100, coinpaprika_coins=40, coingecko_coins=40)


@pytest.fixture
def server():
    with UpstreamServer(SMALL) as running:
        yield running


@pytest.fixture
def http():
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def test_server_answers_both_upstreams_when_started_on_a_free_port(server, http):
    """Port 0 takes a free one, and the base URLs carry it."""
    assert server.port != 0
    assert len(http.request("GET", f"{server.coinpaprika_url}/tickers").json()) == 40
    markets = http.request("GET", f"{server.coingecko_url}/coins/markets", fields={"vs_currency": "usd"})
    assert len(markets.json()) == 40


def test_client_sees_an_incomplete_answer_when_the_body_is_truncated(server, http):
    """The connection ends before the promised length; the next request is whole again."""
    fault = {"upstream": "coinpaprika", "kind": "truncate", "times": 1}
    assert http.request("POST", f"{server.control_url}/faults", json=fault).status == 200
    with pytest.raises(urllib3.exceptions.ProtocolError):
        http.request("GET", f"{server.coinpaprika_url}/tickers")
    assert len(http.request("GET", f"{server.coinpaprika_url}/tickers").json()) == 40


def test_server_stops_within_a_second_when_an_answer_is_slow(server, http):
    """A slow answer and an idle connection do not hold up the stop."""
    http.request("POST", f"{server.control_url}/faults", json={"upstream": "coingecko", "kind": "slow", "seconds": 60})
    asker = threading.Thread(target=_ask, args=(http, f"{server.coingecko_url}/ping"))
    asker.start()
    _wait_for_fault(http, server)
    before = time.monotonic()
    server.stop()
    assert time.monotonic() - before < 1.0
    asker.join(timeout=5)
    assert not asker.is_alive()
    with pytest.raises(urllib3.exceptions.HTTPError):
        http.request("GET", f"{server.coingecko_url}/ping")


def test_server_answers_on_the_same_port_when_started_again(server, http):
    """An outage: nobody answers while it is stopped, the same URL does afterwards."""
    url = f"{server.coingecko_url}/ping"
    server.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        http.request("GET", url)
    server.start()
    assert http.request("GET", url).status == 200


def test_server_names_the_address_when_its_port_is_taken(server):
    """A taken port is a configuration error, told in one line."""
    with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port}"):
        UpstreamServer(SMALL, port=server.port).start()


def test_server_stops_without_complaint_when_it_never_ran():
    """stop() may be called at any time, and twice."""
    idle = UpstreamServer(SMALL)
    idle.stop()
    idle.stop()
    assert idle.port == 0


def _ask(http, url):
    try:
        http.request("GET", url)
    except urllib3.exceptions.HTTPError:
        return


def _wait_for_fault(http, server):
    """Until the slow answer is under way."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if http.request("GET", f"{server.control_url}/faults").json()[0]["fired"]:
            return
        time.sleep(0.02)
    pytest.fail("the slow fault never fired")
