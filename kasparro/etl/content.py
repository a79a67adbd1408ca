"""Do listings say what they said before? Decided one by one, on a page's sample and what is stored of its listings.

Names, types and ranges of fields can stay, or say the same, and the values be others all the same: another currency or
unit, swapped columns, other ids. Prices of a market span six powers of ten: a hundredfold of all of them looks like any
other read of it. A rename that nobody was asked about must give what was there; of other fields is told what no market
explains.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from statistics import median
from typing import Any

from attrs import frozen

from kasparro.etl import identify
from kasparro.fields import KnownFields, OpenDrift
from kasparro.model import Earlier, KnownListing, Normalised

# A record, and what is known of its listing; None where there is no such listing.
Pair = tuple[Normalised, KnownListing | None]
FindNames = Callable[[Collection[str]], Collection[tuple[str, str]]]

_MONEY = ("price_usd", "market_cap_usd", "volume_24h_usd")
# Powers of ten by which the middle one of all coins may be off what is known for a rename to be proven: 5 %. Between
# two reads they rarely move that far, and a person is asked then; the currencies nearest to the dollar are mostly
# further away, and units by far.
_MOVED = 0.0215
# Powers of ten from which on the middle one runs on another scale: no market moves so, not in the months that a source
# may sleep either.
_SCALE = 1.0
# Rows of a file may all be of one coin, which moves further than a market does: that is told from _SCALE on, and only
# few coins ever fell further than this between two files.
_SCALE_OF_FILES = 1.5
# Quotes that are further apart are not compared: ten years ago, coins cost a thousandth. Of a market more is known.
_NEAR, _NEAR_OF_MARKET = timedelta(days=30), timedelta(days=90)
# Listings known before, of which fewer prove nothing; and the share of them that must agree: some are new, or stale.
_LISTINGS, _SHARE = 5, 0.9
# Records of which fewer do not show that ids changed; the share of them that may be known then.
_STRANGERS, _KNOWN_SHARE = 10, 0.1
_TEXT = frozenset({"external_id", "symbol", "name"})


@frozen(kw_only=True)
class Past:
    """What is asked of what was read before: of the fields of an input; of the listings of records, with an earlier
    quote of each; and for folded symbols, and names, of listings that have one of these symbols."""

    find_known: Callable[[str], KnownFields]
    find_listings: Callable[[Sequence[Normalised], Earlier], Sequence[KnownListing | None]]
    find_names: FindNames


def earlier(run_id: int, *, whole: bool, drift: OpenDrift | None = None, files: Sequence[str] = ()) -> Earlier:
    """What a run compares with: what was loaded before it, and before a `drift` if one is given.

    `whole`: records are of all that a source has. What `files` said themselves is left out: they may be corrected.
    """
    within = _NEAR_OF_MARKET if whole else _NEAR
    if drift is None:
        return Earlier(run_id=run_id, within=within, files=files)
    return Earlier(run_id=drift.first_run_id, within=within, files=files, seen_at=drift.first_seen_at)


class Change(Enum):
    """Whether a field says what it said; if not, whether a market could explain it."""

    NONE = "none"
    DOUBTFUL = "doubtful"
    CERTAIN = "certain"


@frozen(kw_only=True)
class Times:
    """When a read of now can have been observed: as late as is known but for `lookback`, and not after `until`."""

    lookback: timedelta
    until: datetime


def unproven(pairs: Sequence[Pair], fields: Iterable[str], times: Times) -> frozenset[str]:
    """Those of the quote `fields` that these records do not give any more, or not as before."""
    items = [item for item, _ in pairs]
    return frozenset(name for name in fields if not _gives(items, name) or not _agree(pairs, name, times))


def changes(pairs: Sequence[Pair], find_names: FindNames, *, whole: bool, begins: bool) -> dict[str, Change]:
    """How fields changed; those of which too few listings tell are left out.

    Of a source that gives the `whole` of what it has, since it was read last; of others only numbers. Ids are only
    looked at when a read `begins`: behind its first page may be whatever a source gives more of.
    """
    if not whole:
        return {name: _change(off, _SCALE_OF_FILES, doubtful=_SCALE) for name, off in _offs(pairs).items()}
    found = {name: _change(off, _SCALE) for name, off in _offs(pairs).items()}
    named = [(item, before) for item, before in pairs if item.symbol_key and item.name]
    others = [_names_differ(item, before) for item, before in named if before is not None]
    if len(others) >= _LISTINGS:
        found |= dict.fromkeys(("symbol", "name"), _change(sum(others) / len(others), 0.5))
    if begins and len(named) >= _STRANGERS:
        found["external_id"] = Change.CERTAIN if _are_renumbered(named, find_names) else Change.NONE
    return found


def stays_out(
    found: Mapping[str, Change], fields: Collection[str], undecided: Collection[str], *, accepted: bool
) -> bool:
    """Whether records stay out that a drift of `fields` kept out, if this is how they changed.

    Not when these are as they were, by a map that was mended, or `accepted`; but for what is `undecided` beside it.
    """
    others = {name for name, change in found.items() if change is Change.CERTAIN}
    if accepted:
        return not others.isdisjoint(undecided)
    return not others.isdisjoint({*fields, *undecided}) or found.keys().isdisjoint(fields)


def _change(off: float, certain: float, *, doubtful: float = math.inf) -> Change:
    return Change.CERTAIN if off > certain else Change.DOUBTFUL if off > doubtful else Change.NONE


def _offs(pairs: Sequence[Pair]) -> dict[str, float]:
    found = {name: _logs(pairs, name) for name in _MONEY}
    return {
        # Volumes of small coins swing by more than ten, but not all of them one way.
        name: abs(median(logs)) if name == "volume_24h_usd" else median(map(abs, logs))
        for name, logs in found.items()
        if len(logs) >= _LISTINGS
    }


def _logs(pairs: Sequence[Pair], name: str) -> list[float]:
    """By how many powers of ten each listing's value is off what is known."""
    both = [(getattr(item.quote, name), getattr(before, name)) for item, before in pairs if item.quote and before]
    return [math.log10(now) - math.log10(then) for now, then in both if now and then]


def _names_differ(item: Normalised, before: KnownListing) -> bool:
    return item.symbol_key != before.symbol_key and _folded(item.name) != _folded(before.name)


def _are_renumbered(named: Sequence[Pair], find_names: FindNames) -> bool:
    """Whether hardly any id is known, though most records have symbol and name of a listing: what is new has others."""
    if sum(before is not None for _, before in named) > _KNOWN_SHARE * len(named):
        return False
    # In either order: an id may be made of them, when they change places.
    names = [frozenset((_folded(item.symbol), _folded(item.name))) for item, _ in named]
    listed = {frozenset((symbol, _folded(name))) for symbol, name in find_names(frozenset().union(*names))}
    return 2 * sum(each in listed for each in names) > len(names)


def _folded(text: str | None) -> str:
    return identify.fold(text or "")


def _gives(items: Sequence[Normalised], name: str) -> bool:
    rejected = sum(item.rejection is not None and item.rejection.field == name for item in items)
    return 2 * rejected <= len(items) and any(_value(item, name) is not None for item in items)


def _value(item: Normalised, name: str) -> Any:
    # What is no field of a quote, such as the currency, let the record pass.
    return getattr(item, name) if name in _TEXT else getattr(item.quote, name, item.quote)


def _agree(pairs: Sequence[Pair], name: str, times: Times) -> bool:
    pairs = [(item, before) for item, before in pairs if item.external_id is not None]
    if name in _TEXT and not _mostly(pairs, lambda item, before: item.symbol_key == before.symbol_key):
        return False
    if name == "name":
        return _mostly(pairs, lambda item, before: item.name == before.name)
    pairs = [(item, before) for item, before in pairs if item.quote and before and before.observed_at]
    if name == "observed_at":
        return _mostly(pairs, lambda item, before: _is_current(item, before, times))
    value = "price_usd" if name == "external_id" else name
    logs = _logs(pairs, value) if value in _MONEY else None
    return logs is None or (len(logs) >= _LISTINGS and median(map(abs, logs)) <= _MOVED)


def _mostly(pairs: Sequence[Pair], holds: Callable[[Normalised, KnownListing], bool]) -> bool:
    agreeing = sum(before is not None and holds(item, before) for item, before in pairs)
    return agreeing >= max(_LISTINGS, _SHARE * len(pairs))


def _is_current(item: Normalised, before: KnownListing, times: Times) -> bool:
    if item.quote is None or before.observed_at is None:
        return False
    return before.observed_at - times.lookback <= item.quote.observed_at <= times.until
