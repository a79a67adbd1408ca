"""Guesses for files as people really downloaded them: right where the files say enough, undecided where they do not.

The recorded files are not part of the project: where they are absent, nothing is asked here.
"""

from pathlib import Path

import pytest
from attrs import evolve
from guessing import look

from kasparro.etl import source_file, trial
from kasparro.etl.guess import document, draft
from kasparro.etl.source import Source
from kasparro.model import Normalised

ROOT = Path(__file__).parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "csv"
MAPS = ROOT / "tests" / "maps"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"there are no recorded files at {RECORDED}")

LOCAL = {
    "observed_at": '{ path = "date", timezone = "Europe/Prague", fold = "earlier" }',
    "currency": '{ value = "USD" }',
}
# File -> what its map leaves to a person, and what that person fills in there.
UNDECIDED = {
    "coingecko_derived_BTC_2024-10_2025-04": LOCAL,
    "coingecko_derived_PEPE_2024-10_2025-04": LOCAL,
    "coingecko_derived_USDT_2024-10_2025-04": LOCAL | {"observed_at": '{ path = "date", timezone = "Europe/Prague" }'},
    "coingecko_web_export_btc-usd_2024-2025": {},
    "coinmarketcap_semicolon_bom_BTC_2024-12_2025-12": {"currency": '{ value = "USD" }'},
    "german_semicolon_decimalcomma_crlf_BTC": {},
    "german_wide_50_currencies_BTC_short": {},
    "investing_en_BTC": {"currency": '{ value = "USD" }'},
    "tokens_coingecko_2023-05": {"observed_at": '{ value = "2023-05-01" }'},
    "yahoo_BTC-USD": {},
}


def filled_in(path: Path) -> Source:
    """The guessed map after a person has filled in what it left open."""
    found = draft.run([path])
    answers = UNDECIDED[path.stem]
    assert [entry.key for entry in found.undecided] == list(answers)
    fields = tuple(evolve(each, value=answers.get(each.key, each.value), todo="") for each in found.fields)
    text = document.write(evolve(found, fields=fields))
    return source_file.parse(text, name="guessed.toml", folder=path.parent)


def seen(found: Normalised) -> tuple[object, ...]:
    assert found.quote is not None
    return found.quote.observed_at, found.quote.price_usd, str(found.symbol).upper()


@pytest.mark.parametrize("stem", UNDECIDED)
def test_guess_gives_the_quotes_of_a_map_by_hand(stem: str) -> None:
    """Times and prices of every row are those that a person's own map gives."""
    path = RECORDED / f"{stem}.csv"
    guessed = trial.run(filled_in(path), path, first=20_000)
    by_hand = trial.run(source_file.load(MAPS / f"{stem}.toml"), path, first=20_000)
    assert guessed.error is None
    assert [seen(each) for each in guessed.first] == [seen(each) for each in by_hand.first]


def test_guess_of_a_file_in_euros_loads_nothing() -> None:
    """Its name says in which currency it is; nothing of it is taken for dollars."""
    found = look(RECORDED / "coinpaprika_web_export_BTC_EUR_2024.csv")
    assert found.trial is None
    assert "EUR" in found.undecided["currency"]
