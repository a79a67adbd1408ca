"""Does a rename read what its field was? Names can say the same and mean another currency, unit, time or numbering.

Decided on a page's sample, normalised with the rename: records must still give their values, be about known listings
under their symbols, no older than what is known of them, and coins must cost about what they cost before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from attrs import frozen

from kasparro.model import KnownListing, Normalised

# How far the middle one of all coins' prices may be from the latest known. Between two reads a market rarely moves that
# far, and a person is asked then; the currencies nearest to the dollar are mostly further away, and units by far.
_MOVED = Decimal("0.05")
# Coins known before, of which fewer prove nothing; and the share of them that must agree: some are new, or stale.
_COINS, _SHARE = 5, 0.9
_TEXT = frozenset({"external_id", "symbol", "name"})


@frozen(kw_only=True)
class Known:
    """What records are held against: listings by external id, and the times that a read of now can give.

    A record may be older than what is known by `lookback`, and is not from after `until`.
    """

    listings: Mapping[str, KnownListing]
    lookback: timedelta
    until: datetime


def unproven(items: Sequence[Normalised], fields: Iterable[str], known: Known) -> frozenset[str]:
    """Those of the quote `fields` that these records do not give any more, or not as before."""
    return frozenset(name for name in fields if not _gives(items, name) or not _agree(items, name, known))


def _gives(items: Sequence[Normalised], name: str) -> bool:
    rejected = sum(item.rejection is not None and item.rejection.field == name for item in items)
    return 2 * rejected <= len(items) and any(_value(item, name) is not None for item in items)


def _value(item: Normalised, name: str) -> Any:
    # What is no field of a quote, such as the currency, let the record pass.
    return getattr(item, name) if name in _TEXT else getattr(item.quote, name, item.quote)


def _agree(items: Sequence[Normalised], name: str, known: Known) -> bool:
    pairs = [(item, known.listings.get(item.external_id)) for item in items if item.external_id is not None]
    if name in _TEXT and not _mostly(pairs, lambda item, before: item.symbol_key == before.symbol_key):
        return False
    if name == "name":
        return _mostly(pairs, lambda item, before: item.name == before.name)
    pairs = [(item, before) for item, before in pairs if item.quote and before and before.observed_at]
    if name == "observed_at":
        return _mostly(pairs, lambda item, before: _is_current(item, before, known))
    return name not in ("price_usd", "external_id") or _cost_alike(pairs)


def _mostly(
    pairs: Sequence[tuple[Normalised, KnownListing | None]], holds: Callable[[Normalised, KnownListing], bool]
) -> bool:
    agreeing = sum(before is not None and holds(item, before) for item, before in pairs)
    return agreeing >= max(_COINS, _SHARE * len(pairs))


def _is_current(item: Normalised, before: KnownListing, known: Known) -> bool:
    if item.quote is None or before.observed_at is None:
        return False
    return before.observed_at - known.lookback <= item.quote.observed_at <= known.until


def _cost_alike(pairs: Sequence[tuple[Normalised, KnownListing | None]]) -> bool:
    moved = [
        abs(item.quote.price_usd / before.price_usd - 1)
        for item, before in pairs
        if item.quote is not None and before is not None and before.price_usd is not None
    ]
    return len(moved) >= _COINS and median(moved) <= _MOVED
