"""How does a CSV file become rows, each with its exact bytes? The csv module parses; this file counts.

csv.reader takes one line at a time of `_Lines.texts`, and takes exactly the lines that a row needs; so the bytes that
were taken since the last row are the row's own, quoted newlines included.
"""

import csv
import hashlib
import math
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from attrs import frozen

from kasparro.etl.readers import csv_form, csv_streams
from kasparro.etl.readers.csv_form import PLAIN, Form

# Bytes of a defective line that are kept: enough to find and repair it.
KEPT_BYTES = 64 * 1024
# Cells from which on a line of a cell can be told from a row: in a text of two lines a comma is nothing special.
_FEWEST_CELLS = 3
# Where the module gives advice to programmers.
_RETURN = "a carriage return stands in the middle of the line, in no quotes"


@frozen(kw_only=True)
class Row:
    """One row: its cells, or what is wrong with it and its first line's `text`.

    `ended` is False for a last row without a line end, and for every row that may still turn out to be another.
    """

    cells: list[str]
    ended: bool
    defect: str | None = None
    message: str = ""
    text: str = ""


class UnclosedQuoteError(Exception):
    """The file ends inside a quoted field, which a later version of it may close. `size` bytes wait for that.

    `digest` is that of these bytes.
    """

    def __init__(self, size: int, digest: str) -> None:
        super().__init__(f"{size} bytes at the end of the file follow a quote that is not closed")
        self.size = size
        self.digest = digest


class CommentsError(Exception):
    """There are more bytes of comments than the tally allows."""


class Tally:
    """How far a file is read for good: every byte before `offset`, all of them seen by `hasher` as they were read.

    Hashing the very bytes that are parsed, and not the file once more, shows later whether it was changed meanwhile.
    """

    def __init__(self, offset: int = 0, hasher: Any = None) -> None:
        self.offset = offset
        self.hasher = hasher or hashlib.blake2b(digest_size=16)
        # Nothing more is read for good; because of an open quote that was waited for in vain, its digest says.
        self.held = False
        self.unclosed = ""
        # How many of comments are passed over: while nothing but them is read, nothing else goes on.
        self.comment_bytes_left = math.inf
        # The bytes after that, which are read again.
        self.tail = hashlib.blake2b(digest_size=16)
        self.tail_bytes = 0

    def add(self, raw: bytes, *, ended: bool = True) -> None:
        """Count bytes as read for good, unless they are to be read again."""
        if self.held or not ended:
            self.tail_bytes += len(raw)
            self.tail.update(raw)
        else:
            self.offset += len(raw)
            self.hasher.update(raw)


class _TooLong(Exception):  # noqa: N818 - a signal through csv.reader, never seen outside
    pass


class _Lines:
    """Lines of a file as text, remembering the bytes of those taken since the last `take`.

    Where a row cannot be parsed only its first line is done with. Those after it that were parsed inside its quotes,
    and left them open, would do so again wherever a quote is open before them: a row that comes to them passes over
    them, so that no line is parsed anew for each line before it. Only a row that ends after all is parsed once more.
    """

    def __init__(self, file: BinaryIO, tally: Tally, form: Form, max_bytes: int) -> None:
        self._readline = csv_streams.line_reader(file, form.encoding)
        self._tally = tally
        self._encoding = form.encoding
        self._wide = form.encoding.startswith("utf-16")
        self._line_feed = "\n".encode(form.encoding)
        self._comment = form.comment
        self._max_bytes = max_bytes
        # In this order: lines to read again that leave an open quote open, their bytes, and lines to read after them.
        self._inside: deque[bytes] = deque()
        self._inside_size = 0
        self._given_back: deque[bytes] = deque()
        self.passed_over = False
        self._taken: list[bytes] = []
        self._size = 0

    def texts(self) -> Iterator[str]:
        """The lines to come, each taken when it is asked for."""
        taken, given_back, encoding, wide = self._taken, self._given_back, self._encoding, self._wide
        while line := self._again() if given_back or self._inside else self._readline(self._max_bytes + 1):
            if self._comment and not taken and self._text(line).lstrip().startswith(self._comment):
                self._pass_over(line)
                self._tally.comment_bytes_left -= len(line)
                if self._tally.comment_bytes_left < 0:
                    raise CommentsError
                continue
            taken.append(line)
            self._size += len(line)
            if self._size > self._max_bytes:
                raise _TooLong
            yield self._text(line) if wide else line.decode(encoding, "surrogateescape")

    def _again(self) -> bytes:
        if self._inside and not self._taken:
            line = self._inside.popleft()
            self._inside_size -= len(line)
            return line
        if self._inside and not self.passed_over:
            self.passed_over = True
            self._size += self._inside_size
        return self._given_back.popleft() if self._given_back else self._readline(self._max_bytes + 1)

    def give_back(self) -> None:
        """Read the row again whose lines were passed over."""
        first, rest = self._taken[:1], self._taken[1:]
        self._given_back.extendleft(reversed([*first, *self._inside, *rest]))
        self._inside.clear()
        self._inside_size = 0
        self._clear()

    def take(self) -> bool:
        """Be done with the lines read since the last call; whether the last of them ended.

        A last line that has not ended is not read for good: it may still grow.
        """
        taken, tally = self._taken, self._tally
        ended = taken[-1].endswith(self._line_feed) and not tally.held and not (self._wide and len(taken[-1]) % 2)
        for line in taken:
            tally.add(line, ended=ended)
        self._clear()
        return ended

    def take_first(self, *, defect: str, message: str) -> Row:
        """Be done with the first line alone, as a defect; the lines after it are read again."""
        first, inside, last = self._taken[0], self._taken[1:-1], self._taken[1:][-1:]
        self._inside.extend(inside)
        self._inside_size += sum(map(len, inside))
        self._given_back.extendleft(last)
        self._clear()
        ended = self._pass_over(first)
        text = self._text(first[:KEPT_BYTES])
        return Row(cells=[], ended=ended and not self._tally.held, defect=defect, message=message, text=text)

    def skip(self) -> bool:
        """Be done with the next line, whatever it holds; whether it had an end."""
        line = self._given_back.popleft() if self._given_back else self._readline(self._max_bytes)
        return bool(line) and self._pass_over(line)

    @property
    def several(self) -> bool:
        """Whether the row that was read takes more than one line."""
        return len(self._taken) > 1

    @property
    def ended(self) -> bool:
        """Whether the last line taken has its end."""
        return self._has_end(self._taken[-1])

    def waiting(self) -> UnclosedQuoteError:
        """What is to be said of the lines that nothing was done with; without a digest where others wait already."""
        if self._tally.held:
            return UnclosedQuoteError(self._size, "")
        digest = hashlib.blake2b(digest_size=16)
        for line in (*self._taken[:1], *self._inside, *self._taken[1:]):
            digest.update(line)
        return UnclosedQuoteError(self._size, digest.hexdigest())

    def _clear(self) -> None:
        self._taken.clear()
        self._size = 0
        self.passed_over = False

    def _pass_over(self, line: bytes) -> bool:
        """Read on to the line's end, in bounded memory. What has no end is not read for good."""
        tally, ended = self._tally, self._has_end(line)
        if ended:
            tally.add(line)
            return True
        ahead, again = Tally(tally.offset, tally.hasher.copy()), Tally(tally.tail_bytes, tally.tail.copy())
        while line:
            ahead.add(line)
            again.add(line)
            ended = self._has_end(line)
            line = b"" if ended else self._readline(self._max_bytes)
        if ended and not tally.held:
            tally.offset, tally.hasher = ahead.offset, ahead.hasher
        else:
            tally.tail_bytes, tally.tail = again.offset, again.hasher
        return ended

    def _has_end(self, line: bytes) -> bool:
        return line.endswith(self._line_feed) and not (self._wide and len(line) % 2)

    def _text(self, line: bytes) -> str:
        # What cannot be decoded becomes lone surrogates: nothing is lost, and the record is seen to be undecodable.
        if not self._wide:
            return line.decode(self._encoding, "surrogateescape")
        # Half a character, at the very end, says nothing yet.
        return line[: len(line) // 2 * 2].decode(self._encoding, "surrogatepass")


def rows(
    file: BinaryIO, tally: Tally, *, max_record_bytes: int, form: Form = PLAIN, skip_lines: int = 0, given_up: str = ""
) -> Iterator[Row]:
    """The rows from the file's current position on, after `skip_lines` lines; blank lines come as rows without cells.

    `tally` moves with every row that has ended. A row over `max_record_bytes`, mostly an unclosed quote, and what csv
    cannot parse come as a defect of their first line; reading goes on at the line after it. Raises UnclosedQuoteError,
    after all rows before it, when the file ends inside a quoted field; where that has the digest `given_up`, its first
    line is a defect too, but nothing from there on is read for good.
    """
    # The module's own limit of 128 KiB a field would come before ours; it only ever grows.
    csv.field_size_limit(max(csv.field_size_limit(), max_record_bytes))
    lines = _Lines(file, tally, form, max_record_bytes)
    for _ in range(skip_lines):
        if not lines.skip():
            return
    while True:
        try:
            for cells in csv_form.rows(lines.texts(), form):
                if lines.passed_over:
                    lines.give_back()
                    break
                if lines.several and _swallows_rows(cells, form.delimiter):
                    tally.held = tally.held or not lines.ended
                    yield lines.take_first(defect="bad_csv", message="a quote in it is only closed in a later row")
                    break
                yield Row(cells=cells, ended=lines.take())
            else:
                return
        except _TooLong:
            yield lines.take_first(defect="record_too_long", message=f"has more than {max_record_bytes} bytes")
        except csv.Error as ex:
            if "unexpected end of data" not in str(ex):
                # What is wrong with a line that has not ended may be something else when it has.
                tally.held = tally.held or not lines.ended
                yield lines.take_first(defect="bad_csv", message=_RETURN if "new-line" in str(ex) else str(ex))
                continue
            unclosed = lines.waiting()
            if not tally.held and unclosed.digest != given_up:
                raise unclosed from ex
            if not tally.held:
                tally.held, tally.unclosed = True, unclosed.digest
            yield lines.take_first(defect="unclosed_quote", message=str(unclosed))


def _swallows_rows(cells: list[str], delimiter: str) -> bool:
    """Whether two stray quotes made one row of several: a cell holds lines that are rows, or parts of two, themselves.

    Otherwise the row would have the time of one line and the price of another.
    """
    last = len(cells) - 1
    if last < _FEWEST_CELLS - 1:
        return False
    for number, cell in enumerate(cells):
        if "\n" in cell:
            found = [line.count(delimiter) for line in cell.split("\n")]
            if last in found[1:-1] or (found[0] == last - number and found[-1] == number):
                return True
    return False
