"""Is a row a header? It holds names where rows below it hold numbers, dates and times; several may be one together."""

import re
from collections.abc import Sequence

from kasparro.etl import values
from kasparro.etl.guess import vocabulary
from kasparro.etl.readers import csv_layout
from kasparro.etl.source import NULL_WORDS

# Known names in a row that make it a header.
_FEWEST_NAMES = 2
# Rows below a header that are parts of it.
_MAX_MORE_HEADERS = 3
# A cell that is data and no name: a number as people write it, or what begins like a date or a time.
_DATA = re.compile(
    r"[-+(\u2212]*\s*(?:[A-Za-z]{0,3}[$\u20ac\u00a3\u00a5]|[A-Z]{3}\s)?\s*[-+]?"
    r"(?:[0-9][0-9.,'\u2019\s]*|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?\s*"
    r"(?:%|[KMBTkmbt]|bn|mn|Mrd\.?|Mio\.?)?\s*[$\u20ac\u00a3%)]*"
    r"|[0-9]{1,4}[-/.][0-9A-Za-z]{1,9}[-/.][0-9]{1,4}\b.*|[0-9]{1,2}:[0-9]{2}.*"
    r"|[A-Za-z]{3,9}\.? [0-9]{1,2},? [0-9]{4}\b.*|[0-9]{1,2}[. ]+[^\W\d]{3,9}\.? [0-9]{4}\b.*"
)


def is_data(cell: str) -> bool:
    """Whether a cell holds a number, date or time rather than a name."""
    return _DATA.fullmatch(cell.strip()) is not None


def stands_above(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds names where those below hold data."""
    return _data_share([cells]) <= _data_share(rows) / 3


def more(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows below a header hold no data either, where all others do: units, or tickers."""
    count = next((at for at, row in enumerate(rows) if _data_share([row])), 0)
    words = {cell.strip().casefold() for row in rows[:count] for cell in row} - {"", *NULL_WORDS}
    return count if 0 < count <= _MAX_MORE_HEADERS and words and all(map(any, map(_data, rows[count:]))) else 0


def _data(row: Sequence[str]) -> list[bool]:
    return [is_data(cell) for cell in row]


def stacked(heads: Sequence[Sequence[str]]) -> list[str]:
    """One name a column of several headers: the last of the first column, and what tells the others apart."""
    telling = [row for at, row in enumerate(heads) if at == 0 or len(set(row[1:])) > 1]
    first = next(row[0] for row in reversed(heads) if row[0].strip() or row is heads[0])
    return csv_layout.names([first, *(" ".join(filter(None, cells)) for cells in list(zip(*telling, strict=True))[1:])])


def _data_share(rows: Sequence[Sequence[str]]) -> float:
    cells = [cell for row in rows for cell in row if cell.strip()]
    return sum(map(is_data, cells)) / len(cells) if cells else 0.0


def unfit(above: Sequence[Sequence[str]], cells: Sequence[str]) -> str:
    """What is wrong with the last row of known names above rows without any, '' where there is none."""
    for row in reversed(above):
        if sum(bool(vocabulary.meaning(cell).scores) for cell in row) >= _FEWEST_NAMES:
            return f"{len(row)} names stand above rows of {len(cells)} cells ({values.show(','.join(row))})"
    return ""
