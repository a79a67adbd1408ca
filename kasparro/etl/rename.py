"""Which of the fields that appeared is one that vanished? Only fields that vanished and appeared together are asked.

Scored by what the names say, by type, and by how the values run; assigned one to one, the surest pair first.
"""

from collections.abc import Collection, Mapping

from attrs import frozen

from kasparro.etl import names
from kasparro.etl.profile import Stats
from kasparro.etl.usual import Usual
from kasparro.fields import Rename

# From here on a pair is proposed: either the names are somewhat alike, or the values are and the names do not object.
PROPOSED = 0.5
# From here on, and so far ahead of any other pair of either field, a rename is certain. It takes names that say the
# same, and values that run much alike: a price in cents, or in another column, is out by far.
CERTAIN, MARGIN = 0.85, 0.15
# What names and values weigh.
_NAMES, _VALUES = 0.6, 0.4
# What remains of a score when types differ: where both are numbers, spelled as text or not; and otherwise.
_SPELLED, _OTHER_TYPE = 0.8, 0.4
# Powers of ten between two runs of numbers from which on they have nothing in common; and how much more, for each power
# that they stretch over: prices go from a millionth of a cent up, and the percentiles of a sample move by half a power.
_DECADES, _MORE_DECADES = 1.5, 0.25
# What values say that there are none to compare of: nothing.
_UNKNOWN = 0.5
# Fields on either side that are compared; so many changing at once is no rename.
_MAX_FIELDS = 150
_NUMBERS = frozenset({"number", "number_text"})


@frozen(kw_only=True)
class Pair:
    """A vanished field and the one it may be now; `margin` is how far ahead of any other of the two."""

    rename: Rename
    confidence: float
    margin: float

    @property
    def certain(self) -> bool:
        """Whether nobody has to be asked."""
        return self.confidence >= CERTAIN and self.margin >= MARGIN


def pairs(
    vanished: Mapping[str, Usual],
    appeared: Mapping[str, Usual],
    *,
    known: Collection[Rename] = (),
    excluded: Collection[Rename] = (),
) -> list[Pair]:
    """The likely renames, at most one a field, the surest first, but `known` ones before any other.

    `excluded` are none, whatever they look like.
    """
    scores = {
        Rename(path=old, renamed_to=new): score(old, vanished[old], new, appeared[new])
        for old in sorted(vanished)[:_MAX_FIELDS]
        for new in sorted(appeared)[:_MAX_FIELDS]
    }
    for rename in excluded:
        scores.pop(rename, None)
    found: list[Pair] = []
    taken: set[tuple[str, str]] = set()
    for rename in sorted(scores, key=lambda each: (each not in known, -scores[each], each.path, each.renamed_to)):
        sides = {("old", rename.path), ("new", rename.renamed_to)}
        if scores[rename] < PROPOSED or sides & taken:
            continue
        taken |= sides
        others = [
            scores[other]
            for other in scores
            if other != rename and (other.path == rename.path or other.renamed_to == rename.renamed_to)
        ]
        margin = scores[rename] - max(others, default=0.0)
        found.append(Pair(rename=rename, confidence=scores[rename], margin=round(margin, 3)))
    return found


def score(old: str, before: Usual, new: str, after: Usual) -> float:
    """From 0 to 1, how likely `new` is what `old` was."""
    together = _NAMES * names.likeness(old, new) + _VALUES * _values_alike(before, after)
    return round(together * _types_alike(before, after), 3)


def _types_alike(before: Usual, after: Usual) -> float:
    if before.type is None or after.type is None or before.type == after.type:
        return 1.0
    return _SPELLED if {before.type, after.type} <= _NUMBERS else _OTHER_TYPE


def _values_alike(before: Usual, after: Usual) -> float:
    if before.type is None or after.type is None:
        return _UNKNOWN
    one, other = before.stats, after.stats
    alike = (1 - 0.5 * _apart(one.distinct, other.distinct)) * (1 - 0.5 * abs(before.null - after.null))
    if one.mid is not None and other.mid is not None:
        return alike * _numbers_alike(one, other)
    if one.length and other.length:
        return alike * min(one.length, other.length) / max(one.length, other.length)
    return alike * _UNKNOWN


def _numbers_alike(one: Stats, other: Stats) -> float:
    decades = max(_apart(one.low, other.low), _apart(one.mid, other.mid), _apart(one.high, other.high))
    signs = (1 - _apart(one.negative, other.negative)) * (1 - 0.5 * _apart(one.whole, other.whole))
    stretch = max(_apart(one.low, one.high), _apart(other.low, other.high))
    return max(0.0, 1 - decades / (_DECADES + _MORE_DECADES * stretch)) * signs


def _apart(one: float | None, other: float | None) -> float:
    return 0.0 if one is None or other is None else abs(one - other)
