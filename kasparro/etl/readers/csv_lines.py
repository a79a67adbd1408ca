"""How does a CSV file become rows, each with its exact bytes? The csv module parses; this file counts.

csv.reader takes one line at a time from `_Lines`, and takes exactly the lines that a row needs; so the bytes that
were taken since the last row are the row's own, quoted newlines included.
"""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

# Bytes of a defective line that are kept: enough to find and repair it.
KEPT_BYTES = 64 * 1024


@frozen(kw_only=True)
class Row:
    """One row: its cells, or what is wrong with it and its first line's `text`.

    `size` is its length in bytes, line ends included; `ended` is False for a last row without a line end.
    """

    cells: list[str]
    size: int
    ended: bool
    defect: str | None = None
    message: str = ""
    text: str = ""


class UnclosedQuoteError(Exception):
    """The file ends inside a quoted field, which a later version of it may close. `size` bytes wait for that."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes at the end of the file follow a quote that is not closed")
        self.size = size


class _TooLong(Exception):  # noqa: N818 - a signal through csv.reader, never seen outside
    pass


class _Lines:
    """Lines of a file as text, remembering the bytes of those taken since the last `take`."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._taken: list[bytes] = []
        self._size = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._max_bytes + 1)
        if not line:
            raise StopIteration
        self._taken.append(line)
        self._size += len(line)
        if self._size > self._max_bytes:
            raise _TooLong
        # Bytes that are no UTF-8 become lone surrogates: nothing is lost, and the record is seen to be undecodable.
        return line.decode("utf-8", "surrogateescape")

    def take(self) -> tuple[int, bool]:
        """Length in bytes of the lines read since the last call, and whether the last of them ended."""
        size, ended = self._size, self._taken[-1].endswith(b"\n")
        self._taken.clear()
        self._size = 0
        return size, ended

    def take_first(self, *, defect: str, message: str) -> Row:
        """The first line alone as a defect; the file goes back to the line after it."""
        first, rest = self._taken[0], self._taken[1:]
        self._file.seek(-sum(len(line) for line in rest), 1)
        size, ended = len(first), first.endswith(b"\n")
        while not ended:
            more = self._file.readline(self._max_bytes)
            if not more:
                break
            size, ended = size + len(more), more.endswith(b"\n")
        text = first[:KEPT_BYTES].decode("utf-8", "surrogateescape")
        return Row(cells=[], size=size, ended=ended, defect=defect, message=message, text=text)


def rows(file: BinaryIO, *, max_record_bytes: int) -> Iterator[Row]:
    """The rows from the file's current position on; blank lines come as rows without cells.

    A row over `max_record_bytes`, mostly an unclosed quote, and what csv cannot parse come as a defect of their first
    line; reading goes on at the line after it. Raises UnclosedQuoteError, after all rows before it, when the file
    ends inside a quoted field.
    """
    while True:
        lines = _Lines(file, max_record_bytes)
        reader = csv.reader(lines, strict=True)
        try:
            for cells in reader:
                size, ended = lines.take()
                yield Row(cells=cells, size=size, ended=ended)
            return
        except _TooLong:
            yield lines.take_first(defect="record_too_long", message=f"has more than {max_record_bytes} bytes")
        except csv.Error as ex:
            if "unexpected end of data" in str(ex):
                raise UnclosedQuoteError(lines.take()[0]) from ex
            yield lines.take_first(defect="bad_csv", message=str(ex))
