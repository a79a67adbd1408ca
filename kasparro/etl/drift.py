"""How do the fields of some records differ from what is usual for their input? Pure comparison; what is done about a
difference is the policy's, in compare.py.

A field that comes and goes is not missed, and not new: the baseline knows in which share of the records it is.
"""

from collections.abc import Collection, Mapping

from attrs import frozen

from kasparro.etl import profile, rename, usual
from kasparro.etl.profile import Profile
from kasparro.etl.usual import Usual
from kasparro.fields import DriftKind, Rename

# Records that say something about their fields. Of fewer, the few may happen to be odd ones.
MIN_RECORDS = 10
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


@frozen(kw_only=True)
class Difference:
    """One difference; `before` and `after` are what was usual and what is, where there is such. For a rename, whether
    it is `certain`, and how far ahead of any other."""

    path: str
    kind: DriftKind
    before: Usual | None = None
    after: Usual | None = None
    renamed_to: str | None = None
    confidence: float = 1.0
    margin: float | None = None
    certain: bool = True


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
    """What differs in `seen`: a page by its number, or without one all that was read. Of few records, nothing does."""
    if not baseline or seen.records < MIN_RECORDS:
        return []
    complete = page is None
    if page is not None:
        baseline = {path: each.on_page(page) for path, each in baseline.items()}
    now = {path: usual.of(each, seen.records) for path, each in seen.fields.items()}
    changed = [path for path in baseline if path in now and _type_changed(baseline[path], seen, path)]
    vanished = {
        path: each
        for path, each in baseline.items()
        if _vanished(path, each, now, rules, complete=complete) and not _below(path, changed)
    }
    appeared = {
        path: each
        for path, each in now.items()
        if path not in baseline and each.share >= _NEW_SHARE and not _grouping(each) and not rules.is_optional(path)
        if not _below(path, changed)
    }
    renamed = _renames(vanished, appeared, rules)
    gone = {each.path for each in renamed}
    come = {each.renamed_to for each in renamed} | set(rules.mapped)
    return [
        *renamed,
        *(
            Difference(path=path, kind=DriftKind.MISSING, before=vanished[path])
            for path in vanished
            if path not in gone
        ),
        *(Difference(path=path, kind=DriftKind.ADDED, after=appeared[path]) for path in appeared if path not in come),
        *(
            Difference(path=path, kind=DriftKind.TYPE_CHANGED, before=baseline[path], after=now[path])
            for path in changed
            if not rules.is_optional(path)
        ),
        *(_null_jumps(baseline, now, seen, rules) if complete else ()),
    ]


def learn(baseline: Mapping[str, Usual], seen: Profile, apart_from: Collection[str]) -> dict[str, Usual]:
    """What is new of the usual fields after all that was read, `apart_from` paths that are under dispute."""
    if seen.records < MIN_RECORDS:
        return {}
    learned: dict[str, Usual] = {}
    for path in {**baseline, **seen.fields}:
        found = seen.fields.get(path)
        now = usual.of(found, seen.records) if found else Usual(share=0.0, null=0.0, types={})
        known = baseline.get(path)
        # A field that was not there before is there in that share from the start, of an input that is known or not.
        after = now if known is None else usual.blend(known, now, _WEIGHT)
        if after != known and path not in apart_from:
            learned[path] = after
    room = profile.MAX_PATHS - len(baseline)
    new = [path for path in learned if path not in baseline][max(room, 0) :]
    return {path: each for path, each in learned.items() if path not in new}


def is_over(kind: DriftKind, path: str, baseline: Mapping[str, Usual], seen: Profile) -> bool:
    """Whether all that was read says that a field is back as it was, where no difference was found in it."""
    if seen.records < MIN_RECORDS:
        return False
    found = seen.fields.get(path)
    if kind is DriftKind.ADDED:
        return found is None
    if found is None or path not in baseline:
        return False
    now, before = usual.of(found, seen.records), baseline[path]
    if kind is DriftKind.TYPE_CHANGED:
        return now.type == before.type
    return now.share >= _RENAMED_SHARE


def _renames(vanished: Mapping[str, Usual], appeared: Mapping[str, Usual], rules: Rules) -> list[Difference]:
    known = [
        each
        for each in rules.renamed
        if each.path in vanished
        and each.renamed_to in appeared
        # A name that means something else by now is no longer what the field was renamed to.
        and rename.score(each.path, vanished[each.path], each.renamed_to, appeared[each.renamed_to]) >= rename.PROPOSED
    ]
    left = {path: each for path, each in vanished.items() if path not in {one.path for one in known}}
    targets = {
        path: each
        for path, each in appeared.items()
        if each.share >= _RENAMED_SHARE and path not in {one.renamed_to for one in known}
    }
    found = [
        Difference(
            path=each.path,
            kind=DriftKind.RENAMED,
            before=vanished[each.path],
            after=appeared[each.renamed_to],
            renamed_to=each.renamed_to,
            confidence=rename.score(each.path, vanished[each.path], each.renamed_to, appeared[each.renamed_to]),
        )
        for each in known
    ]
    for pair in rename.pairs(left, targets, excluded=rules.excluded):
        found.append(
            Difference(
                path=pair.rename.path,
                kind=DriftKind.RENAMED,
                before=left[pair.rename.path],
                after=targets[pair.rename.renamed_to],
                renamed_to=pair.rename.renamed_to,
                confidence=pair.confidence,
                margin=pair.margin,
                certain=pair.certain,
            )
        )
    return found


def _vanished(path: str, before: Usual, now: Mapping[str, Usual], rules: Rules, *, complete: bool) -> bool:
    after = now.get(path)
    # Among more paths than are looked at, one that is not seen may be there.
    if _grouping(before) or rules.is_optional(path) or (after is None and len(now) >= profile.MAX_PATHS):
        return False
    if any(_usual(now, other) for other in rules.alternatives.get(path, ())):
        return False
    if path in rules.required and (after is None or after.empty == 1):
        # Not one quote can be made, and of most records there were some.
        return before.empty <= _EMPTY
    return after is None and before.share >= (_USUAL_SHARE if complete else _USUAL_SHARE_OF_PAGES)


def _type_changed(before: Usual, seen: Profile, path: str) -> bool:
    found = seen.fields[path]
    now = usual.of(found, seen.records)
    if found.seen - found.null < MIN_RECORDS or before.type is None:
        return False
    return before.types[before.type] >= _ONE_TYPE and now.types.get(before.type, 0.0) <= _OTHER_TYPE


def _null_jumps(
    baseline: Mapping[str, Usual], now: Mapping[str, Usual], seen: Profile, rules: Rules
) -> list[Difference]:
    jumps = []
    for path, before in baseline.items():
        after = now.get(path)
        if after is None or rules.is_optional(path) or _grouping(before) or _grouping(after):
            continue
        # Of a field that comes and goes only its nulls count, and of those only enough.
        steady = before.share >= _USUAL_SHARE
        if not steady and seen.fields[path].seen < MIN_RECORDS:
            continue
        jump = after.empty - before.empty if steady else after.null - before.null
        if jump >= _JUMP:
            jumps.append(Difference(path=path, kind=DriftKind.NULL_JUMP, before=before, after=after))
    return jumps


def _grouping(each: Usual) -> bool:
    """Whether it is an object, mostly: the fields in it speak for themselves."""
    return each.types.get("object", 0.0) > 0


def _below(path: str, others: Collection[str]) -> bool:
    return any(path.startswith(f"{other}.") for other in others)


def _usual(now: Mapping[str, Usual], path: str) -> bool:
    return path in now and now[path].share >= _USUAL_SHARE
