"""Do the numbers of a field run on another scale than before? Decided on how far each listing is off what is known.

A market moves coins apart, some of them very far; an upstream that gives another currency or unit moves all of them, or
a part, and by one factor.
"""

import math
from collections.abc import Sequence
from enum import Enum
from statistics import median

from attrs import frozen

# Listings known before, of which fewer prove nothing.
LISTINGS = 5
# Powers of ten from which on the middle one runs on another scale: no market moves so, not in the months that a source
# may sleep either.
_SCALE = 1.0
# Rows of a file may all be of one coin, which moves further than a market does: that is told from _SCALE on. From here
# on a person is asked: cents are more likely than a coin that lost 97 %, or was redenominated, between two files.
_SCALE_OF_FILES = 1.5
# So many listings have one factor, and no market's, when the middle one is more than twofold, and half of them are off
# it by so small a share of its powers of ten. Where the field is under dispute for a while, fewer of them may have
# moved further apart since.
_LISTINGS_OF_FACTOR, _FACTOR, _SPREAD, _SPREAD_IN_DISPUTE = 10, 0.301, 0.05, 0.2


class Change(Enum):
    """Whether a field says what it said; if not, whether a market could explain it."""

    NONE = "none"
    DOUBTFUL = "doubtful"
    CERTAIN = "certain"


@frozen(kw_only=True)
class Finding:
    """How a field changed; if it did, an `example` for people and, of numbers, by which `factor`."""

    change: Change
    factor: float | None = None
    example: str | None = None


@frozen(kw_only=True)
class Move:
    """By how many powers of ten a listing's value is off one that was known, and how many days lie between them."""

    external_id: str | None
    powers: float
    days: float
    example: str


@frozen(kw_only=True)
class _Part:
    """From what share of all listings on, off by how many powers of ten within how many days, that is what change."""

    change: Change
    share: float
    powers: float
    days: float


# Some coins of a market lose all they are worth within a month, but not so many; new ones do within two days, but each
# by another factor.
_PARTS = (
    _Part(change=Change.CERTAIN, share=0.2, powers=1.5, days=30),
    _Part(change=Change.DOUBTFUL, share=0.05, powers=1.0, days=2),
)


def judge(moves: Sequence[Move], *, whole: bool, swings: bool, doubted: bool) -> Finding:
    """How the numbers of a field changed: of the `whole` of what a source has, of which coins are many, or of others.

    Each that `swings` may be far off, as volumes of small coins are, but not all one way. What is `doubted` changed
    before, and goes on.
    """
    off = abs(median(each.powers for each in moves)) if swings else median(abs(each.powers) for each in moves)
    certain, doubtful = (_SCALE, math.inf) if whole else (_SCALE_OF_FILES, _SCALE)
    are_enough = doubted or len(moves) >= _LISTINGS_OF_FACTOR
    if off > certain or (whole and are_enough and _have_one_factor(moves, doubted=doubted)):
        change = Change.CERTAIN
    else:
        change = _part_moved(moves, swings=swings, doubted=doubted)
        change = Change.DOUBTFUL if change is Change.NONE and off > doubtful else change
    if change is Change.NONE:
        return Finding(change=change)
    moved = sorted((each for each in moves if abs(each.powers) > _FACTOR), key=lambda each: each.powers)
    middle = moved[len(moved) // 2]
    return Finding(change=change, factor=float(f"{10**middle.powers:.3g}"), example=middle.example)


def _have_one_factor(moves: Sequence[Move], *, doubted: bool) -> bool:
    middle = median(each.powers for each in moves)
    spread = median(abs(each.powers - middle) for each in moves)
    most = (_SPREAD_IN_DISPUTE if doubted else _SPREAD) * abs(middle)
    return abs(middle) > _FACTOR and spread <= most


def _part_moved(moves: Sequence[Move], *, swings: bool, doubted: bool) -> Change:
    """Whether some listings, of which the middle one tells nothing, run on another scale."""
    for part in _PARTS:
        near = [each for each in moves if doubted or each.days <= part.days]
        up = {each.external_id for each in near if each.powers > part.powers}
        down = {each.external_id for each in near if each.powers < -part.powers}
        off = abs(len(up) - len(down)) if swings else len(up | down)
        if off < max(LISTINGS, part.share * len({each.external_id for each in near})):
            continue
        far = [each for each in near if abs(each.powers) > part.powers]
        if part.change is Change.CERTAIN or (not swings and _have_one_factor(far, doubted=doubted)):
            return part.change
    return Change.NONE
