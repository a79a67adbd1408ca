"""Does a rename read what its field was? Decided on records that were normalised with it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kasparro.etl import proof
from kasparro.model import Normalised, Quote, Rejection

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BEFORE = {f"coin{number}": Decimal(number + 1) for number in range(10)}
FIELDS = ("symbol", "price_usd", "rank", "currency")


def items(factor: str = "1", *, count: int = 10, spoiled: int = 0) -> list[Normalised]:
    """Coins at so many times their prices, without ranks; the first of them rejected for their price."""
    rejection = Rejection(stage="normalise", code="price_missing", field="price_usd", message="")
    return [
        Normalised(
            content_hash="",
            payload="",
            external_id=name,
            symbol=name,
            name=name,
            symbol_key=name,
            quote=None if number < spoiled else Quote(observed_at=NOON, price_usd=price * Decimal(factor)),
            rejection=rejection if number < spoiled else None,
        )
        for number, (name, price) in enumerate(list(BEFORE.items())[:count])
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


def test_price_is_not_proven_when_no_coin_was_known() -> None:
    """A renamed id next to it makes strangers of all."""
    assert "price_usd" in proof.unproven(items(), FIELDS, {})
