"""What do the fields of some records look like? Which there are, how often, of which types, and how their values run.

Looked at is a sample, evenly taken: enough to see that a field changed, too few to be felt (measured: a millisecond for
five thousand CSV rows). Records that are defects in themselves say nothing about fields.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import asdict, evolve, frozen

from kasparro.etl import field_map, values
from kasparro.model import Record

# Records of a page that are looked at. A share is then known to some five percent, and a page costs a few milliseconds.
SAMPLE_RECORDS = 100
# Paths that are kept in mind. Upstreams have some 30 (flat) to 100; an object with ids for keys has no end.
MAX_PATHS = 400
MAX_PATH_CHARACTERS = 300
# Levels of objects that are looked into, below which paths say little about a source.
_MAX_DEPTH = 8
# Characters of a text up to which it is worth asking what it spells.
_MAX_SPELLED = 60
# Pages of which is known separately how numbers run: ranked lists have the large ones first. Most reads have four; what
# comes later is taken to be like the last of these.
_MAX_PAGES = 8
_TIME = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{4}( .*)?|[A-Za-z]{3,9} \d{1,2}, \d{4}.*"
)
_NUMBER = re.compile(r"[-+]?[$€£]?\d*[\d.,'  ]*\d(?:[eE][-+]?\d+)?\s?[%KMBT]?")
# What stands for an object whose fields are looked at themselves.
_OBJECT = object()


# The percentiles low, mid and high of the numbers on one page.
Run = tuple[float, float, float]


@frozen(kw_only=True)
class Stats:
    """How values run. `length` in characters, `distinct` a share; of numbers low, mid and high are the tenth, fiftieth
    and ninetieth percentile of the powers of ten, `negative` and `whole` shares. None where there was nothing to tell.
    """

    length: float | None = None
    distinct: float | None = None
    low: float | None = None
    mid: float | None = None
    high: float | None = None
    negative: float | None = None
    whole: float | None = None


@frozen(kw_only=True)
class Field:
    """One field in some records: in how many it was, in how many of those it was null or blank, and the others.

    `pages` tells of each of the first pages how its numbers ran, None where there were none.
    """

    seen: int
    null: int
    types: Mapping[str, int]
    stats: Stats = Stats()
    pages: tuple[Run | None, ...] = ()


@frozen(kw_only=True)
class Profile:
    """The fields of `records` records on `pages` pages, by path: as field maps write it where objects are nested."""

    records: int = 0
    pages: int = 0
    fields: Mapping[str, Field]

    def as_json(self) -> dict[str, Any]:
        """As runs.profile keeps it: see the table's migration."""
        paths = {
            path: {"seen": each.seen, "null": each.null, "types": dict(each.types), **given(each.stats)}
            for path, each in self.fields.items()
        }
        return {"records": self.records, "paths": paths}

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when a field that most records have comes, goes, or changes its type."""
        shape = sorted(
            f"{path}:{max(each.types, key=lambda name: (each.types[name], name), default='')}"
            for path, each in self.fields.items()
            if 2 * each.seen >= self.records
        )
        return hashlib.blake2b("\n".join(shape).encode(), digest_size=8).hexdigest()


def look(records: Sequence[Record], *, nested: bool) -> Profile:
    """The profile of at most SAMPLE_RECORDS of these; with `nested`, objects are looked into."""
    columns: dict[str, list[Any]] = {}
    looked_at = 0
    for record in sample(records):
        if record.defect is None:
            looked_at += 1
            _collect(record.fields, columns, nested=nested)
    return Profile(records=looked_at, pages=1, fields={path: _field(found) for path, found in columns.items()})


def merge(one: Profile, other: Profile) -> Profile:
    """The profile of both together, `one` first; how values run is the mean of both."""
    merged = dict(one.fields)
    for path, added in other.fields.items():
        known = merged.get(path)
        before = known.pages if known is not None else ()
        pages = (*before, *(None,) * (one.pages - len(before)), *added.pages)[:_MAX_PAGES]
        if known is not None:
            types = dict(Counter(known.types) + Counter(added.types))
            weight = count_values(added) / max(count_values(known) + count_values(added), 1)
            stats = mix(known.stats, added.stats, weight)
            merged[path] = Field(
                seen=known.seen + added.seen, null=known.null + added.null, types=types, stats=stats, pages=pages
            )
        elif len(merged) < MAX_PATHS:
            merged[path] = evolve(added, pages=pages)
    return Profile(records=one.records + other.records, pages=one.pages + other.pages, fields=merged)


def sample(records: Sequence[Record]) -> Sequence[Record]:
    """At most SAMPLE_RECORDS of these, evenly taken."""
    if len(records) <= SAMPLE_RECORDS:
        return records
    step = len(records) / SAMPLE_RECORDS
    return [records[int(number * step)] for number in range(SAMPLE_RECORDS)]


def _collect(
    fields: Mapping[str, Any], columns: dict[str, list[Any]], *, nested: bool, depth: int = 0, prefix: str = ""
) -> None:
    for key, value in fields.items():
        path = prefix + (field_map.escaped(key) if nested and "." in key else key)
        column = columns.get(path)
        if column is None:
            # What Postgres cannot store as a key is nothing that a field map could name.
            if len(columns) >= MAX_PATHS or len(path) > MAX_PATH_CHARACTERS or values.UNSTORABLE.search(path):
                continue
            column = columns[path] = []
        if nested and depth < _MAX_DEPTH and isinstance(value, dict):
            column.append(_OBJECT)
            _collect(value, columns, nested=True, depth=depth + 1, prefix=f"{path}.")
        else:
            column.append(value)


def _field(found: list[Any]) -> Field:
    kept = [value for value in found if value is not None and not (isinstance(value, str) and not value.strip())]
    names = [_type(value) for value in kept]
    numbers = [_number(value) for value, name in zip(kept, names, strict=True) if name in ("number", "number_text")]
    texts = [value for value in kept if isinstance(value, str)]
    stats = Stats(
        length=rounded(sum(map(len, texts)) / len(texts)) if texts else None,
        distinct=_distinct(kept),
        **_run([number for number in numbers if number is not None]),
    )
    run = None if stats.low is None or stats.mid is None or stats.high is None else (stats.low, stats.mid, stats.high)
    nulls = len(found) - len(kept)
    return Field(seen=len(found), null=nulls, types=dict(Counter(names)), stats=stats, pages=(run,))


def _type(value: Any) -> str:
    if isinstance(value, str):
        if value.startswith(("http://", "https://")):
            return "url_text"
        word = value.strip()
        if len(word) > _MAX_SPELLED:
            return "text"
        if _TIME.fullmatch(word):
            return "time_text"
        return "number_text" if _NUMBER.fullmatch(word) else "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Decimal | int | float):
        return "number"
    return "list" if isinstance(value, list) else "object"


def _number(value: Any) -> float | None:
    try:
        number = float(value.strip().rstrip("%KMBT ").replace(",", "") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _run(numbers: list[float]) -> dict[str, float]:
    if not numbers:
        return {}
    count = len(numbers)
    powers = sorted(math.log10(abs(number)) for number in numbers if number)
    shares = {
        "negative": rounded(sum(number < 0 for number in numbers) / count),
        "whole": rounded(sum(number.is_integer() for number in numbers) / count),
    }
    if not powers:
        return shares
    last = len(powers) - 1
    return shares | {
        name: rounded(powers[round(last * at)]) for name, at in (("low", 0.1), ("mid", 0.5), ("high", 0.9))
    }


def _distinct(kept: list[Any]) -> float | None:
    try:
        return rounded(len(set(kept)) / len(kept)) if kept else None
    except TypeError:
        # Lists, and objects below the depth that is looked at.
        return None


def count_values(field: Field) -> int:
    """How many were neither null nor blank."""
    return field.seen - field.null


def mix(known: Stats, seen: Stats, weight: float) -> Stats:
    """The mean of both, `seen` making up `weight` of it."""
    mixed = {}
    for name, value in asdict(known).items():
        other = getattr(seen, name)
        mixed[name] = other if value is None else value if other is None else between(value, other, weight)
    return Stats(**mixed)


def between(known: float, seen: float, weight: float) -> float:
    """From `known` on the way to `seen`, so far."""
    return rounded(known + (seen - known) * weight)


def rounded(number: float) -> float:
    """As exact as a sample is, and short in JSON."""
    return round(number, 3)


def given(stats: Stats) -> dict[str, float]:
    """What there was to tell."""
    return {name: value for name, value in asdict(stats).items() if value is not None}
