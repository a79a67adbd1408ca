"""Keys and plans of the stand-in upstreams: which headers open which doors, and what a refusal looks like."""

import pytest
from falcon import testing

from kasparro.errors import ConfigError
from kasparro.upstream import app
from kasparro.upstream.access import mask
from kasparro.upstream.options import Options

SMALL = {"tick": 100, "coinpaprika_coins": 20, "coingecko_coins": 20}
DEMO, PRO = "x-cg-demo-api-key", "x-cg-pro-api-key"
MARKETS = "/api/v3/coins/markets?vs_currency=usd"


def client(**options):
    return testing.TestClient(app.create(Options(**SMALL, **options)))


@pytest.mark.parametrize("key", ["wrong", "Bearer right", "RIGHT"])
def test_coinpaprika_refuses_with_403_when_the_key_is_not_the_raw_key(key):
    """A wrong key, or a right one behind a scheme word, is a 403 with upstream's body."""
    answer = client(coinpaprika_keys=("right",)).simulate_get("/v1/tickers", headers={"Authorization": key})
    assert (answer.status_code, list(answer.json)) == (403, ["error"])


def test_coinpaprika_answers_by_plan_when_a_key_is_right_or_absent():
    """Without a key the free plan answers, with the right one the paid plan."""
    upstream = client(coinpaprika_keys=("right",))
    free = upstream.simulate_get("/v1/tickers").json
    paid = upstream.simulate_get("/v1/tickers", headers={"Authorization": "right"}).json
    assert "circulating_supply" not in free[0]
    assert "circulating_supply" in paid[0]


def test_coinpaprika_refuses_keyless_requests_when_keys_are_required():
    """The pro host has no keyless plan."""
    assert client(coinpaprika_require_key=True).simulate_get("/v1/tickers").status_code == 403


@pytest.mark.parametrize(("plan", "header", "code"), [("demo", PRO, 10010), ("pro", DEMO, 10011)])
def test_coingecko_refuses_with_400_when_the_header_is_of_the_other_plan(plan, header, code):
    """The right key under the other plan's header is a 400 that names the code beside status."""
    answer = client(coingecko_plan=plan, coingecko_keys=("CG-right",)).simulate_get(
        MARKETS, headers={header: "CG-right"}
    )
    assert answer.status_code == 400
    assert (answer.json["error_code"], list(answer.json["status"])) == (code, ["error_message"])


@pytest.mark.parametrize(("plan", "header"), [("demo", DEMO), ("pro", PRO)])
def test_coingecko_accepts_a_key_when_header_and_plan_agree(plan, header):
    """Each plan has a header of its own, and a query parameter that means the same."""
    upstream = client(coingecko_plan=plan, coingecko_keys=("CG-right",))
    assert upstream.simulate_get(MARKETS, headers={header: "CG-right"}).status_code == 200
    assert upstream.simulate_get(f"{MARKETS}&{header.replace('-', '_')}=CG-right").status_code == 200


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"coingecko_require_key": True}, {}),
        ({"coingecko_plan": "pro"}, {}),
        ({"coingecko_keys": ("CG-right",)}, {DEMO: "CG-wrong"}),
    ],
)
def test_coingecko_refuses_with_401_when_a_key_is_missing_or_unknown(options, headers):
    """The body is of the status shape, with code 10002."""
    answer = client(**options).simulate_get(MARKETS, headers=headers)
    assert answer.status_code == 401
    assert answer.json["status"]["error_code"] == 10002


def test_coingecko_needs_no_key_when_on_the_demo_host():
    """Keyless requests are answered unless keys are required."""
    assert client(coingecko_keys=("CG-right",)).simulate_get("/api/v3/ping").status_code == 200


def test_mask_hides_keys_when_they_are_logged():
    """Two characters of a long key remain, nothing of a short one."""
    assert [mask(key) for key in (None, "short", "CG-0123456789")] == [None, "***", "CG***"]


def test_options_hide_keys_when_shown():
    """No key is in an option's repr."""
    shown = repr(Options(coinpaprika_keys=("very-secret",), coingecko_keys=("CG-secret",)))
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("coingecko_plan", "gold"),
        ("tick_seconds", 0),
        ("tick", -1),
        ("seed", "1"),
        ("coinpaprika_keys", "not-a-tuple"),
        ("coingecko_require_key", "yes"),
    ],
)
def test_options_name_the_field_when_a_value_cannot_be(field, value):
    """A wrong option is a ConfigError whose text begins with its name and shows no key."""
    with pytest.raises(ConfigError, match=f"^{field}: must be") as caught:
        Options(**{field: value})
    assert "not-a-tuple" not in str(caught.value)
