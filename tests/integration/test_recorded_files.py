"""CSV files as they were recorded in the wild, each through a map of its own, into the tables: every row is accounted
for, and so is every rejection."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from kasparro.etl import source_file
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "csv"
MAPS = Path(__file__).parents[1] / "maps"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded files at {DATA}")

# File: records, quotes, rejections by code, and one quote: when, price, market value, volume, change.
FILES = {
    "coingecko_derived_BTC_2024-10_2025-04": (
        181, 181, {}, ("2024-10-27T00:00:00", "67018.1650170265", "1325192118637.2595", "21169467789.89267", None)),
    "coingecko_derived_PEPE_2024-10_2025-04": (
        181, 181, {},
        ("2024-10-17T00:00:00", "1.0446734414054427e-05", "4386954952.988866", "1768664567.0315902", None)),
    "coingecko_derived_USDT_2024-10_2025-04": (
        181, 180, {"ambiguous_time": 1},
        ("2024-10-17T00:00:00", "0.999850470881623", None, "24833655.669797946", None)),
    "coingecko_web_export_btc-usd_2024-2025": (
        620, 620, {}, ("2025-09-11T00:00:00", "113975.32489468766", "2270241314652.7144", "52205187155.05567", None)),
    "coinmarketcap_semicolon_bom_BTC_2024-12_2025-12": (
        399, 399, {}, ("2024-11-03T23:59:59.999", "68741.1154919735", "1359535744745.29", "34868307655.18", None)),
    "coinpaprika_web_export_BTC_EUR_2024": (365, 0, {"wrong_currency": 365}, None),
    "german_semicolon_decimalcomma_crlf_BTC": (
        965, 965, {}, ("2025-08-12T22:00:00", "120202.5348", None, None, None)),
    "german_wide_50_currencies_BTC_short": (
        282, 6, {"wrong_currency": 276}, ("2026-06-11T22:00:00", "63552.30087011", None, None, None)),
    "investing_en_BTC": (
        2070, 2070, {}, ("2022-09-01T00:00:00", "19995.7", None, None, "-0.24")),
    "tokens_coingecko_2023-05": (
        10196, 9429, {"price_missing": 267, "price_not_positive": 1, "ambiguous_key": 499},
        ("2023-05-01T00:00:00", "28817.0", "551763765332.0", None, None)),
    "yahoo_BTC-USD": (
        2061, 2061, {}, ("2017-01-01T00:00:00", "998.325012", None, "147775008", None)),
}  # fmt: skip


def recorded(name):
    """The source that reads this file through its map."""
    made = source_file.load(MAPS / f"{name}.toml")
    return evolve(made, files=evolve(made.files, glob=str(DATA / f"{name}.csv")))


def test_every_recorded_file_has_a_map():
    """And every map has its file."""
    assert {path.stem for path in DATA.glob("*.csv")} == set(FILES) == {path.stem for path in MAPS.glob("*.toml")}


@pytest.mark.parametrize("name", FILES)
def test_recorded_file_is_stored_exactly_when_its_map_describes_it(etl, name):
    """Every row once, as a quote or as a rejection of its code; read again it gives nothing new."""
    read, quotes, rejections, one = FILES[name]
    source = recorded(name)
    counts = etl.run(of=source).counts
    expected = {code: found for code, found in rejections.items() if code in source.expected}
    total = sum(rejections.values())
    assert counts == Counts(
        read=read, inserted=quotes, rejected=total, rejected_expected=sum(expected.values()), raw_inserted=read
    )
    # Of rejections that are expected one a listing and code is kept.
    rows = etl.rows("select code, count(*)::int from rejections group by code")
    assert {code: expected.get(code, found) for code, found in rows} == rejections
    if one is not None:
        assert one_quote(etl, *one)
    again = etl.run(of=source).counts
    assert again == Counts(read=again.read, unchanged=again.unchanged, rejected=again.rejected)
    assert again.read <= 1


def one_quote(etl, at, *values):
    """Whether there is a quote of that time with exactly these values."""
    query = "select price_usd, market_cap_usd, volume_24h_usd, change_24h_pct from quotes where observed_at = %s"
    wanted = tuple(None if value is None else Decimal(value) for value in values)
    return wanted in etl.rows(query, datetime.fromisoformat(f"{at}+00:00"))
