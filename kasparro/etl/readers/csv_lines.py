"""How does a CSV file become rows, each with its exact bytes? The csv module parses; this file counts.

csv.reader takes one line at a time from `_Lines`, and takes exactly the lines that a row needs; so the bytes that
were taken since the last row are the row's own, quoted newlines included.
"""

import csv
import hashlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from attrs import frozen

# Bytes of a defective line that are kept: enough to find and repair it.
KEPT_BYTES = 64 * 1024


@frozen(kw_only=True)
class Row:
    """One row: its cells, or what is wrong with it and its first line's `text`.

    `ended` is False for a last row without a line end.
    """

    cells: list[str]
    ended: bool
    defect: str | None = None
    message: str = ""
    text: str = ""


class UnclosedQuoteError(Exception):
    """The file ends inside a quoted field, which a later version of it may close. `size` bytes wait for that."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes at the end of the file follow a quote that is not closed")
        self.size = size


class Tally:
    """How far a file is read for good: every byte before `offset`, all of them seen by `hasher` as they were read.

    Hashing the very bytes that are parsed, and not the file once more, shows later whether it was changed meanwhile.
    """

    def __init__(self, offset: int = 0, hasher: Any = None) -> None:
        self.offset = offset
        self.hasher = hasher or hashlib.blake2b(digest_size=16)

    def add(self, raw: bytes) -> None:
        """Count bytes as read for good."""
        self.offset += len(raw)
        self.hasher.update(raw)


class _TooLong(Exception):  # noqa: N818 - a signal through csv.reader, never seen outside
    pass


class _Lines:
    """Lines of a file as text, remembering the bytes of those taken since the last `take`."""

    def __init__(self, file: BinaryIO, tally: Tally, max_bytes: int) -> None:
        self._file = file
        self._tally = tally
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

    def take(self) -> bool:
        """Be done with the lines read since the last call; whether the last of them ended.

        A last line that has not ended is not read for good: it may still grow.
        """
        ended = self._taken[-1].endswith(b"\n")
        if ended:
            for line in self._taken:
                self._tally.add(line)
        self._clear()
        return ended

    def take_first(self, *, defect: str, message: str) -> Row:
        """Be done with the first line alone, as a defect; the file goes back to the line after it."""
        first, rest = self._taken[0], self._taken[1:]
        self._clear()
        self._file.seek(-sum(len(line) for line in rest), 1)
        ended = first.endswith(b"\n")
        text = first[:KEPT_BYTES].decode("utf-8", "surrogateescape")
        ahead = Tally(self._tally.offset, self._tally.hasher.copy())
        ahead.add(first)
        while not ended and (more := self._file.readline(self._max_bytes)):
            ahead.add(more)
            ended = more.endswith(b"\n")
        if ended:
            self._tally.offset, self._tally.hasher = ahead.offset, ahead.hasher
        return Row(cells=[], ended=ended, defect=defect, message=message, text=text)

    def waiting(self) -> int:
        """Length in bytes of the lines that nothing was done with."""
        return self._size

    def _clear(self) -> None:
        self._taken.clear()
        self._size = 0


def rows(file: BinaryIO, tally: Tally, *, max_record_bytes: int) -> Iterator[Row]:
    """The rows from the file's current position on; blank lines come as rows without cells.

    `tally` moves with every row that has ended. A row over `max_record_bytes`, mostly an unclosed quote, and what csv
    cannot parse come as a defect of their first line; reading goes on at the line after it. Raises UnclosedQuoteError,
    after all rows before it, when the file ends inside a quoted field.
    """
    # The module's own limit of 128 KiB a field would come before ours; it only ever grows.
    csv.field_size_limit(max(csv.field_size_limit(), max_record_bytes))
    while True:
        lines = _Lines(file, tally, max_record_bytes)
        reader = csv.reader(lines, strict=True)
        try:
            for cells in reader:
                yield Row(cells=cells, ended=lines.take())
            return
        except _TooLong:
            yield lines.take_first(defect="record_too_long", message=f"has more than {max_record_bytes} bytes")
        except csv.Error as ex:
            if "unexpected end of data" in str(ex):
                raise UnclosedQuoteError(lines.waiting()) from ex
            yield lines.take_first(defect="bad_csv", message=str(ex))
