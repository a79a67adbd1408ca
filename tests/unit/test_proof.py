"""Does a rename read what its field was? Decided on records that were normalised with it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve

from kasparro.etl import proof
from kasparro.model import KnownListing, Normalised, Quote, Rejection

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BEFORE = proof.Known(
    listings={
        f"coin{number}": KnownListing(
            symbol_key=f"coin{number}", name=f"Coin {number}", price_usd=Decimal(number + 1), observed_at=NOON
        )
        for number in range(10)
    },
    lookback=timedelta(0),
    until=NOON + timedelta(minutes=65),
)
FIELDS = ("external_id", "symbol", "name", "observed_at", "price_usd", "rank", "currency")


def items(
    factor: str = "1", *, count: int = 10, spoiled: int = 0, at: datetime = NOON, move: int = 0, **texts: str
) -> list[Normalised]:
    """Coins at so many times their prices, without ranks; the first of them rejected for their price.

    In `texts` stands the number of the coin for braces, one that is `move` further.
    """
    rejection = Rejection(stage="normalise", code="price_missing", field="price_usd", message="")
    usual = {"external_id": "coin{}", "symbol_key": "coin{}", "name": "Coin {}"}
    return [
        Normalised(
            content_hash="",
            payload="",
            symbol=f"coin{number}",
            quote=None if number < spoiled else Quote(observed_at=at, price_usd=(number + 1) * Decimal(factor)),
            rejection=rejection if number < spoiled else None,
            **{name: text.format(number) for name, text in usual.items()}
            | {name: text.format((number + move) % 10) for name, text in texts.items()},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("factor", ["1", "0.96", "1.05"])
def test_field_is_proven_when_records_give_it_as_before(factor: str) -> None:
    """What was null all along is not seen to be read, and so not proven."""
    assert proof.unproven(items(factor), FIELDS, BEFORE) == {"rank"}


@pytest.mark.parametrize(
    "given", [items("0.93"), items("7"), items("1.06"), items(count=4), items(spoiled=6), items(spoiled=10), []]
)
def test_price_is_not_proven_when_coins_cost_something_else_or_are_few(given: list[Normalised]) -> None:
    """Another currency or unit, too few to tell, or none to read."""
    assert "price_usd" in proof.unproven(given, FIELDS, BEFORE)


def test_nothing_is_proven_when_no_coin_was_known() -> None:
    """A first read, or an id that was renamed next to it, makes strangers of all."""
    proven = {"currency"}
    assert proof.unproven(items(), FIELDS, evolve(BEFORE, listings={})) == {*FIELDS} - proven


@pytest.mark.parametrize(
    ("given", "unproven"),
    [
        (items(external_id="{}-coin"), {"external_id", "symbol", "name", "observed_at", "price_usd"}),
        (items(external_id="coin{}", move=3), {"external_id", "symbol", "name", "price_usd"}),
        (items(external_id="coin{}", symbol_key="coin{}", move=3), {"external_id", "name", "price_usd"}),
        (items(symbol_key="oin{}"), {"external_id", "symbol", "name"}),
        (items(name="A coin"), {"name"}),
    ],
)
def test_text_is_not_proven_when_it_names_other_listings(given: list[Normalised], unproven: set[str]) -> None:
    """Ids of another scheme, another numbering of the same form, another symbol, a name that is none."""
    assert proof.unproven(given, FIELDS, BEFORE) == unproven | {"rank"}


@pytest.mark.parametrize(
    ("hours", "lookback", "proven"), [(0, 0, True), (1, 0, True), (2, 0, False), (-1, 0, False), (-1, 1, True)]
)
def test_time_is_proven_when_it_lies_between_what_is_known_and_now(hours: int, lookback: int, proven: bool) -> None:
    """The day on which a coin was founded is a time as well."""
    known = evolve(BEFORE, lookback=timedelta(hours=lookback))
    found = proof.unproven(items(at=NOON + timedelta(hours=hours)), FIELDS, known)
    assert ("observed_at" not in found) is proven
