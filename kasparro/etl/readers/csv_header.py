"""How is this file written? Its encoding, delimiter and columns, found at its beginning alone.

Only the first row decides, and only once it has ended: a file that grows is read as the whole file would be. Between
delimiters the columns that the map names decide; what cannot be told is an error, not a guess.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

from kasparro.etl import values
from kasparro.etl.readers import csv_layout, csv_lines, csv_streams
from kasparro.etl.readers.csv_columns import Wanted
from kasparro.etl.readers.csv_form import Form
from kasparro.etl.readers.csv_layout import Layout, LayoutError
from kasparro.etl.source import Files

DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# What spreadsheets are told their delimiter with, in a line of its own.
_HINT = re.compile(r'"?sep=([^"\r\n])"?\s*')
# Bytes of blank, drawn and comment lines before a header. While it is looked for nothing else goes on.
_MAX_BLANK_BYTES = 256 * 1024
# Characters of a header that a message shows.
_SHOWN = 300


@frozen(kw_only=True)
class Beginning:
    """Where rows begin, after a byte order mark, and lines to skip there; how they are written; what columns are."""

    mark: bytes
    skip_lines: int
    form: Form
    layout: Layout


def find(file: BinaryIO, files: Files, wanted: Wanted) -> Beginning | None:
    """How the file is written, None while its first row has not ended. `file` is at its beginning.

    Raises LayoutError when there is no such layout,
    and UnclosedQuoteError when the file ends in its first row.
    """
    mark, written_in = encoding(file, files)
    file.seek(len(mark))
    first = csv_streams.line_reader(file, written_in)(_SHOWN)
    hint = _HINT.fullmatch(first.decode(written_in, "replace"))
    delimiters = [files.delimiter] if files.delimiter else [hint[1]] if hint else DELIMITERS
    skip_lines = files.skip_lines + (hint is not None)
    found = []
    for delimiter in delimiters:
        form = Form(encoding=written_in, delimiter=delimiter, comment=files.comment, escape=files.escape)
        file.seek(len(mark))
        row = _first_row(file, form, skip_lines, files.max_record_bytes)
        if row is None:
            return None
        found.append((form, row))
    form, layout = _choose(found, files, wanted)
    return Beginning(mark=mark, skip_lines=skip_lines, form=form, layout=layout)


def is_header(row: csv_lines.Row) -> bool:
    """Whether a row can be a file's first: it is not blank, and no line that only separates."""
    return row.defect is not None or not csv_layout.is_rule(row.cells)


def encoding(file: BinaryIO, files: Files) -> tuple[bytes, str]:
    """The byte order mark, and the encoding that it proves, else the one that is declared.

    The file is at its beginning before and after. Raises LayoutError when neither says it.
    """
    beginning = file.read(len(codecs.BOM_UTF8))
    file.seek(0)
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return mark, encoding
    if files.encoding == "utf-16":
        raise LayoutError("there is no byte order mark: say utf-16-le or utf-16-be in files.encoding")
    return b"", files.encoding or "utf-8"


def _first_row(file: BinaryIO, form: Form, skip_lines: int, max_record_bytes: int) -> csv_lines.Row | None:
    tally, begins = csv_lines.Tally(), 0
    tally.comment_bytes_left = _MAX_BLANK_BYTES
    try:
        for row in csv_lines.rows(file, tally, form=form, skip_lines=skip_lines, max_record_bytes=max_record_bytes):
            if is_header(row):
                return row if row.ended else None
            # Lines that are to be skipped do not count.
            begins = begins or tally.offset
            if tally.offset - begins > _MAX_BLANK_BYTES:
                break
        else:
            return None
    except csv_lines.CommentsError:
        pass
    raise LayoutError(f"has no row in {_MAX_BLANK_BYTES} bytes, where its header is looked for")


def _choose(found: list[tuple[Form, csv_lines.Row]], files: Files, wanted: Wanted) -> tuple[Form, Layout]:
    """The reading of the first row that has what the map names; of several the one with most columns."""
    fitting, problems = [], []
    for form, row in found:
        try:
            for names, layout in _layouts(row, form, files, wanted):
                lack = wanted.missing(layout, names)
                if not lack:
                    fitting.append((form, layout))
                    break
                problems.append((len(names), f"{lack}; the header has {show(names)}"))
        except LayoutError as ex:
            problems.append((len(row.cells), str(ex)))
    if files.columns and len(fitting) > 1:
        signs = " and with ".join(repr(form.delimiter) for form, _ in fitting)
        raise LayoutError(f"the first row has {len(files.columns)} cells with {signs}: say which in files.delimiter")
    if fitting:
        return max(fitting, key=lambda each: (not each[1].packed, len(each[1].columns)))
    raise LayoutError(max(problems, key=lambda each: each[0], default=(0, "the header is empty"))[1])


def _layouts(row: csv_lines.Row, form: Form, files: Files, wanted: Wanted) -> Iterator[tuple[list[str], Layout]]:
    """The row as a header, and the names in it; where it stands in one cell, what is in that cell too."""
    if row.defect is not None:
        raise LayoutError(f"the header cannot be read: {row.message}")
    if files.columns:
        width, found = len(files.columns), len(row.cells)
        while found > width and not row.cells[found - 1].strip():
            found -= 1
        if found != width and not files.delimiter:
            raise LayoutError(f"the first row has {found} cells, files.columns has {width}")
        names = list(files.columns)
        yield names, csv_layout.make(names, encoding=form.encoding, has_header=False, wide=files.wide)
        return
    if any(values.UNSTORABLE.search(cell) for cell in row.cells):
        raise LayoutError(f"the header is not {form.encoding.upper()} text: {show(row.cells)}")
    # What a wide file's columns are called decides an expression.
    spelt = list if files.wide else wanted.spelt
    packed = "" if any(row.cells[1:]) else row.cells[0]
    for inner in ("", *filter(packed.count, DELIMITERS)):
        cells = csv_layout.unpack(packed, inner) if inner else row.cells
        try:
            columns = spelt(csv_layout.names(cells))
            layout = csv_layout.make(columns, packed=inner, encoding=form.encoding, wide=files.wide)
        except LayoutError:
            if not packed:
                raise
            continue
        yield spelt(csv_layout.plain_names(cells)), layout


def show(names: list[str]) -> str:
    """Column names for a message: storable whatever they hold, and not too long."""
    shown = ascii(names)[1:-1]
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
