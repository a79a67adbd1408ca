"""Reads CSV files, each a slice with a checkpoint of its own: bytes, and a fingerprint of the bytes before them.

A file that grew is read from where it was left; one whose beginning changed, or that is to be read in another way,
is read anew; one that is shorter than what was read is an error of that file alone. Size and time of change decide
nothing.
"""

import glob
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import Factory, define, evolve

from kasparro.errors import SliceError
from kasparro.etl.readers import BATCH_RECORDS, csv_name, csv_place, csv_streams
from kasparro.etl.readers.csv_columns import Wanted
from kasparro.etl.readers.csv_layout import LayoutError
from kasparro.etl.readers.csv_lines import UnclosedQuoteError
from kasparro.etl.readers.csv_place import Place
from kasparro.etl.source import Source
from kasparro.model import Checkpoint, Page, Record

logger = logging.getLogger(__name__)

# Bytes after which a page ends, however few its records: what a file of very long records costs in memory.
_PAGE_BYTES = 8 * 1024 * 1024


class CsvFilesReader:
    """Every file of the source's glob, in the order of its path below the glob's fixed part."""

    def __init__(self, source: Source, *, page_records: int = BATCH_RECORDS) -> None:
        if source.files is None:
            raise ValueError(f"{source.name} has no [files] table")
        self._files = source.files
        self._fields = source.fields
        self._page_records = page_records
        self._root = _fixed_part(source.files.glob)

    def slices(self) -> list[str]:
        """The files, then the folders that cannot be looked into: `read` says so, lest their files be missed unseen."""
        if not os.path.isdir(self._root):
            raise SliceError(f"there is no folder {self._root}", code="no_folder")
        found = sorted(Path(path) for path in glob.glob(self._files.glob, recursive=True))
        names = sorted(_name(path.relative_to(self._root)) for path in found if os.path.isfile(path))
        for path in found:
            # Folders are on the way to files, unless one is called as a file.
            if not os.path.isfile(path) and not (os.path.isdir(path) and not path.suffix):
                logger.warning("is no file", extra={"path": _name(path)})
        closed = _closed_folders(self._files.glob, self._root)
        if not names and not closed:
            logger.warning("no file matches", extra={"glob": self._files.glob})
        return names + closed

    def slice_of(self, path: Path) -> str | None:
        """The slice that a file is, None where the glob does not name it."""
        wanted = os.path.abspath(path)
        named = any(os.path.abspath(found) == wanted for found in glob.iglob(self._files.glob, recursive=True))
        return _name(Path(wanted).relative_to(os.path.abspath(self._root))) if named else None

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        if slice_name.endswith("/"):
            raise SliceError(
                f"{self._root / slice_name}: this folder cannot be looked into: Permission denied",
                code="folder_unreadable",
            )
        constants = self._constants(slice_name)
        with csv_streams.opened(self._root / slice_name, slice_name) as file:
            try:
                wanted = Wanted(fields=self._fields, constants=constants.keys())
                place = csv_place.find(file, self._files, checkpoint, wanted)
                at_top = place.anew or not checkpoint.position.get("offset")
                csv_name.check(self._fields, constants, place.layout, slice_name, at_top=at_top)
            except LayoutError as ex:
                raise SliceError(f"{slice_name}: {ex}", code="bad_header") from ex
            except csv_place.TruncatedError as ex:
                raise SliceError(f"{slice_name}: {ex}", code="file_truncated") from ex
            except UnclosedQuoteError as ex:
                raise SliceError(f"{slice_name}: {ex}, which is in its header", code="unclosed_quote") from ex
            if place.same:
                yield Page(
                    slice=slice_name, position=checkpoint.position, validators=checkpoint.validators,
                    constants=constants, records=[], last=True,
                )  # fmt: skip
                return
            yield from self._read(place, slice_name, constants)

    def _read(self, place: Place, slice_name: str, constants: Mapping[str, str]) -> Iterator[Page]:
        pages = _Pages(
            place=place, slice=slice_name, constants=constants, reading=self._files.reading, size=self._page_records,
            anew=place.anew,
        )  # fmt: skip
        unclosed: UnclosedQuoteError | None = None
        layout = place.layout
        try:
            for row in csv_place.rows(place, self._files):
                after = layout.after(row)
                if after is not layout:
                    layout = after
                    if row.ended:
                        pages.place = evolve(pages.place, layout=layout)
                found = layout.records(row)
                if not row.ended:
                    # What is read again the next time stands in pages of its own.
                    if not pages.unended and pages.records:
                        yield pages.take()
                    pages.unended += len(found)
                pages.records += found
                if layout.spread:
                    pages.weight += sum(len(record.payload) for record in found)
                if pages.full:
                    yield pages.take()
        except UnclosedQuoteError as ex:
            unclosed = ex
        yield pages.take(last=unclosed is None, unclosed="" if unclosed is None else unclosed.digest)
        if unclosed is not None:
            raise SliceError(f"{slice_name}: {unclosed}; nothing of them was read", code="unclosed_quote") from unclosed

    def _constants(self, slice_name: str) -> Mapping[str, str]:
        """What the file's name says, for all its records."""
        if not self._files.name_pattern:
            return {}
        match = re.search(self._files.name_pattern, slice_name)
        if match is None:
            raise SliceError(
                f"{slice_name}: files.name_pattern does not match its name; nothing of it was read", code="bad_name"
            )
        return {key: word for key, word in match.groupdict().items() if word is not None}


@define(kw_only=True)
class _Pages:
    """Records on their way into pages: how many of them are read again the next time, and what a wide file's weigh."""

    place: Place
    slice: str
    constants: Mapping[str, str]
    reading: str
    size: int
    anew: bool
    records: list[Record] = Factory(list)
    unended: int = 0
    weight: int = 0
    _counted: int = Factory(lambda self: self.place.file.tell(), takes_self=True)
    _began: int = Factory(lambda self: self.place.tally.offset, takes_self=True)

    @property
    def full(self) -> bool:
        """Whether there are enough for a page."""
        offset, again = self.place.tally.offset, self.place.again
        read = offset - self._counted
        if self._began < again <= offset:
            # What was read before stands in pages of its own.
            return True
        return len(self.records) >= self.size or max(read, self.weight) > _PAGE_BYTES

    def take(self, *, last: bool = False, unclosed: str = "") -> Page:
        """The page of all of them; the next one begins empty."""
        place, counted = self.place, self._counted
        self._counted = place.file.tell()
        offset, again = place.tally.offset, self._began < place.again
        page = Page(
            slice=self.slice,
            records=self.records,
            position=place.position(unclosed, with_tail=last or self.unended > 0),
            validators={"prefix": place.tally.hasher.hexdigest(), "reading": self.reading},
            constants=self.constants,
            bytes_read=self._counted - counted,
            last=last,
            anew=self.anew,
            unended=self.unended,
            again=again,
            inner=again and offset <= place.again and not self.unended,
        )
        self._began = offset
        self.records, self.unended, self.weight, self.anew = [], 0, 0, False
        return page


def _fixed_part(pattern: str) -> Path:
    """The folder that a glob's first wildcard stands in."""
    parts = Path(pattern).parts
    fixed = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _closed_folders(pattern: str, root: Path) -> list[str]:
    """The folders on a glob's way that this user may not look into, with a slash at their ends.

    glob takes them for empty. One that is always root's own, at the top of a disk, is none of ours.
    """
    parts = Path(pattern).parts
    closed = set()
    for number in range(len(root.parts), len(parts)):
        wanted = os.X_OK | (os.R_OK if glob.has_magic(parts[number]) else 0)
        for folder in glob.glob(os.path.join(*parts[:number], ""), recursive=True):
            path = Path(folder)
            if path.name != "lost+found" and not os.access(path, wanted):
                closed.add(f"{_name(path.relative_to(root))}/")
    return sorted(closed)


def _name(path: Path) -> str:
    """A slice's name; bytes of a file name that are no UTF-8 cannot be stored, and must not sink the others."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
