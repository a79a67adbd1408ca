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
# Quotes that are further apart are not compared: ten years ago, coins cost a thousandth. Of a market more is known, and
# where a drift of it is open, nothing else than what was before it.
_NEAR, _NEAR_OF_MARKET, _BEFORE_DRIFT = timedelta(days=30), timedelta(days=90), timedelta(days=3650)
# How far ahead of now, or before what is known of their listings, times may lie, of which most must not: dates of a day
# have no time zone, and caches give what is some minutes old.
_AHEAD, _BEHIND = timedelta(days=1), timedelta(minutes=29)
# Listings known before, of which fewer prove nothing; and the share of them that must agree: some are new, or stale.
_LISTINGS, _SHARE = 5, 0.9
# Records of which fewer do not show that ids changed; the share of them that may be known then.
_STRANGERS, _KNOWN_SHARE = 10, 0.1
# What a quarantine that nobody decided about must be compared by, to be over.
_COMPARED = frozenset({*_MONEY, "observed_at"})
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
    if drift is None:
        return Earlier(run_id=run_id, within=_NEAR_OF_MARKET if whole else _NEAR, files=files)
    within = _BEFORE_DRIFT if whole else _NEAR
    return Earlier(
        run_id=drift.first_run_id,
        within=within,
        files=files,
        seen_at=drift.first_seen_at,
        replayed_at=drift.replayed_at,
    )


@frozen(kw_only=True)
class _Move:
    """By how many powers of ten a listing's value is off one that was known, and how many days lie between them."""

    external_id: str | None
    powers: float
    days: float


class Change(Enum):
    """Whether a field says what it said; if not, whether a market could explain it."""

    NONE = "none"
    DOUBTFUL = "doubtful"
    CERTAIN = "certain"


@frozen(kw_only=True)
class _Part:
    """From what share of all listings on, off by how many powers of ten within how many days, that is what change."""

    change: Change
    share: float
    powers: float
    days: float


# Some coins of a market lose all they are worth within a month, or go up tenfold in two days, but not so many.
_PARTS = (
    _Part(change=Change.CERTAIN, share=0.2, powers=1.5, days=30),
    _Part(change=Change.DOUBTFUL, share=0.05, powers=1.0, days=2),
)


@frozen(kw_only=True)
class Times:
    """When a read of now can have been observed: as late as is known but for `lookback`, and not after `until`."""

    lookback: timedelta
    until: datetime


def unproven(pairs: Sequence[Pair], fields: Iterable[str], times: Times) -> frozenset[str]:
    """Those of the quote `fields` that these records do not give any more, or not as before."""
    items = [item for item, _ in pairs]
    return frozenset(name for name in fields if not _gives(items, name) or not _agree(pairs, name, times))


@frozen(kw_only=True)
class Read:
    """What is compared: the `whole` of what a source has, or what is new of it; of an API as of `now`, of files None.

    Ids are only looked at when a read `begins`: behind its first page may be whatever a source gives more of. Fields
    in `doubted` are others already: however few tell of them, and however long that goes on. Those of them that are
    `held` keep records out, until some tell that they are as before.
    """

    whole: bool
    now: datetime | None
    begins: bool = True
    doubted: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


def changes(pairs: Sequence[Pair], find_names: FindNames, read: Read) -> dict[str, Change]:
    """How fields changed; those of which too few listings tell are left out.

    Of a source that gives the `whole` of what it has, since it was read last; of others only values.
    """
    found = {**_moved(pairs, read), **_dated(pairs, read)}
    if any(item.quote for item, _ in pairs):
        found |= dict.fromkeys((read.held & _COMPARED) - found.keys(), Change.CERTAIN)
    if not read.whole:
        return found
    named = [(item, before) for item, before in pairs if item.symbol_key and item.name]
    others = [_names_differ(item, before) for item, before in named if before is not None]
    if len(others) >= _LISTINGS:
        found |= dict.fromkeys(("symbol", "name"), _change(sum(others) / len(others), 0.5))
    if read.begins and len(named) >= _STRANGERS:
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
        return not (others - {*fields}).isdisjoint(undecided)
    return not others.isdisjoint({*fields, *undecided}) or found.keys().isdisjoint(fields)


def _moved(pairs: Sequence[Pair], read: Read) -> dict[str, Change]:
    certain, doubtful = (_SCALE, math.inf) if read.whole else (_SCALE_OF_FILES, _SCALE)
    found = {}
    # What is traded within an hour, and within a day, may stand in two files of the same coin.
    for name in _MONEY if read.now is not None else _MONEY[:2]:
        moves = _moves(pairs, name)
        if len(moves) < (1 if name in read.doubted else _LISTINGS):
            continue
        # Volumes of small coins swing by more than ten, but not all of them one way.
        swings = name == "volume_24h_usd"
        off = abs(median(each.powers for each in moves)) if swings else median(abs(each.powers) for each in moves)
        found[name] = _change(off, certain, doubtful=doubtful)
        if found[name] is not Change.CERTAIN:
            found[name] = _part_moved(moves, swings=swings, doubted=name in read.doubted) or found[name]
    return found


def _part_moved(moves: Sequence[_Move], *, swings: bool, doubted: bool) -> Change | None:
    """Whether some listings, of which the middle one tells nothing, run on another scale."""
    for part in _PARTS:
        near = [each for each in moves if doubted or each.days <= part.days]
        up = {each.external_id for each in near if each.powers > part.powers}
        down = {each.external_id for each in near if each.powers < -part.powers}
        off = abs(len(up) - len(down)) if swings else len(up | down)
        if off >= max(_LISTINGS, part.share * len({each.external_id for each in near})):
            return None if swings and part.change is Change.DOUBTFUL else part.change
    return None


def _moves(pairs: Sequence[Pair], name: str) -> list[_Move]:
    """How far each listing's value is off what is known."""
    found = []
    for item, before in pairs:
        now, then = getattr(item.quote, name, None), getattr(before, name, None)
        if now and then and item.quote and before:
            apart = abs(item.quote.observed_at - before.valued_at) if before.valued_at else timedelta.max
            powers = math.log10(now) - math.log10(then)
            found.append(_Move(external_id=item.external_id, powers=powers, days=apart / timedelta(days=1)))
    return found


def _dated(pairs: Sequence[Pair], read: Read) -> dict[str, Change]:
    dated = [(item.quote.observed_at, before.observed_at if before else None) for item, before in pairs if item.quote]
    if read.now is None or len(dated) < (1 if "observed_at" in read.doubted else _LISTINGS):
        return {}
    ahead = sum(at > read.now + _AHEAD for at, _ in dated)
    behind = sum(known is not None and at < known - _BEHIND for at, known in dated) if read.whole else 0
    change = Change.CERTAIN if 2 * ahead > len(dated) else Change.DOUBTFUL if 2 * behind > len(dated) else Change.NONE
    return {"observed_at": change}


def _change(off: float, certain: float, *, doubtful: float = math.inf) -> Change:
    return Change.CERTAIN if off > certain else Change.DOUBTFUL if off > doubtful else Change.NONE


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
    if value not in _MONEY:
        return True
    moves = _moves(pairs, value)
    return len(moves) >= _LISTINGS and median(abs(each.powers) for each in moves) <= _MOVED


def _mostly(pairs: Sequence[Pair], holds: Callable[[Normalised, KnownListing], bool]) -> bool:
    agreeing = sum(before is not None and holds(item, before) for item, before in pairs)
    return agreeing >= max(_LISTINGS, _SHARE * len(pairs))


def _is_current(item: Normalised, before: KnownListing, times: Times) -> bool:
    if item.quote is None or before.observed_at is None:
        return False
    return before.observed_at - times.lookback <= item.quote.observed_at <= times.until
