"""Which cell is which column? What a header says, and how rows become records by it.

Nothing is made up: a row with more or fewer cells than the header is a record without a quote, and so is one that
could not be parsed.
"""

import csv
import json
import re
from collections.abc import Mapping
from contextlib import suppress

from attrs import evolve, field, frozen

from kasparro.etl.readers.csv_lines import Row
from kasparro.etl.source import Wide
from kasparro.etl.values import show
from kasparro.model import Record, Rejection

# Columns of a file.
MAX_COLUMNS = 10_000
# Columns of a wide file that give records of their own: as many as commit together at most.
MAX_WIDE_COLUMNS = 5000
# Bytes that the records of one row may take, where every record repeats the row's other columns.
MAX_ROW_BYTES = 8 * 1024 * 1024

_SURROGATE = re.compile("[\ud800-\udfff]")
# What lines between tables are drawn with; a row of nothing else holds no data.
_RULE = "-=_+*~ \t"


class LayoutError(Exception):
    """A header that rows cannot be read by; the message says why."""


@frozen(kw_only=True)
class Layout:
    """The columns of a file, each name once. `packed` is the delimiter inside rows that stand in one cell, or ''.

    `spread` are the columns of a wide file that give records of their own: number and what each adds to its record.
    Rows of at least `least` cells lack only columns without a name, under which nothing may stand. A row that has one
    of the `words` may be a header. What stands `below` another one, as it is shown, cannot be read.
    """

    columns: list[str]
    packed: str = ""
    encoding: str = "utf-8"
    has_header: bool = True
    least: int
    words: frozenset[str]
    below: str = ""
    value: str = ""
    spread: Mapping[int, Mapping[str, str]] = field(factory=dict)

    def records(self, row: Row) -> list[Record]:
        """The records of a row: one, none for a row without data, or one a column of a wide file."""
        cells = row.cells
        if row.defect is not None:
            return [rejected({"line": row.text}, row.defect, row.message)]
        if not cells or (cells[0][:1] in _RULE and is_rule(cells)):
            return []
        if self.below:
            message = f"stands below a header that is not the file's: {self.below}"
            return [rejected({"cells": cells}, "bad_header", message)]
        width = len(self.columns)
        if len(cells) != width or self.least < width or (self.packed and not any(cells[1:])):
            try:
                cells = self._fit(cells)
            except LayoutError as ex:
                return [rejected({"cells": row.cells}, "ragged_row", str(ex))]
        if not self.words.isdisjoint(map(str.rstrip, cells)) and self._as_header(cells) == self.columns:
            return []
        if self.spread:
            return self._spread(cells)
        return [self._record(dict(zip(self.columns, cells, strict=True)))]

    def after(self, row: Row) -> "Layout":
        """The layout of rows from this one on: another where it is a header of other columns, or in another order."""
        cells = row.cells
        if self.packed and cells and not any(cells[1:]):
            cells = cells[0].split(self.packed)
        if self.words.isdisjoint(map(str.rstrip, cells)) or len(cells) > MAX_COLUMNS:
            return self
        with suppress(LayoutError):
            cells = self._fit(cells)
        found = self._as_header(cells)
        if sorted(found) == sorted(self.columns):
            return self if found == self.columns and not self.below else self._ordered(found)
        return evolve(self, below=show(",".join(row.cells))) if self._is_header(cells) else self

    def _as_header(self, cells: list[str]) -> list[str]:
        """The row's cells as names of columns, spelt as this file's are."""
        plain = plain_names(cells)
        own = {name.lower(): name for name in self.columns}
        return names(plain if set(plain) <= {*self.columns, ""} else [own.get(name.lower(), name) for name in plain])

    def _is_header(self, cells: list[str]) -> bool:
        """Whether a row holds names: half of it those of columns, or one of them and nothing else that has digits."""
        words = {cell for cell in plain_names(cells) if cell}
        known = words & self.words
        bare = not any(map(str.isdigit, "".join(words - known)))
        return len(words) > 1 and (bare or 2 * len(known) >= max(len(words), 4))

    def _ordered(self, columns: list[str]) -> "Layout":
        spread = {columns.index(self.columns[number]): added for number, added in self.spread.items()}
        return evolve(self, columns=columns, spread=dict(sorted(spread.items())), least=_least(columns), below="")

    def _fit(self, cells: list[str]) -> list[str]:
        """As many cells as there are columns: without blank ones at the end, or unpacked from one cell."""
        if self.packed and not any(cells[1:]):
            cells = unpack(cells[0], self.packed)
        wanted = len(self.columns)
        if len(cells) > wanted and not any(cell.strip() for cell in cells[wanted:]):
            return cells[:wanted]
        if self.least <= len(cells) < wanted:
            return [*cells, *[""] * (wanted - len(cells))]
        if len(cells) != wanted:
            raise LayoutError(f"has {len(cells)} cells, the header has {wanted}")
        if self.has_header and any(cell.strip() for cell in cells[self.least :]):
            raise LayoutError(f"has a cell behind the {self.least} that the header has names for")
        return cells

    def _spread(self, cells: list[str]) -> list[Record]:
        base = {name: cell for number, (name, cell) in enumerate(zip(self.columns, cells, strict=True))
                if number not in self.spread}  # fmt: skip
        if sum(map(len, base.values())) * len(self.spread) > MAX_ROW_BYTES:
            message = f"its {len(self.spread)} records would take more than {MAX_ROW_BYTES} bytes"
            return [rejected({"cells": cells[:1]}, "record_too_long", message)]
        return [self._record({**base, **added, self.value: cells[number]}) for number, added in self.spread.items()]

    def _record(self, fields: dict[str, str]) -> Record:
        # ASCII only: what could not be decoded stands as escapes, so that nothing is lost and all of it can be stored.
        payload = json.dumps(fields)
        if "\\ud" not in payload or not any(_SURROGATE.search(cell) for cell in fields.values()):
            return Record(fields=fields, payload=payload)
        return _defective(payload, "undecodable", f"the record is not {self.encoding} text")


def make(
    columns: list[str], *, packed: str = "", encoding: str = "utf-8", has_header: bool = True, wide: Wide | None = None
) -> Layout:
    """The layout of a file with these columns. Raises LayoutError when a wide one has none, or too many, to spread."""
    own = [name for number, name in enumerate(columns) if has_header and not _is_made_up(name, number)]
    # Numbers are no names to know a header by: some file's columns are called 1 and 2.
    own = [name for name in own if any(map(str.isalpha, name))]
    spellings = {*own, *map(str.lower, own), *map(str.upper, own), *map(str.capitalize, own)}
    layout = Layout(
        columns=columns, packed=packed, encoding=encoding, has_header=has_header,
        least=_least(columns), words=frozenset(spellings),
    )  # fmt: skip
    if wide is None:
        return layout
    shape = re.compile(wide.columns)
    found = {number: match for number, name in enumerate(columns) if (match := shape.fullmatch(name))}
    if not 1 <= len(found) <= MAX_WIDE_COLUMNS:
        raise LayoutError(f"{len(found)} columns match files.wide.columns, from 1 to {MAX_WIDE_COLUMNS} may")
    spread = {number: {key: word for key, word in match.groupdict().items() if word is not None}
              for number, match in found.items()}  # fmt: skip
    rest = {name for number, name in enumerate(columns) if number not in found}
    if hidden := rest & {wide.value, *shape.groupindex}:
        raise LayoutError(f"files.wide would hide the column {min(hidden)!r}")
    return evolve(layout, value=wide.value, spread=spread)


def names(cells: list[str]) -> list[str]:
    """A header's cells as column names, each once: with its number where one is blank or another column's too.

    Raises LayoutError for too many: they would be kept with every checkpoint.
    """
    if len(cells) > MAX_COLUMNS:
        raise LayoutError(f"has {len(cells)} columns, at most {MAX_COLUMNS} can be read")
    stripped = plain_names(cells)
    others, used = set(stripped), dict[str, None]()
    for number, name in enumerate(stripped):
        unique = name
        if not name or name in used:
            unique = f"{name}_{number + 1}"
            while unique in others or unique in used:
                unique += "_"
        used[unique] = None
    return list(used)


def plain_names(cells: list[str]) -> list[str]:
    """The same as they stand there, but for space and a byte order mark around them."""
    return [cell.strip().removeprefix("\ufeff") for cell in cells]


def available(layout: Layout) -> list[str]:
    """Every name that its records have."""
    base = [name for number, name in enumerate(layout.columns) if number not in layout.spread]
    added = {key for words in layout.spread.values() for key in words}
    return [*base, *sorted(added), layout.value] if layout.spread else base


def unpack(cell: str, delimiter: str) -> list[str]:
    """The cells of a row that stands in one cell. Raises LayoutError when it cannot be parsed."""
    try:
        return next(csv.reader([cell], delimiter=delimiter, strict=True, skipinitialspace=True), [])
    except csv.Error as ex:
        raise LayoutError(str(ex)) from ex


def rejected(kept: Mapping[str, object], code: str, message: str) -> Record:
    """A record that could not be read, with what is kept of it."""
    return _defective(json.dumps(kept), code, message)


def _defective(payload: str, code: str, message: str) -> Record:
    return Record(fields={}, payload=payload, defect=Rejection(stage="read", code=code, field=None, message=message))


def is_rule(cells: list[str]) -> bool:
    """Whether a row is blank, or one of those lines that only look like a table's border."""
    return all(not cell.strip(_RULE) for cell in cells)


def _least(columns: list[str]) -> int:
    """Columns up to the last that has a name."""
    return max((number + 1 for number, name in enumerate(columns) if not _is_made_up(name, number)), default=0)


def _is_made_up(name: str, number: int) -> bool:
    return name.rstrip("_") == f"_{number + 1}"
