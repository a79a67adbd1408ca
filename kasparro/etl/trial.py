"""What would a field map make of a file? Reads it as a run does, with the real reader and normaliser, and keeps a tally
and a few examples: no database, and no more memory for a large file than for a small one."""

import glob
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from attrs import Factory, define, evolve

from kasparro import errors
from kasparro.etl import normalise
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.etl.source import Source
from kasparro.model import Checkpoint, Normalised, Page, Rejection

# Listings that are told apart; a file with more has so many and more.
MAX_LISTINGS = 10_000


@define(kw_only=True)
class Reason:
    """Records that gave no quote for the same reason, with the first of them: its number, from 1, and what it was."""

    rejection: Rejection
    records: int = 0
    first_record: int
    payload: str


@define(kw_only=True)
class Trial:
    """What became of a file: read = quotes + rejected. `error` says why the rest of it could not be read."""

    read: int = 0
    quotes: int = 0
    first: list[Normalised] = Factory(list)
    reasons: dict[tuple[str, str | None], Reason] = Factory(dict)
    listings: set[str] = Factory(set)
    earliest: datetime | None = None
    latest: datetime | None = None
    error: str | None = None

    @property
    def rejected(self) -> int:
        """Records that gave no quote, expected or not."""
        return sum(reason.records for reason in self.reasons.values())

    @property
    def unexpected(self) -> int:
        """Records that gave no quote, and should have."""
        return sum(reason.records for reason in self.reasons.values() if not reason.rejection.expected)


def run(source: Source, path: Path, *, first: int, max_records: int | None = None) -> Trial:
    """Read the whole file, or about so many records of it; keep its `first` quotes."""
    trial = Trial()
    normaliser = normalise.compile_source(source)
    try:
        for page in _pages(source, path):
            for record in page.records:
                _count(trial, normaliser(record, page.constants), first=first)
            if max_records is not None and trial.read >= max_records:
                break
    except errors.SliceError as ex:
        trial.error = ex.message
    return trial


def _pages(source: Source, path: Path) -> Iterator[Page]:
    """The file's pages, whether the map's own glob names it or not."""
    if source.files is None:
        raise ValueError(f"{source.name} has no [files] table")
    if not path.is_file():
        raise errors.SliceError(f"{path}: {'is no file' if path.exists() else 'there is no such file'}")
    reader = CsvFilesReader(evolve(source, files=evolve(source.files, glob=glob.escape(str(path.absolute())))))
    for name in reader.slices():
        yield from reader.read(name, Checkpoint(slice=name))


def _count(trial: Trial, found: Normalised, *, first: int) -> None:
    trial.read += 1
    if found.external_id is not None and len(trial.listings) < MAX_LISTINGS:
        trial.listings.add(found.external_id)
    if found.rejection is not None:
        key = (found.rejection.code, found.rejection.field)
        reason = trial.reasons.get(key)
        if reason is None:
            reason = Reason(rejection=found.rejection, first_record=trial.read, payload=found.payload)
            trial.reasons[key] = reason
        reason.records += 1
    elif found.quote is not None:
        trial.quotes += 1
        if len(trial.first) < first:
            trial.first.append(found)
        when = found.quote.observed_at
        trial.earliest = when if trial.earliest is None else min(trial.earliest, when)
        trial.latest = when if trial.latest is None else max(trial.latest, when)
