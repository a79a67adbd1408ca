"""Which table is in a file's text? Its delimiter, what stands before the header, the header, and rows that fit it.

Rows are parsed and fitted by the reader's own functions; what is judged here is only which of their settings to take.
"""

import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from attrs import Factory, define, evolve, frozen

from kasparro.errors import SliceError
from kasparro.etl import values
from kasparro.etl.guess import contents, header
from kasparro.etl.guess.contents import Encoding, Sample
from kasparro.etl.readers import csv_header, csv_layout, csv_lines
from kasparro.etl.readers.csv_form import Form
from kasparro.etl.readers.csv_layout import Layout
from kasparro.etl.readers.csv_lines import Row

# Rows of which delimiter and header are judged; the header is among the first of them.
_JUDGED_ROWS = 200
_PREAMBLE_ROWS = 40
_PREAMBLE_CHARACTERS = 20_000
# Rows kept of a file in all: what is found out about columns costs time for every one.
_KEPT_ROWS = 5000
# The share of rows that may have other cells than a header, and how many have to fit it where others are below another.
_UNFIT, _FEWEST_ROWS = 0.4, 3
# Characters of what a message shows.
_SHOWN = 200
_MAX_RECORD_BYTES = 256 * 1024
_COMMENTS = ("#", "//")
_HINT = re.compile(r'"?sep=([^"\r\n])"?\s*')


@frozen(kw_only=True)
class Table:
    """How a file's table is written, its columns, and rows that fit them: a cell a column.

    `columns` are made up where there is no header. `fitting` of `judged` rows at the beginning have as many cells.
    `preamble` are the rows above them, `notes` the lines there, comments too; `strays` are rows below of a single word,
    `headers` those with other names, below which rows are not read, each after its line. `unfit` says of one above that
    no row has as many cells.
    """

    sample: Sample
    encoding: Encoding
    line_end: str
    delimiter: str
    comment: str
    escape: str
    skip_lines: int
    has_header: bool
    packed: bool
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    preamble: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    unfit: str = ""
    fitting: int
    judged: int


@define(kw_only=True)
class _Seen:
    """What stands between a table's rows; each once, in order."""

    strays: dict[str, None] = Factory(dict)
    headers: dict[str, None] = Factory(dict)


@frozen(kw_only=True)
class _Try:
    """The table that one delimiter makes."""

    form: Form
    layout: Layout
    score: float
    preamble: tuple[str, ...]
    notes: tuple[str, ...]
    unfit: str
    skip_lines: int
    multiline: bool
    fitting: int
    judged: int


def find(sample: Sample, encoding_said: str = "") -> Table:
    """The table of a file. Raises SliceError when there is none of at least two columns."""
    encoding = contents.encoding(sample, encoding_said)
    line_end = contents.line_end(sample, encoding)
    body = sample.head[len(encoding.mark) :]
    if line_end == "CR":
        body = body.replace(b"\r", b"\n")
    forms, hinted = _forms(body, encoding)
    tries = [found for form in forms if (found := _try(body, form, hinted)) is not None]
    if not tries:
        raise SliceError(f"{sample.path.name}: no comma, semicolon, tab or bar makes columns of its rows")
    best = max(tries, key=lambda each: each.score)
    if any(values.UNSTORABLE.search(name) for name in best.layout.columns):
        raise SliceError(f"{sample.path.name}: the header is no text: {shown(tuple(best.layout.columns))}")
    seen = _Seen()
    rows = list(islice(_cells(body, best, hinted + best.skip_lines, seen=seen), _KEPT_ROWS))
    if not sample.complete:
        # The last one may be cut off.
        rows = rows[:-1]
    if not encoding.name.startswith("utf-16") and line_end != "CR" and not best.multiline:
        for piece in sample.pieces:
            rows += _cells(piece.partition(b"\n")[2].rpartition(b"\n")[0], best, 0, seen=seen)
    return Table(
        sample=sample,
        encoding=encoding,
        line_end=line_end,
        delimiter=best.form.delimiter,
        comment=best.form.comment,
        escape=best.form.escape,
        skip_lines=best.skip_lines,
        has_header=best.layout.has_header,
        packed=bool(best.layout.packed),
        columns=tuple(best.layout.columns),
        rows=tuple(rows),
        preamble=best.preamble,
        notes=best.notes,
        strays=tuple(seen.strays)[:_JUDGED_ROWS],
        headers=tuple(seen.headers),
        unfit=best.unfit,
        fitting=best.fitting,
        judged=best.judged,
    )


def _forms(body: bytes, encoding: Encoding) -> tuple[list[Form], int]:
    """The forms that the text may have, and how many lines at its top only tell of them."""
    text = body.decode(encoding.name, "replace")
    hint = _HINT.fullmatch(text.partition("\n")[0])
    comment = next((sign for line in text[:_PREAMBLE_CHARACTERS].splitlines()[:_PREAMBLE_ROWS]
                    for sign in _COMMENTS if _is_comment(line.lstrip(), sign)), "")  # fmt: skip
    delimiters = [hint[1]] if hint else csv_header.DELIMITERS
    escapes = ["", "\\"] if '\\"' in text else [""]
    forms = [Form(encoding=encoding.name, delimiter=sign, comment=comment, escape=escape)
             for escape in escapes for sign in delimiters]  # fmt: skip
    return forms, 1 if hint else 0


def _is_comment(line: str, sign: str) -> bool:
    """A header may begin with a column that is called #."""
    return line.startswith(sign) and line.removeprefix(sign)[:1] not in (*csv_header.DELIMITERS, '"')


def _try(body: bytes, form: Form, hinted: int) -> _Try | None:
    """The table with this delimiter: the first row that most rows after it fit."""
    rows, offsets = _rows(body, form, hinted)
    for number, row in enumerate(rows[:_PREAMBLE_ROWS]):
        rest = rows[number + 1 : number + 1 + _JUDGED_ROWS]
        cells, packed = _unpacked(row, form.delimiter)
        if sum(bool(cell.strip()) for cell in cells) < 2 or len(set(cells)) < 2:
            continue
        layout = csv_layout.make(csv_layout.names(cells), packed=packed, encoding=form.encoding)
        fitted, unfit = _fit(rest, layout)
        if unfit > _UNFIT * len(rest) and layout.least < len(layout.columns):
            # That cells stand below no name is for a person to see, and no sign that this is not the header.
            layout = evolve(layout, least=len(layout.columns))
            fitted, unfit = _fit(rest, layout)
        if unfit > _UNFIT * len(rest):
            continue
        judged, has_header = len(fitted) + unfit, header.stands_above(cells, fitted)
        names = [] if has_header else _named(body, cells, form)
        if has_header and (more := header.more(fitted)):
            has_header, names = False, header.stacked([cells, *fitted[:more]])
            number, fitted, judged = number + 1 + more, fitted[more:], judged - more
        preamble = tuple(" ".join(filter(None, each.cells)) for each in rows[:number])
        if not has_header:
            layout = csv_layout.make(names, packed=packed, encoding=form.encoding, has_header=False)
        skipped = body[: offsets[number - 1]].decode(form.encoding, "replace").count("\n") - hinted if number else 0
        checked = [*fitted, cells][:_JUDGED_ROWS]
        others = set(csv_header.DELIMITERS) - {form.delimiter}
        clean = [_is_clean(cell, others) for found in checked for cell in found]
        share = 1 - unfit / (len(rest) + 1)
        return _Try(
            form=form,
            layout=layout,
            score=share * sum(clean) / len(clean) + has_header / 10 + min(len(cells), 20) / 1000,
            preamble=preamble,
            notes=tuple(body[: offsets[number]].decode(form.encoding, "replace").splitlines()[:-1][:_PREAMBLE_ROWS]),
            unfit=""
            if has_header or names[0] != "column_1"
            else header.unfit([each.cells for each in rows[:number]], cells),
            skip_lines=skipped,
            multiline=any("\n" in cell for found in fitted for cell in found),
            fitting=len(fitted) + (not has_header),
            judged=judged + (not has_header),
        )
    return None


def _fit(rows: Sequence[Row], layout: Layout) -> tuple[list[list[str]], int]:
    """The cells of rows that fit a layout, and how many do not; those below another header say nothing of this one."""
    fitted, unfit, below, first = list[list[str]](), 0, 0, layout.columns
    for row in rows:
        layout = layout.after(row)
        for record in layout.records(row):
            if record.defect is None:
                fitted.append([str(record.fields[name]) for name in first])
            elif layout.below:
                below += 1
            else:
                unfit += 1
    return fitted, unfit + (below if len(fitted) < _FEWEST_ROWS else 0)


def _is_clean(cell: str, others: set[str]) -> bool:
    """Whether no other delimiter stands in a cell; but a comma may, in a number or a date."""
    return not any(sign in cell for sign in others - {","}) and (
        "," not in cell or "," not in others or header.is_data(cell)
    )


def _rows(body: bytes, form: Form, skip_lines: int) -> tuple[list[Row], list[int]]:
    """The first rows that are no blank or separating lines, and where each of them ends."""
    tally = csv_lines.Tally()
    rows, offsets = [], []
    try:
        for row in csv_lines.rows(
            io.BytesIO(body), tally, form=form, skip_lines=skip_lines, max_record_bytes=_MAX_RECORD_BYTES
        ):
            if csv_header.is_header(row):
                rows.append(row)
                offsets.append(tally.offset)
            if len(rows) > _JUDGED_ROWS + _PREAMBLE_ROWS:
                break
    except csv_lines.UnclosedQuoteError:
        pass
    return rows, offsets


def _unpacked(row: Row, delimiter: str) -> tuple[list[str], str]:
    """The cells of a row, and the delimiter where they stood in one cell."""
    if row.cells and not any(row.cells[1:]) and delimiter in row.cells[0]:
        try:
            return csv_layout.unpack(row.cells[0], delimiter), delimiter
        except csv_layout.LayoutError:
            pass
    return row.cells, ""


def _named(body: bytes, cells: Sequence[str], form: Form) -> list[str]:
    """Names for columns without a header: those that a comment above gives, else numbers."""
    lines = body[:_PREAMBLE_CHARACTERS].decode(form.encoding, "replace").splitlines()[:_PREAMBLE_ROWS]
    comments = [line.strip() for line in lines if form.comment and line.lstrip().startswith(form.comment)]
    for line in reversed(comments):
        try:
            names = csv_layout.names(csv_layout.unpack(line.lstrip(form.comment + " "), form.delimiter))
        except csv_layout.LayoutError:
            continue
        if len(names) == len(cells):
            return names
    return [f"column_{number + 1}" for number in range(len(cells))]


def _cells(body: bytes, found: _Try, skip_lines: int, *, seen: _Seen) -> Iterator[tuple[str, ...]]:
    """The cells of every row that fits the columns, by the header above it; what else there is, as above another table,
    is `seen`."""
    tally, layout = csv_lines.Tally(), found.layout
    rows = csv_lines.rows(
        io.BytesIO(body), tally, form=found.form, skip_lines=skip_lines, max_record_bytes=_MAX_RECORD_BYTES
    )
    try:
        for row in rows:
            filled = [cell for cell in row.cells if cell.strip()]
            if len(filled) == 1 or len(filled) == 2 < len(row.cells) < len(layout.columns):
                seen.strays[" ".join(filled)] = None
            before, layout = layout.below, layout.after(row)
            if layout.below not in ("", before):
                line = body[: tally.offset].decode(found.form.encoding, "replace").count("\n")
                seen.headers[f"{layout.below} in line {line}"] = None
            for record in layout.records(row):
                if record.fields:
                    yield tuple(str(record.fields[name]) for name in found.layout.columns)
    except csv_lines.UnclosedQuoteError:
        return


def unquoted(tables: Sequence[Table]) -> bool:
    """Whether commas part cells that stand without quotes: none of them can have a comma of its own."""
    return all(each.delimiter == "," and not re.search(rb'"[0-9]{1,3}\.[0-9]{3}"', each.sample.head) for each in tables)


def shown(found: object) -> str:
    """A part of a file for people: on one line, and not too long."""
    text = ascii(list(found) if isinstance(found, tuple) else found)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
