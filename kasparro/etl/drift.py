"""How do the fields of some records differ from what is usual for their input? Pure comparison; what is done about a
difference is the policy's, in compare.py.

A field that comes and goes is not missed, and not new: the baseline knows in which share of the records it is. Objects
are no fields, they speak through those in them: a value that became one is gone, or went into it.
"""

from collections.abc import Collection, Iterator, Mapping

from attrs import evolve, frozen

from kasparro.etl import profile, rename, usual
from kasparro.etl.profile import Field, Profile
from kasparro.etl.usual import Usual
from kasparro.fields import DriftKind, Rename

# Records that say something about their fields. Of fewer, the few may happen to be odd ones.
MIN_RECORDS = 10
# How likely it may be at most, by the share of records that have it, that a few lack a field by chance.
_CHANCE = 0.01
# The share of records that have a field which is missed when it is gone: from all of what was read, and from one page.
# Neighbours are alike in what they lack: a whole page without a field that one in twenty lacks is nothing odd.
_USUAL_SHARE, _USUAL_SHARE_OF_PAGES = 0.9, 0.99
# The share of records without a value, up to which it is odd that none has one.
_EMPTY = 0.5
# The share of records from which on a field counts as new, and as what another may have been renamed to.
_NEW_SHARE, _RENAMED_SHARE = 0.1, 0.5
# The share of values that have one type, before; and that may still have it when the type counts as changed.
_ONE_TYPE, _OTHER_TYPE = 0.9, 0.5
# By how much the share of records without a value grows in a jump; below that it is the weather of small coins.
_JUMP = 0.3
# How much of what is usual one more read makes up: a change of weather is the new weather after some ten.
_WEIGHT = 0.2
# The share of records, as low as rounding lets it fall, at which a field that is gone is forgotten: others need room.
_FORGOTTEN = 0.002


@frozen(kw_only=True)
class Difference:
    """One difference; `before` and `after` are what was usual and what is, where there is such. For a rename, whether
    it is `certain`, and how far ahead of any other; of a changed type, whether it is only that values are `rescaled` or
    swapped, as content.py finds out, whether that is certain, by which `factor`, and an `example` for people.
    """

    path: str
    kind: DriftKind
    before: Usual | None = None
    after: Usual | None = None
    renamed_to: str | None = None
    confidence: float = 1.0
    margin: float | None = None
    certain: bool = True
    rescaled: bool = False
    factor: float | None = None
    example: str | None = None


@frozen(kw_only=True)
class Rules:
    """What a comparison must know of the source.

    Paths in `optional`, and below them, raise nothing. `alternatives` maps a path to those that are read instead of it.
    Without a value at a `required` path there is no quote.
    Nobody need be told of a `mapped` path that appears. `renamed` is known already, `excluded` are no renames.
    """

    optional: Collection[str] = ()
    alternatives: Mapping[str, Collection[str]] = {}
    mapped: Collection[str] = ()
    required: Collection[str] = ()
    renamed: Collection[Rename] = ()
    excluded: Collection[Rename] = ()

    def is_optional(self, path: str) -> bool:
        return any(path == each or path.startswith(f"{each}.") for each in self.optional)


def differences(
    baseline: Mapping[str, Usual], seen: Profile, rules: Rules, *, page: int | None = None
) -> list[Difference]:
    """What differs in `seen`: a page by its number, or without one all that was read.

    Of few records only that all of them lack a required field.
    """
    if not baseline or not seen.records:
        return []
    if seen.records < MIN_RECORDS:
        return _missing_of_few(baseline, seen, rules) if page is None else []
    usually = baseline if page is None else {path: each.on_page(page) for path, each in baseline.items()}
    read = _Read(
        baseline=baseline,
        before={path: each for path, each in usually.items() if not each.groups},
        now=_values(seen),
        seen=seen,
        rules=rules,
        complete=page is None,
    )
    return [*_come_and_gone(read), *_changed(read)]


def learn(
    baseline: Mapping[str, Usual], seen: Profile, rules: Rules, *, apart_from: Collection[str] = ()
) -> dict[str, Usual | None]:
    """What is new of the usual fields after all that was read, `apart_from` paths that are under dispute.

    None for one that is forgotten. Of few records only which required fields there are.
    """
    learned: dict[str, Usual | None] = {}
    if seen.records < MIN_RECORDS:
        for path in {*rules.required} & {*seen.fields} - {*baseline} - {*apart_from}:
            now = usual.of(seen.fields[path], seen.records)
            if now.type is not None and not now.groups:
                learned[path] = Usual(share=now.share, null=now.null, types={})
        return learned
    for path in {**baseline, **seen.fields}:
        found = seen.fields.get(path)
        now = usual.of(found, seen.records) if found else Usual(share=0.0, null=0.0, types={})
        known = baseline.get(path)
        # A field that was not there before is there in that share from the start, of an input that is known or not.
        after = now if known is None or known.sketched else usual.blend(known, now, _WEIGHT)
        if path in apart_from:
            continue
        if found is None and after.share <= _FORGOTTEN:
            learned[path] = None
        elif after != known:
            learned[path] = after
    room = profile.MAX_PATHS - len(baseline) + list(learned.values()).count(None)
    new = [path for path in learned if path not in baseline][max(room, 0) :]
    return {path: each for path, each in learned.items() if path not in new}


def is_over(kind: DriftKind, path: str, baseline: Mapping[str, Usual], seen: Profile, rules: Rules) -> bool:
    """Whether a drift in which all that was read shows no difference is over; else it was not to be seen."""
    if (path in baseline) == (kind is DriftKind.ADDED):
        # Nothing that is usual is new, nothing else can be missed.
        return True
    found = seen.fields.get(path)
    if kind is DriftKind.TYPE_CHANGED and found is not None:
        return profile.count_values(found) >= MIN_RECORDS
    if seen.records < MIN_RECORDS:
        read = (path, *rules.alternatives.get(path, ()))
        return kind in (DriftKind.MISSING, DriftKind.RENAMED) and any(each in seen.fields for each in read)
    return found is not None or len(seen.fields) < profile.MAX_PATHS


@frozen(kw_only=True)
class _Read:
    """What is compared: values `before` and `now`, objects left out; the `baseline` has both, and knows of no pages."""

    baseline: Mapping[str, Usual]
    before: Mapping[str, Usual]
    now: Mapping[str, Usual]
    seen: Profile
    rules: Rules
    complete: bool


def _values(seen: Profile) -> dict[str, Usual]:
    found = {path: usual.of(each, seen.records) for path, each in seen.fields.items()}
    return {path: each for path, each in found.items() if not each.groups}


def _missing_of_few(baseline: Mapping[str, Usual], seen: Profile, rules: Rules) -> list[Difference]:
    now = _values(seen)
    vanished = {
        path: each
        for path, each in baseline.items()
        if path in rules.required and not rules.is_optional(path) and not each.groups and each.empty <= _EMPTY
        if now.keys().isdisjoint((path, *rules.alternatives.get(path, ())))
        if (1 - each.share) ** seen.records <= _CHANCE
    }
    return [_missing(path, each) for path, each in vanished.items() if not _stood_in(path, vanished, rules)]


def _come_and_gone(read: _Read) -> list[Difference]:
    vanished = {path: each for path, each in read.before.items() if _missed(path, read) and _gone(path, read)}
    vanished = {path: each for path, each in vanished.items() if not _stood_in(path, vanished, read.rules)}
    appeared = {path: each for path, each in read.now.items() if _new(path, read)}
    renamed = _renames(vanished, appeared, read.rules)
    gone = {each.path for each in renamed}
    come = {each.renamed_to for each in renamed} | set(read.rules.mapped)
    added = [Difference(path=path, kind=DriftKind.ADDED, after=appeared[path]) for path in appeared if path not in come]
    return [*renamed, *(_missing(path, each) for path, each in vanished.items() if path not in gone), *added]


def _missing(path: str, before: Usual) -> Difference:
    return Difference(path=path, kind=DriftKind.MISSING, before=before)


def _renames(vanished: Mapping[str, Usual], appeared: Mapping[str, Usual], rules: Rules) -> list[Difference]:
    known = {each.renamed_to for each in rules.renamed}
    targets = {path: each for path, each in appeared.items() if each.share >= _RENAMED_SHARE or path in known}
    return [
        Difference(
            path=pair.rename.path,
            kind=DriftKind.RENAMED,
            before=vanished[pair.rename.path],
            after=targets[pair.rename.renamed_to],
            renamed_to=pair.rename.renamed_to,
            confidence=pair.confidence,
            margin=pair.margin,
            certain=pair.certain or pair.rename in rules.renamed,
        )
        for pair in rename.pairs(vanished, targets, known=rules.renamed, excluded=rules.excluded)
    ]


def _missed(path: str, read: _Read) -> bool:
    rules, before, after = read.rules, read.before[path], read.now.get(path)
    if rules.is_optional(path) or any(_usual(read.now, other) for other in rules.alternatives.get(path, ())):
        return False
    if path in rules.required and (after is None or after.empty == 1):
        # Not one quote can be made, and of most records there were some.
        return before.empty <= _EMPTY
    return after is None and before.share >= (_USUAL_SHARE if read.complete else _USUAL_SHARE_OF_PAGES)


def _new(path: str, read: _Read) -> bool:
    if path in read.before or read.rules.is_optional(path) or all(each.sketched for each in read.baseline.values()):
        return False
    now = read.now[path]
    # Where an object was, a value is new; that there is none says nothing.
    return (1 - now.empty if path in read.baseline else now.share) >= _NEW_SHARE


def _stood_in(path: str, vanished: Mapping[str, Usual], rules: Rules) -> bool:
    """Whether a path read instead of this one, and more usual, is gone as well: one value is missed once."""
    mine = (vanished[path].share, path)
    return any((vanished[each].share, each) > mine for each in rules.alternatives.get(path, ()) if each in vanished)


def _gone(path: str, read: _Read) -> bool:
    if path in read.seen.fields:
        # An object took the place of values, if there mostly were some; or those that every quote needs are null.
        return path in read.now or read.before[path].empty <= _EMPTY
    # Among more paths than are looked at, one that is not seen may be there.
    return len(read.seen.fields) < profile.MAX_PATHS


def _changed(read: _Read) -> Iterator[Difference]:
    for path, before in read.before.items():
        after, found = read.now.get(path), read.seen.fields.get(path)
        if after is None or found is None or read.rules.is_optional(path):
            continue
        change = Difference(path=path, kind=DriftKind.TYPE_CHANGED, before=before, after=after)
        if _type_changed(before, after, found):
            yield change
        if read.complete and _null_jumped(before, after, found):
            yield evolve(change, kind=DriftKind.NULL_JUMP)


def _type_changed(before: Usual, after: Usual, found: Field) -> bool:
    if profile.count_values(found) < MIN_RECORDS or before.type is None:
        return False
    return before.types[before.type] >= _ONE_TYPE and after.types.get(before.type, 0.0) <= _OTHER_TYPE


def _null_jumped(before: Usual, after: Usual, found: Field) -> bool:
    if before.sketched:
        return False
    if before.share >= _USUAL_SHARE:
        return after.empty - before.empty >= _JUMP
    # Of a field that comes and goes only its nulls count, and of those only enough.
    return found.seen >= MIN_RECORDS and after.null - before.null >= _JUMP


def _usual(now: Mapping[str, Usual], path: str) -> bool:
    return path in now and now[path].share >= _USUAL_SHARE
