"""Do listings say what they said before? Decided one by one, on a page's sample and what is stored of its listings.

Names, types and ranges of fields can stay, or say the same, and the values be others all the same: another currency or
unit, swapped columns, other ids. Prices of a market span six powers of ten: a hundredfold of all of them looks like any
other read of it. A rename that nobody was asked about must give what was there; of other fields is told what no market
explains.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from attrs import frozen

from kasparro.etl import identify, scales
from kasparro.etl.scales import LISTINGS, Change, Finding, Move
from kasparro.fields import Earlier, KnownFields, KnownListing, OpenDrift
from kasparro.model import Normalised

# A record, and what is known of its listing; None where there is no such listing.
Pair = tuple[Normalised, KnownListing | None]
# Symbols, folded, names and ids of the listings that have one of these symbols.
FindNames = Callable[[Collection[str]], Collection[tuple[str, str, str]]]

_MONEY = ("price_usd", "market_cap_usd", "volume_24h_usd")
# Powers of ten by which the middle one of all coins may be off what is known for a rename to be proven: 5 %. Between
# two reads they rarely move that far, and a person is asked then; the currencies nearest to the dollar are mostly
# further away, and units by far.
_MOVED = 0.0215
# Quotes that are further apart are not compared: ten years ago, coins cost a thousandth. Of a market more is known, and
# where a drift of it is open, nothing else than what was before it.
_NEAR, _NEAR_OF_MARKET, _BEFORE_DRIFT = timedelta(days=30), timedelta(days=90), timedelta(days=3650)
# How far ahead of now, or before what is known of their listings, times may lie, of which most must not: dates of a day
# have no time zone, and caches give what is some minutes old.
_AHEAD, _BEHIND = timedelta(days=1), timedelta(minutes=29)
# The share of known listings that must agree: some are new, or stale.
_SHARE = 0.9
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


def changes(pairs: Sequence[Pair], find_names: FindNames, read: Read) -> dict[str, Finding]:
    """How fields changed; those of which too few listings tell are left out.

    Of a source that gives the `whole` of what it has, since it was read last; of others only values.
    """
    found = {**_moved(pairs, read), **_dated(pairs, read)}
    if any(item.quote for item, _ in pairs):
        found |= dict.fromkeys((read.held & _COMPARED) - found.keys(), Finding(change=Change.CERTAIN))
    if not read.whole:
        return found
    named = [(item, before) for item, before in pairs if item.symbol_key and item.name]
    known = [(item, before) for item, before in named if before is not None]
    if len(known) >= LISTINGS:
        others = [_example(item, before) for item, before in known if _names_differ(item, before)]
        found |= dict.fromkeys(("symbol", "name"), _of_most(others, len(known)))
    if read.begins and len(named) >= _STRANGERS:
        are_strangers = len(known) <= _KNOWN_SHARE * len(named)
        renumbered = _renumbered([item for item, _ in named], find_names) if are_strangers else []
        found["external_id"] = _of_most(renumbered, len(named))
    return found


def stays_out(
    found: Mapping[str, Finding],
    fields: Collection[str],
    undecided: Collection[str],
    *,
    accepted: bool,
    rejected: bool = False,
) -> bool:
    """Whether records stay out that a drift of `fields` kept out, if this is how they changed.

    Not when these are as they were, by a map that was mended, or `accepted`; but for what is `undecided` beside it.
    Of fields that a person `rejected` it is enough to be in doubt: what was only warned of was loaded.
    """
    others = {name for name, each in found.items() if each.change is Change.CERTAIN}
    if rejected:
        others |= {name for name in fields if name in found and found[name].change is not Change.NONE}
    if accepted:
        return not (others - {*fields}).isdisjoint(undecided)
    return not others.isdisjoint({*fields, *undecided}) or found.keys().isdisjoint(fields)


def _of_most(examples: Sequence[str], count: int, change: Change = Change.CERTAIN) -> Finding:
    """That most of so many changed, if these are most of them."""
    return Finding(change=change, example=examples[0]) if 2 * len(examples) > count else Finding(change=Change.NONE)


def _moved(pairs: Sequence[Pair], read: Read) -> dict[str, Finding]:
    # What is traded within an hour, and within a day, may stand in two files of the same coin.
    moves = {name: _moves(pairs, name) for name in (_MONEY if read.now is not None else _MONEY[:2])}
    return {
        name: scales.judge(each, whole=read.whole, swings=name == "volume_24h_usd", doubted=name in read.doubted)
        for name, each in moves.items()
        if len(each) >= (1 if name in read.doubted else LISTINGS)
    }


def _moves(pairs: Sequence[Pair], name: str) -> list[Move]:
    """How far each listing's value is off what is known."""
    found = []
    for item, before in pairs:
        now, then = getattr(item.quote, name, None), getattr(before, name, None)
        if now and then and item.quote and before:
            apart = abs(item.quote.observed_at - before.valued_at) if before.valued_at else timedelta.max
            found.append(
                Move(
                    external_id=item.external_id,
                    powers=math.log10(now) - math.log10(then),
                    days=apart / timedelta(days=1),
                    example=f"{item.external_id} {float(then):.12g} -> {float(now):.12g}",
                )
            )
    return found


def _dated(pairs: Sequence[Pair], read: Read) -> dict[str, Finding]:
    dated = [(item, item.quote.observed_at, before) for item, before in pairs if item.quote]
    if read.now is None or len(dated) < (1 if "observed_at" in read.doubted else LISTINGS):
        return {}
    until = read.now + _AHEAD
    ahead = [
        f"{item.external_id} {at:%Y-%m-%d %H:%M}"
        for item, at, before in dated
        # What was accepted once is known to lie there.
        if at > until and not (before and before.valued_at and before.valued_at > until)
    ]
    behind = [
        f"{item.external_id} {before.observed_at:%Y-%m-%d %H:%M} -> {at:%Y-%m-%d %H:%M}"
        for item, at, before in dated
        if read.whole and before and before.observed_at and at < before.observed_at - _BEHIND
    ]
    found = _of_most(ahead, len(dated))
    if found.change is Change.NONE:
        found = _of_most(behind, len(dated), Change.DOUBTFUL)
    return {"observed_at": found}


def _names_differ(item: Normalised, before: KnownListing) -> bool:
    return item.symbol_key != before.symbol_key and _folded(item.name) != _folded(before.name)


def _example(item: Normalised, before: KnownListing) -> str:
    return f"{item.external_id} {before.symbol_key}, {before.name} -> {item.symbol}, {item.name}"


def _renumbered(items: Sequence[Normalised], find_names: FindNames) -> list[str]:
    """Those that have symbol and name of a known listing, each as an example: what is new has others."""
    # In either order: an id may be made of them, when they change places.
    names = [frozenset((_folded(item.symbol), _folded(item.name))) for item in items]
    ids = {frozenset((symbol, _folded(name))): id_ for symbol, name, id_ in find_names(frozenset().union(*names))}
    return [
        f"{item.symbol}, {item.name}: {ids[each]} -> {item.external_id}"
        for item, each in zip(items, names, strict=True)
        if each in ids
    ]


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
    return len(moves) >= LISTINGS and median(abs(each.powers) for each in moves) <= _MOVED


def _mostly(pairs: Sequence[Pair], holds: Callable[[Normalised, KnownListing], bool]) -> bool:
    agreeing = sum(before is not None and holds(item, before) for item, before in pairs)
    return agreeing >= max(LISTINGS, _SHARE * len(pairs))


def _is_current(item: Normalised, before: KnownListing, times: Times) -> bool:
    if item.quote is None or before.observed_at is None:
        return False
    return before.observed_at - times.lookback <= item.quote.observed_at <= times.until
