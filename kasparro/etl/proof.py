"""Does a rename read what its field was? Names can say the same and mean another currency, or another unit.

Decided on a page's sample, normalised with the rename: records must still give their values, and coins must cost about
what they cost before.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Any

from kasparro.model import Normalised

# How far the middle one of all coins' prices may be from the latest known. Between two reads a market rarely moves that
# far, and a person is asked then; the currencies nearest to the dollar are mostly further away, and units by far.
_MOVED = Decimal("0.05")
# Coins with a price before and after, of which fewer prove nothing.
_COINS = 5
_TEXT = frozenset({"external_id", "symbol", "name"})


def unproven(items: Sequence[Normalised], fields: Iterable[str], prices: Mapping[str, Decimal]) -> frozenset[str]:
    """Those of the quote `fields` that these records do not give any more, or not as before.

    `prices` are the latest known ones by external id.
    """
    return frozenset(
        name for name in fields if not _gives(items, name) or (name == "price_usd" and not _agree(items, prices))
    )


def _gives(items: Sequence[Normalised], name: str) -> bool:
    rejected = sum(item.rejection is not None and item.rejection.field == name for item in items)
    return 2 * rejected <= len(items) and any(_value(item, name) is not None for item in items)


def _value(item: Normalised, name: str) -> Any:
    # What is no field of a quote, such as the currency, let the record pass.
    return getattr(item, name) if name in _TEXT else getattr(item.quote, name, item.quote)


def _agree(items: Sequence[Normalised], prices: Mapping[str, Decimal]) -> bool:
    moved = [
        abs(item.quote.price_usd / prices[item.external_id] - 1)
        for item in items
        if item.quote is not None and item.external_id is not None and item.external_id in prices
    ]
    return len(moved) >= _COINS and median(moved) <= _MOVED
