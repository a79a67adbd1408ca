"""Which sources there are, and what the environment changes about them."""

import pytest

from kasparro.config import Config
from kasparro.errors import ConfigError
from kasparro.etl import catalogue, normalise
from kasparro.model import Record

MINE = """
name = "{name}"
kind = "json_api"
schedule = "every 1h"
[http]
url = "https://api.example.org"
path = "/prices"
[fields]
external_id = "id"
symbol = "symbol"
name = "name"
observed_at = "at"
price_usd = "price"
"""
KEY = "key-of-nobody-1234"


def load(**environ):
    """The sources under these settings."""
    return catalogue.load_all(Config.from_env(environ))


def problems(**environ):
    """The lines of the error under these settings."""
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return caught.value.problems


def test_built_in_sources_are_there_when_nothing_is_set():
    """Without a glob there are no files to read, so csv is off."""
    assert {name: source.enabled for name, source in load().items()} == {
        "coingecko": True,
        "coinpaprika": True,
        "csv": False,
    }


@pytest.mark.parametrize("column", ["currency", "vs_currency", "quote_currency", "price_currency", "quote"])
def test_csv_takes_no_price_for_dollars_when_a_column_says_otherwise(column):
    """However people call it."""
    normaliser = normalise.compile_source(load(KASPARRO_CSV_GLOB="/archives/*.csv")["csv"])
    fields = {"symbol": "A", "name": "a", "date": "2026-01-01", "price": "1", column: "gbp"}
    item = normaliser(Record(fields=fields, payload="{}"), {})
    assert item.rejection is not None
    assert item.rejection.code == "wrong_currency"


def test_csv_is_enabled_when_a_glob_is_set():
    """KASPARRO_CSV_GLOB is all it takes."""
    source = load(KASPARRO_CSV_GLOB="/archives/**/*.csv")["csv"]
    assert source.enabled
    assert source.files.glob == "/archives/**/*.csv"


def test_operators_file_replaces_a_built_in_one_when_it_has_its_name(tmp_path):
    """And adds to them when it has a name of its own."""
    (tmp_path / "a.toml").write_text(MINE.format(name="coingecko"))
    (tmp_path / "b.toml").write_text(MINE.format(name="shop"))
    found = load(KASPARRO_SOURCES_DIR=str(tmp_path))
    assert list(found) == ["coingecko", "coinpaprika", "csv", "shop"]
    assert found["coingecko"].http.url == "https://api.example.org"


def test_files_are_named_when_two_of_a_folder_share_a_name(tmp_path):
    """Which of them counts would be a guess."""
    for file in ("a.toml", "b.toml"):
        (tmp_path / file).write_text(MINE.format(name="shop"))
    assert problems(KASPARRO_SOURCES_DIR=str(tmp_path)) == ["b.toml: name: 'shop' is already the name of a.toml"]


def test_every_bad_file_is_named_when_there_are_several(tmp_path):
    """Problems of files and of variables come together."""
    (tmp_path / "a.toml").write_text("x")
    (tmp_path / "b.toml").write_text(MINE.format(name="Shop"))
    found = problems(KASPARRO_SOURCES_DIR=str(tmp_path), KASPARRO_SOURCE_NOBODY_URL="http://x")
    assert [line.split(":")[0] for line in found] == ["a.toml", "b.toml", "KASPARRO_SOURCE_NOBODY_URL"]


def test_environment_overrides_what_the_file_says_when_set():
    """Address, schedule, switch and page limit."""
    source = load(
        KASPARRO_SOURCE_COINGECKO_URL="http://127.0.0.1:9/api/v3/",
        KASPARRO_SOURCE_COINGECKO_SCHEDULE="*/10 * * * *",
        KASPARRO_SOURCE_COINGECKO_ENABLED="off",
        KASPARRO_SOURCE_COINGECKO_MAX_PAGES="7",
    )["coingecko"]
    assert source.http.url == "http://127.0.0.1:9/api/v3"
    assert (source.schedule.text, source.enabled, source.paging.max_pages) == ("*/10 * * * *", False, 7)


def test_page_limit_is_lifted_when_it_is_set_to_zero():
    """Then every coin is read."""
    assert load(KASPARRO_SOURCE_COINGECKO_MAX_PAGES="0")["coingecko"].paging.max_pages is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KASPARRO_SOURCE_CSV_URL", "http://x", "is read from files"),
        ("KASPARRO_SOURCE_CSV_ENABLED", "on", "set KASPARRO_CSV_GLOB"),
        ("KASPARRO_SOURCE_CSV_MAX_PAGES", "2", "has no pages"),
        ("KASPARRO_SOURCE_COINPAPRIKA_MAX_PAGES", "2", "has no pages"),
        ("KASPARRO_SOURCE_COINPAPRIKA_SCHEDULE", "often", "must be 'every 5m'"),
    ],
)
def test_variable_is_named_when_a_source_cannot_take_it(name, value, said):
    """One line, with the variable's own name."""
    (line,) = problems(**{name: value})
    assert line.startswith(f"{name}: ")
    assert said in line


PRO = "https://pro-api.coingecko.com/api/v3"
FREE = "https://api.coingecko.com/api/v3"


@pytest.mark.parametrize(
    ("source", "environ", "url", "headers"),
    [
        ("coinpaprika", {}, "https://api.coinpaprika.com/v1", {}),
        ("coinpaprika", {"COINPAPRIKA_API_KEY": KEY}, "https://api-pro.coinpaprika.com/v1", {"Authorization": KEY}),
        ("coingecko", {}, FREE, {}),
        ("coingecko", {"COINGECKO_API_KEY": KEY}, FREE, {"x-cg-demo-api-key": KEY}),
        ("coingecko", {"COINGECKO_API_KEY": KEY, "COINGECKO_API_PLAN": "pro"}, PRO, {"x-cg-pro-api-key": KEY}),
        ("coingecko", {"COINGECKO_API_PLAN": "pro"}, FREE, {}),
        ("coingecko", {"COINPAPRIKA_API_KEY": KEY}, FREE, {}),
    ],
)
def test_endpoint_follows_key_and_plan_when_they_are_set(source, environ, url, headers):
    """Each key goes to its own host in its own header; without one nothing is sent."""
    config = Config.from_env(environ)
    found = catalogue.endpoint(catalogue.load_all(config)[source], config)
    assert (found.url, found.headers) == (url, headers)


@pytest.mark.parametrize(
    ("source", "environ", "header"),
    [
        ("coinpaprika", {"COINPAPRIKA_API_KEY": KEY}, "Authorization"),
        ("coingecko", {"COINGECKO_API_KEY": KEY}, "x-cg-demo-api-key"),
        ("coingecko", {"COINGECKO_API_KEY": KEY, "COINGECKO_API_PLAN": "pro"}, "x-cg-pro-api-key"),
    ],
)
def test_overridden_address_keeps_the_header_but_not_the_plans_host_when_there_is_a_key(source, environ, header):
    """What the operator points at is what is asked, with the key as its plan sends it."""
    config = Config.from_env({**environ, f"KASPARRO_SOURCE_{source.upper()}_URL": "http://127.0.0.1:9/x"})
    found = catalogue.endpoint(catalogue.load_all(config)[source], config)
    assert (found.url, found.headers) == ("http://127.0.0.1:9/x", {header: KEY})


def test_endpoint_never_shows_the_key_when_printed():
    """It travels in headers only."""
    config = Config.from_env({"COINGECKO_API_KEY": KEY})
    source = catalogue.load_all(config)["coingecko"]
    assert KEY not in repr(catalogue.endpoint(source, config)) + repr(source) + repr(config)


@pytest.mark.parametrize(
    ("environ", "requests"),
    [({}, 400.0), ({"KASPARRO_SOURCE_COINGECKO_MAX_PAGES": "0"}, 7000.0)],
)
def test_projected_requests_follow_the_page_limit_when_counted(environ, requests):
    """Without a limit it is what a full read usually takes; files cost nothing."""
    found = load(**environ)
    assert catalogue.requests_per_month(found["coingecko"], 100.0) == requests
    assert catalogue.requests_per_month(found["coinpaprika"], 100.0) == 100.0
    assert catalogue.requests_per_month(found["csv"], 100.0) == 0.0
