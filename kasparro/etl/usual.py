"""What is usual of a field? Its shares over many reads: the baseline that what is read now is compared with."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from attrs import evolve, field, fields_dict, frozen

from kasparro.etl import profile
from kasparro.etl.profile import Field, Run, Stats


@frozen(kw_only=True)
class Usual:
    """A field in shares: of records that have it, of those in which it is null, and of types in the others."""

    share: float
    null: float
    types: Mapping[str, float]
    stats: Stats = field(factory=Stats)
    pages: tuple[Run | None, ...] = ()

    @property
    def empty(self) -> float:
        """The share of records in which nothing is to be read there."""
        return 1 - self.share * (1 - self.null)

    @property
    def type(self) -> str | None:
        """The type that most values have."""
        return max(self.types, key=lambda name: (self.types[name], name), default=None)

    @property
    def sketched(self) -> bool:
        """Whether of its values nothing is known but that there are some."""
        return not self.types and self.null < 1

    @property
    def groups(self) -> bool:
        """Whether it is an object: the fields in it speak for themselves."""
        return self.type == "object"

    def as_json(self) -> dict[str, Any]:
        """For the baseline, and for the details of a drift."""
        known = {"share": self.share, "null": self.null, "types": dict(self.types), "stats": profile.given(self.stats)}
        return known | ({"pages": self.pages} if any(self.pages) else {})

    def on_page(self, number: int) -> "Usual":
        """The same as it is on the page of that number, counted from 0."""
        run = self.pages[min(number, len(self.pages) - 1)] if self.pages else None
        if run is None:
            return self
        return evolve(self, stats=evolve(self.stats, low=run[0], mid=run[1], high=run[2]))


def of(found: Field, records: int) -> Usual:
    """The field in shares of so many records."""
    count = max(profile.count_values(found), 1)
    return Usual(
        share=profile.rounded(found.seen / max(records, 1)),
        null=profile.rounded(found.null / max(found.seen, 1)),
        types={name: profile.rounded(found / count) for name, found in sorted(found.types.items())},
        stats=found.stats,
        pages=found.pages if any(found.pages) else (),
    )


def blend(known: Usual, seen: Usual, weight: float) -> Usual:
    """What is usual after it was `seen` once more; types and values stay where there were none to see."""
    has_values = bool(seen.types)
    names = sorted({*known.types, *seen.types})
    mixed = {name: profile.between(known.types.get(name, 0.0), seen.types.get(name, 0.0), weight) for name in names}
    return Usual(
        share=profile.between(known.share, seen.share, weight),
        null=profile.between(known.null, seen.null, weight) if seen.share else known.null,
        types={name: share for name, share in mixed.items() if share} if has_values else known.types,
        stats=profile.mix(known.stats, seen.stats, weight) if has_values else known.stats,
        pages=tuple(_mix_runs(*both, weight) for both in zip_longest(known.pages, seen.pages)),
    )


def parse(kept: Mapping[str, Any]) -> Usual:
    """What Usual.as_json wrote."""
    stats = {name: value for name, value in kept.get("stats", {}).items() if name in fields_dict(Stats)}
    pages = tuple(run and tuple(run) for run in kept.get("pages", ()))
    return Usual(share=kept["share"], null=kept["null"], types=kept["types"], stats=Stats(**stats), pages=pages)


def _mix_runs(known: Run | None, seen: Run | None, weight: float) -> Run | None:
    if known is None or seen is None:
        return known or seen
    low, mid, high = (profile.between(one, other, weight) for one, other in zip(known, seen, strict=True))
    return low, mid, high
