"""Reads CSV files, each a slice with a checkpoint of its own: bytes, and a fingerprint of the bytes before them.

A file that grew is read from where it was left; one whose beginning changed is read anew; one that is shorter than
what was read is an error of that file alone. Size and time of change decide nothing.
"""

import codecs
import glob
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kasparro.errors import SliceError
from kasparro.etl import values
from kasparro.etl.readers import BATCH_RECORDS, csv_lines
from kasparro.etl.source import FieldMap, Source
from kasparro.model import Checkpoint, Page, Record, Rejection

logger = logging.getLogger(__name__)

# Bytes hashed at a time when a file's known beginning is compared.
_BLOCK_BYTES = 1024 * 1024
# Bytes after which a page ends, however few its records: what a file of very long records costs in memory.
_PAGE_BYTES = 8 * 1024 * 1024
_SURROGATE = re.compile("[\ud800-\udfff]")


class CsvFilesReader:
    """Every file of the source's glob, in the order of its path below the glob's fixed part."""

    def __init__(self, source: Source) -> None:
        if source.files is None:
            raise ValueError(f"{source.name} has no [files] table")
        self._files = source.files
        self._fields = source.fields
        self._root = _fixed_part(source.files.glob)

    def slices(self) -> list[str]:
        found = (Path(path) for path in glob.glob(self._files.glob, recursive=True))
        names = sorted(_name(path.relative_to(self._root)) for path in found if path.is_file())
        if not self._root.is_dir():
            raise SliceError(f"there is no folder {self._root}", code="no_folder")
        if not names:
            logger.warning("no file matches", extra={"glob": self._files.glob})
        return names

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        try:
            with (self._root / slice_name).open("rb") as file:
                yield from self._read_file(file, slice_name, checkpoint)
        except OSError as ex:
            raise SliceError(f"{slice_name}: cannot be read: {ex.strerror}", code="file_unreadable") from ex

    def _read_file(self, file: BinaryIO, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        tally, columns = _resume(file, slice_name, checkpoint)
        counted = file.tell()
        records: list[Record] = []
        unclosed = None
        try:
            for row in csv_lines.rows(file, tally, max_record_bytes=self._files.max_record_bytes):
                if not columns:
                    columns = self._header(slice_name, row) if row.ended else []
                elif row.cells or row.defect:
                    # A last record without a line end is ingested too, and read again the next time: it may grow.
                    records.append(_record(row, columns))
                if len(records) >= BATCH_RECORDS or tally.offset - counted > _PAGE_BYTES:
                    size, counted = file.tell() - counted, file.tell()
                    yield _page(slice_name, records, tally, columns, bytes_read=size, last=False)
                    records = []
        except csv_lines.UnclosedQuoteError as ex:
            unclosed = ex
        size = file.tell() - counted
        yield _page(slice_name, records, tally, columns, bytes_read=size, last=unclosed is None)
        if unclosed is not None:
            raise SliceError(f"{slice_name}: {unclosed}; nothing of them was read", code="unclosed_quote") from unclosed

    def _header(self, slice_name: str, row: csv_lines.Row) -> list[str]:
        """The column names, each once; none for a blank line before the header."""
        if row.defect:
            raise SliceError(f"{slice_name}: the header cannot be read: {row.message}", code="bad_header")
        if not row.cells:
            return []
        if any(values.UNSTORABLE.search(cell) for cell in row.cells):
            raise SliceError(f"{slice_name}: the header is not UTF-8 text: {_show(row.cells)}", code="bad_header")
        names = [cell.strip() for cell in row.cells]
        columns: list[str] = []
        for number, name in enumerate(names):
            columns.append(_unique(name, number, [*columns, *names[number + 1 :]]))
        mapped = {path for spec in self._fields.values() for path in spec.paths}
        twice = sorted(mapped & {name for name in names if names.count(name) > 1})
        if twice:
            raise SliceError(f"{slice_name}: the header has {twice[0]!r} more than once", code="bad_header")
        lacking = [name for name, spec in self._fields.items() if _lacks(name, spec, columns)]
        if lacking:
            wanted = "; ".join(f"{name} ({' or '.join(self._fields[name].paths)})" for name in lacking)
            raise SliceError(
                f"{slice_name}: no column for {wanted}; the header has {_show(columns)}", code="bad_header"
            )
        return columns


def _page(
    slice_name: str, records: list[Record], tally: csv_lines.Tally, columns: list[str], *, bytes_read: int, last: bool
) -> Page:
    return Page(
        slice=slice_name,
        records=records,
        position={"offset": tally.offset, "columns": columns},
        validators={"prefix": tally.hasher.hexdigest()},
        bytes_read=bytes_read,
        last=last,
    )


def _show(names: list[str]) -> str:
    """Column names for a message: storable whatever they hold, and not too long."""
    shown = ascii(names)[1:-1]
    return shown if len(shown) <= 300 else f"{shown[:297]}..."


def _unique(name: str, number: int, others: list[str]) -> str:
    """A column's name, with its number where the name is blank or another column's too: no cell may hide another."""
    if name and name not in others[:number]:
        return name
    made_up = f"{name}_{number + 1}"
    while made_up in others:
        made_up += "_"
    return made_up


def _resume(file: BinaryIO, slice_name: str, checkpoint: Checkpoint) -> tuple[csv_lines.Tally, list[str]]:
    """Where to read on, and the columns: at the checkpoint when every byte before it is as it was, else at the top."""
    known = int(checkpoint.position.get("offset", 0))
    tally = csv_lines.Tally()
    while tally.offset < known and (block := file.read(min(known - tally.offset, _BLOCK_BYTES))):
        tally.add(block)
    if tally.offset < known:
        raise SliceError(
            f"{slice_name}: has {tally.offset} bytes, {known} were read before; nothing was deleted. "
            "Under another name it is read as a new file",
            code="file_truncated",
        )
    if known and tally.hasher.hexdigest() == checkpoint.validators.get("prefix"):
        return tally, list(checkpoint.position["columns"])
    file.seek(0)
    tally = csv_lines.Tally()
    if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
        tally.add(codecs.BOM_UTF8)
    else:
        file.seek(0)
    return tally, []


def _record(row: csv_lines.Row, columns: list[str]) -> Record:
    if row.defect is None and len(row.cells) == len(columns):
        fields = dict(zip(columns, row.cells, strict=True))
        # ASCII only: what could not be decoded stands as escapes, so that nothing is lost and all of it can be stored.
        payload = json.dumps(fields)
        if "\\udc" not in payload or not any(_SURROGATE.search(cell) for cell in row.cells):
            return Record(fields=fields, payload=payload)
        return _rejected(payload, "undecodable", "the record is not UTF-8 text")
    if row.defect is None:
        payload = json.dumps({"cells": row.cells})
        return _rejected(payload, "ragged_row", f"has {len(row.cells)} cells, the header has {len(columns)}")
    return _rejected(json.dumps({"line": row.text}), row.defect, row.message)


def _rejected(payload: str, code: str, message: str) -> Record:
    return Record(fields={}, payload=payload, defect=Rejection(stage="read", code=code, field=None, message=message))


def _lacks(name: str, spec: FieldMap, columns: list[str]) -> bool:
    required = name in ("external_id", "symbol", "name", "observed_at", "price_usd")
    return required and bool(spec.paths) and not any(path in columns for path in spec.paths)


def _fixed_part(pattern: str) -> Path:
    """The folder that a glob's first wildcard stands in."""
    parts = Path(pattern).parts
    fixed = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _name(path: Path) -> str:
    """A slice's name; bytes of a file name that are no UTF-8 cannot be stored, and must not sink the others."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
