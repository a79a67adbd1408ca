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
from kasparro.etl.source import Duplicates, Source
from kasparro.model import Checkpoint, Normalised, Page, Rejection

# Listings and times that are remembered to see rows of a file contradict each other, twice: the newest so many, and
# those before them. All of most files; some 100 MB.
MAX_KEYS = 200_000
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
    """What became of a file: read = quotes + rejected. `error` says why the rest of it could not be read.

    `repeated` of the quotes say again what an earlier one of the file said of the same listing and time.
    """

    read: int = 0
    quotes: int = 0
    repeated: int = 0
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


class _Keys:
    """What rows said of a listing and time, to see those that contradict each other as a run sees them."""

    def __init__(self) -> None:
        self._newest: dict[int, tuple[int | None, int]] = {}
        self._older: dict[int, tuple[int | None, int]] = {}

    def add(self, key: int, said: int, *, last_counts: bool) -> tuple[int, bool]:
        """How many rows said something else, this one included, that were not counted yet; whether it was repeated.

        Once a key is contradicted, every row of it is.
        """
        if len(self._newest) >= MAX_KEYS:
            self._older, self._newest = self._newest, {}
        known = self._newest.get(key) or self._older.get(key)
        if known is None or last_counts:
            self._newest[key] = (said, 1)
            return 0, known is not None
        before, rows = known
        if before == said:
            self._newest[key] = (said, rows + 1)
            return 0, True
        self._newest[key] = (None, 0)
        return rows + 1, False


def run(source: Source, path: Path, *, first: int, max_records: int | None = None) -> Trial:
    """Read the whole file, or about so many records of it; keep its `first` quotes."""
    trial = Trial()
    normaliser = normalise.compile_source(source)
    keys = _Keys()
    last_counts = source.files is not None and source.files.duplicates is Duplicates.LAST
    try:
        for page in _pages(source, path):
            for record in page.records:
                found = normaliser(record, page.constants)
                _count(trial, found, first=first)
                if found.quote is not None:
                    _compare(trial, found, keys, last_counts=last_counts)
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
    reader = CsvFilesReader(source)
    named = reader.slice_of(path)
    if named is None:
        reader = CsvFilesReader(evolve(source, files=evolve(source.files, glob=glob.escape(str(path.absolute())))))
    for name in reader.slices() if named is None else [named]:
        checkpoint = Checkpoint(slice=name)
        try:
            for page in reader.read(name, checkpoint):
                checkpoint = Checkpoint(slice=name, position=page.position, validators=page.validators)
                yield page
        except errors.SliceError as ex:
            if ex.code == "unclosed_quote" and checkpoint.position:
                # What the next run makes of the rest, when it waited for that in vain.
                yield from reader.read(name, checkpoint)
            raise


def _count(trial: Trial, found: Normalised, *, first: int) -> None:
    trial.read += 1
    if found.external_id is not None and len(trial.listings) < MAX_LISTINGS:
        trial.listings.add(found.external_id)
    if found.rejection is not None:
        _reject(trial, found.rejection, found.payload)
    elif found.quote is not None:
        trial.quotes += 1
        if len(trial.first) < first:
            trial.first.append(found)
        when = found.quote.observed_at
        trial.earliest = when if trial.earliest is None else min(trial.earliest, when)
        trial.latest = when if trial.latest is None else max(trial.latest, when)


def _reject(trial: Trial, rejection: Rejection, payload: str, *, records: int = 1) -> None:
    key = (rejection.code, rejection.field)
    if key not in trial.reasons:
        trial.reasons[key] = Reason(rejection=rejection, first_record=trial.read, payload=payload)
    trial.reasons[key].records += records


def _compare(trial: Trial, found: Normalised, keys: _Keys, *, last_counts: bool) -> None:
    """Reject the quote and all that came before of its listing and time, where they contradict each other."""
    quote = found.quote
    if quote is None:
        return
    key, said = hash((found.external_id, quote.observed_at)), hash(quote)
    contradicted, repeated = keys.add(key, said, last_counts=last_counts)
    trial.repeated += repeated
    if not contradicted:
        return
    trial.quotes -= contradicted
    # Rows before it that repeated one another are no quotes any more.
    trial.repeated -= max(contradicted - 2, 0)
    trial.first = [each for each in trial.first if each.quote is None or each.external_id != found.external_id
                   or each.quote.observed_at != quote.observed_at]  # fmt: skip
    message = f"several rows of the file differ for {quote.observed_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    rejection = Rejection(stage="read", code="ambiguous_key", field="observed_at", message=message)
    _reject(trial, rejection, found.payload, records=contradicted)
