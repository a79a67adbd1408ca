"""Reads CSV files, each a slice with a checkpoint of its own: bytes, and a fingerprint of the bytes before them.

A file that grew is read from where it was left; one whose beginning changed is read anew; one that is shorter than
what was read is an error of that file alone. Size and time of change decide nothing.
"""

import codecs
import glob
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from attrs import field, frozen

from kasparro.errors import SliceError
from kasparro.etl.readers import BATCH_RECORDS, csv_lines
from kasparro.etl.source import FieldMap, Source
from kasparro.model import Checkpoint, Page, Record, Rejection

# Bytes hashed at a time when a file's known beginning is compared.
_BLOCK_BYTES = 1024 * 1024
_SURROGATE = re.compile("[\ud800-\udfff]")
# Characters that no text column takes: NUL, and the surrogates that stand for bytes which are no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


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
        return sorted(_name(path.relative_to(self._root)) for path in found if path.is_file())

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        try:
            with (self._root / slice_name).open("rb") as file:
                yield from self._read_file(file, slice_name, checkpoint)
        except OSError as ex:
            raise SliceError(f"{slice_name}: cannot be read: {ex.strerror}", code="file_unreadable") from ex

    def _read_file(self, file: BinaryIO, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        mark = _resume(file, slice_name, checkpoint)
        columns: list[str] = list(mark.columns)
        records: list[Record] = []
        waiting = 0
        unclosed = None
        try:
            for row in csv_lines.rows(file, max_record_bytes=self._files.max_record_bytes):
                # A last record without a line end is ingested and read again the next time: it may still grow.
                waiting = 0 if row.ended else row.size
                if not columns:
                    columns = [] if waiting else self._header(slice_name, row)
                elif row.cells or row.defect:
                    records.append(_record(row, columns))
                if len(records) >= BATCH_RECORDS:
                    mark = mark.advance(file, file.tell() - waiting, columns)
                    yield mark.page(slice_name, records, last=False)
                    records = []
        except csv_lines.UnclosedQuoteError as ex:
            waiting, unclosed = ex.size, ex
        mark = mark.advance(file, file.tell() - waiting, columns)
        yield mark.page(slice_name, records, last=unclosed is None)
        if unclosed is not None:
            raise SliceError(f"{slice_name}: {unclosed}; nothing of them was read", code="unclosed_quote") from unclosed

    def _header(self, slice_name: str, row: csv_lines.Row) -> list[str]:
        """The column names, each once; none for a blank line before the header."""
        if row.defect:
            raise SliceError(f"{slice_name}: the header cannot be read: {row.message}", code="bad_header")
        if not row.cells:
            return []
        if any(_UNSTORABLE.search(cell) for cell in row.cells):
            raise SliceError(f"{slice_name}: the header is not UTF-8 text: {ascii(row.cells)[:300]}", code="bad_header")
        columns: list[str] = []
        for number, cell in enumerate(row.cells):
            name = cell.strip()
            columns.append(_unique(name, number, [*columns, *(cell.strip() for cell in row.cells[number + 1 :])]))
        lacking = [name for name, spec in self._fields.items() if _lacks(name, spec, columns)]
        if lacking:
            wanted = "; ".join(f"{name} ({' or '.join(self._fields[name].paths)})" for name in lacking)
            raise SliceError(
                f"{slice_name}: no column for {wanted}; the header has {ascii(columns)[1:300]}", code="bad_header"
            )
        return columns


@frozen(kw_only=True)
class _Mark:
    """A place in a file: everything before `offset` is read, and `hasher` has seen every byte of it."""

    offset: int = 0
    columns: tuple[str, ...] = ()
    hasher: Any = field(factory=lambda: hashlib.blake2b(digest_size=16))

    def advance(self, file: BinaryIO, offset: int, columns: list[str]) -> "_Mark":
        """The mark at `offset`, with the bytes up to there hashed; the file's own position stays."""
        here = file.tell()
        file.seek(self.offset)
        hasher = self.hasher.copy()
        _hash(file, hasher, offset - self.offset)
        file.seek(here)
        return _Mark(offset=offset, columns=tuple(columns), hasher=hasher)

    def page(self, slice_name: str, records: list[Record], *, last: bool) -> Page:
        """The page that ends here."""
        position = {"offset": self.offset, "columns": list(self.columns)}
        validators = {"prefix": self.hasher.hexdigest()}
        return Page(slice=slice_name, records=records, position=position, validators=validators, last=last)


def _unique(name: str, number: int, others: list[str]) -> str:
    """A column's name, with its number where the name is blank or another column's too: no cell may hide another."""
    if name and name not in others[:number]:
        return name
    made_up = f"{name}_{number + 1}"
    while made_up in others:
        made_up += "_"
    return made_up


def _resume(file: BinaryIO, slice_name: str, checkpoint: Checkpoint) -> _Mark:
    """Where to read on: at the checkpoint when every byte before it is as it was, else at the beginning."""
    known = int(checkpoint.position.get("offset", 0))
    hasher = hashlib.blake2b(digest_size=16)
    found = _hash(file, hasher, known)
    if found < known:
        raise SliceError(
            f"{slice_name}: has {found} bytes, {known} were read before; nothing was deleted", code="file_truncated"
        )
    if known and hasher.hexdigest() == checkpoint.validators.get("prefix"):
        return _Mark(offset=known, columns=tuple(checkpoint.position["columns"]), hasher=hasher)
    file.seek(0)
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    return _Mark()


def _hash(file: BinaryIO, hasher: Any, count: int) -> int:
    """Hash the next `count` bytes; how many there were."""
    left = count
    while left and (block := file.read(min(left, _BLOCK_BYTES))):
        hasher.update(block)
        left -= len(block)
    return count - left


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
