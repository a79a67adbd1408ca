"""What is a backfill made of? Slices, each the past of one listing within one window of days; pure decisions.

A window is as long as the source's upstream answers at once, so a slice is one request, and finished or not.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from attrs import evolve, frozen

from kasparro.etl import normalise
from kasparro.etl.field_map import FieldMap
from kasparro.etl.source import Source
from kasparro.model import BACKFILL_PREFIX, Listing, Normalised, Record

# Where a record of the past finds the listing that was asked for.
_LISTING = "listing"


@frozen(kw_only=True)
class Window:
    """Whole days in UTC, `first` and `last` included."""

    first: date
    last: date

    @property
    def begin(self) -> datetime:
        """Its first second."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """Its last second."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC) - timedelta(seconds=1)


@frozen(kw_only=True)
class Part:
    """The past of one listing within one window: a slice of its source."""

    listing: Listing
    window: Window

    @property
    def slice(self) -> str:
        """Its name in leases, checkpoints and runs. The id comes last, for it may hold anything."""
        return f"{BACKFILL_PREFIX}{self.window.first}..{self.window.last}:{self.listing.external_id}"

    @property
    def constants(self) -> dict[str, str]:
        """What the records of this slice do not say themselves."""
        return {"external_id": self.listing.external_id, "symbol": self.listing.symbol, "name": self.listing.name}


def windows(whole: Window, *, days: int) -> Iterator[Window]:
    """The days of `whole` in windows of at most `days`, the newest first: some plans reach back only so far."""
    count = (whole.last - whole.first).days // days + 1
    for start in (whole.first + timedelta(days=days * number) for number in reversed(range(count))):
        yield Window(first=start, last=min(start + timedelta(days=days - 1), whole.last))


def parts(listings: Sequence[Listing], whole: Window, *, days: int) -> list[Part]:
    """Every slice, window by window."""
    return [Part(listing=listing, window=window) for window in windows(whole, days=days) for listing in listings]


def compile_source(source: Source) -> normalise.Normaliser:
    """The function that normalises records of the past; their constants say whose they are."""
    if source.backfill is None:
        raise ValueError(f"{source.name} has no [backfill] table")
    own = {name: FieldMap(paths=(f"{_LISTING}.{name}",), type="text") for name in ("external_id", "symbol", "name")}
    normaliser = normalise.compile_source(evolve(source, fields={**own, **source.backfill.fields}))

    def of_the_past(record: Record, constants: Mapping[str, str]) -> Normalised:
        return normaliser(evolve(record, fields={**record.fields, _LISTING: dict(constants)}), constants)

    return of_the_past
