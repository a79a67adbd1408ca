"""Where, and how, is a file read on? At its checkpoint when every byte before it is as it was, else at the top."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from attrs import evolve, frozen

from kasparro.etl.readers import csv_form, csv_header, csv_layout, csv_lines, csv_streams
from kasparro.etl.readers.csv_columns import Wanted
from kasparro.etl.readers.csv_form import Form
from kasparro.etl.readers.csv_layout import Layout
from kasparro.etl.readers.csv_lines import Row, Tally
from kasparro.etl.source import Files
from kasparro.model import Checkpoint

# Bytes hashed at a time when a file's known beginning is compared.
_BLOCK_BYTES = 1024 * 1024
_NOTHING = csv_layout.make([])


class TruncatedError(Exception):
    """The file is shorter than what was read of it."""


@frozen(kw_only=True)
class Place:
    """A file at the row to read next, with what was read for good before it.

    Without columns nothing is read yet: the first row may still grow. `skip_lines` lines, and the header
    where `at_top`, come before the first record. It is read `anew` where another
    version of it was read before; up to the offset `again` its bytes are as they were.
    `old_mac` files end their lines with carriage returns; the rest of one that ends in
    a quoted field, and has the digest `given_up`, was waited for in vain. What follows the known bytes is the `same` as
    when it was last read.
    """

    file: BinaryIO
    tally: Tally
    form: Form = csv_form.PLAIN
    layout: Layout = _NOTHING
    skip_lines: int = 0
    at_top: bool = False
    old_mac: bool = False
    given_up: str = ""
    anew: bool = False
    again: int = 0
    same: bool = False

    def position(self, unclosed: str, *, with_tail: bool) -> dict[str, Any]:
        """What a checkpoint keeps of it, and the digest to wait for; what is as in plain files is left out.

        `with_tail` it has the size and the digest of what is to be read again, as far as it was read.
        """
        if not self.layout.columns:
            return {"offset": 0, "columns": []}
        plain = csv_form.PLAIN
        unusual = {
            "delimiter": self.form.delimiter if self.form.delimiter != plain.delimiter else "",
            "encoding": self.form.encoding if self.form.encoding != plain.encoding else "",
            "packed": self.layout.packed,
            "below": self.layout.below,
            "old_mac": self.old_mac,
            "again": self.again if self.again >= self.tally.offset and not with_tail else 0,
            "unclosed": unclosed or self.tally.unclosed,
            "tail": [self.tally.tail_bytes, self.tally.tail.hexdigest()] if with_tail and self.tally.tail_bytes else [],
        }
        kept = {key: value for key, value in unusual.items() if value}
        return {"offset": self.tally.offset, "columns": self.layout.columns, **kept}


def find(file: BinaryIO, files: Files, checkpoint: Checkpoint, wanted: Wanted) -> Place:
    """The place to read on from; `file` is at its beginning.

    Raises TruncatedError, LayoutError for a header that cannot be used, and UnclosedQuoteError for one that does not
    end.
    """
    resumed, changed, again = _resume(file, files, checkpoint)
    if resumed is not None:
        return resumed
    file.seek(0)
    return evolve(_begin(file, files, wanted), anew=changed, again=again)


def rows(place: Place, files: Files) -> Iterator[Row]:
    """The rows of records from there on."""
    if not place.layout.columns:
        return
    found = csv_lines.rows(
        place.file,
        place.tally,
        form=place.form,
        skip_lines=place.skip_lines,
        max_record_bytes=files.max_record_bytes,
        given_up=place.given_up,
    )
    if place.at_top:
        next(filter(csv_header.is_header, found), None)
    yield from found


def _resume(file: BinaryIO, files: Files, checkpoint: Checkpoint) -> tuple[Place | None, bool, int]:
    """The place to read on from, where there is one; whether what was read, if anything was, is to be read anew; and
    up to where its bytes are as they were."""
    position = checkpoint.position
    known = int(position.get("offset", 0))
    old_mac = bool(position.get("old_mac"))
    encoding = position.get("encoding", csv_form.PLAIN.encoding)
    stream = csv_streams.with_line_feeds(file, encoding) if old_mac else file
    tally = Tally()
    while tally.offset < known and (block := stream.read(min(known - tally.offset, _BLOCK_BYTES))):
        tally.add(block)
    if tally.offset < known:
        raise TruncatedError(
            f"has {tally.offset} bytes, {known} were read before; nothing was deleted. "
            "Under another name it is read as a new file"
        )
    as_it_was = tally.hasher.hexdigest() == checkpoint.validators.get("prefix")
    if known and not as_it_was:
        return None, True, 0
    same, stands = _compare_tail(
        stream, known, position.get("tail", []), wide=file if encoding.startswith("utf-16") else None
    )
    again = int(position.get("again", 0))
    if checkpoint.validators.get("reading", files.reading) != files.reading:
        return None, True, max(known, again) if stands else 0
    if not known or not stands:
        return None, not stands, 0
    form = Form(
        encoding=encoding,
        delimiter=position.get("delimiter", csv_form.PLAIN.delimiter),
        comment=files.comment,
        escape=files.escape,
    )
    layout = csv_layout.make(
        list(position["columns"]),
        packed=position.get("packed", ""),
        encoding=form.encoding,
        has_header=not files.columns,
        wide=files.wide,
    )
    place = Place(
        file=stream, tally=tally, form=form, layout=evolve(layout, below=position.get("below", "")), old_mac=old_mac,
        given_up=position.get("unclosed", ""), again=again, same=same,
    )  # fmt: skip
    return place, False, again


def _compare_tail(stream: BinaryIO, known: int, tail: list[Any], *, wide: BinaryIO | None) -> tuple[bool, bool]:
    """Whether what follows the known bytes is the same as the last time, and whether that stands and may have grown.

    In a `wide` file half a character, which it may have ended in, is no line end while the other half is not there.
    """
    if not tail:
        return False, True
    size, digest = tail
    half = 0 if wide is None else size % 2
    seen = Tally()
    while seen.offset < size - half and (block := stream.read(min(size - half - seen.offset, _BLOCK_BYTES))):
        seen.add(block)
    if wide is not None and half and stream.read(1):
        behind = wide.tell()
        wide.seek(known + size - 1)
        seen.add(wide.read(1))
        wide.seek(behind)
    stands = seen.hasher.hexdigest() == digest
    same = stands and not stream.read(1)
    if not same:
        stream.seek(known)
    return same, stands


def _begin(file: BinaryIO, files: Files, wanted: Wanted) -> Place:
    mark, encoding = csv_header.encoding(file, files)
    old_mac = csv_streams.ends_lines_with_cr(file, mark, encoding)
    stream = csv_streams.with_line_feeds(file, encoding) if old_mac else file
    found = csv_header.find(stream, files, wanted)
    stream.seek(0)
    tally = Tally()
    if found is None:
        return Place(file=stream, tally=tally)
    tally.add(stream.read(len(found.mark)))
    return Place(
        file=stream, tally=tally, form=found.form, layout=found.layout, skip_lines=found.skip_lines,
        at_top=not files.columns, old_mac=old_mac,
    )  # fmt: skip
