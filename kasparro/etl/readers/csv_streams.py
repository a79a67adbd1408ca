"""How does a file become a stream of bytes that lines can be read of? Decompressed, and with line feeds.

Every change keeps the number of bytes, so that offsets and fingerprints are those of the decompressed file.
"""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from kasparro.errors import SliceError

_GZIP = b"\x1f\x8b"
# Bytes of a file's beginning that are searched for its line ends: longer than any header.
_PEEKED_BYTES = 64 * 1024
# A first line that ends with a carriage return alone. A quote opens a cell only where one begins.
_CR_FIRST = re.compile(r'(?:(?<![^,;\t|])"[^"]*+(?:""[^"]*+)*+"|[^\r\n])*+\r[^\n]')


@contextmanager
def opened(path: Path, name: str) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed where they are gzip's, whatever it is called.

    Raises SliceError, which calls it `name`, when it cannot be read or decompressed, now or while it is open.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_GZIP)) != _GZIP:
                file.seek(0)
                yield file
                return
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
    except (gzip.BadGzipFile, zlib.error, EOFError) as ex:
        raise SliceError(f"{name}: cannot be decompressed: {ex}", code="bad_gzip") from ex
    except OSError as ex:
        raise SliceError(f"{name}: cannot be read: {ex.strerror}", code="file_unreadable") from ex


def ends_lines_with_cr(file: BinaryIO, mark: bytes, encoding: str) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs; the file is at its beginning before and after.

    The first line alone decides, and only when something follows it: its end may still be being written. What stands
    in a quoted cell is no line end.
    """
    block = file.read(_PEEKED_BYTES)[len(mark) :]
    file.seek(0)
    # Half a character says nothing yet.
    text = block[: len(block) // 2 * 2 if _is_wide(encoding) else None].decode(encoding, "replace")
    return _CR_FIRST.match(text) is not None


def with_line_feeds(file: BinaryIO, encoding: str) -> BinaryIO:
    """The same with line feeds for carriage returns, from its beginning."""
    file.seek(0)
    return cast(BinaryIO, io.BufferedReader(_Translated(file, encoding)))


class _Translated(io.RawIOBase):
    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._encoding = encoding

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        block = self._read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def _read(self, size: int) -> bytes:
        if not _is_wide(self._encoding):
            return self._file.read(size).replace(b"\r", b"\n")
        # A byte of 0x0D is half of another character there: whole characters are read, but at the file's very end.
        if size < 2 or self._file.tell() % 2:
            return self._file.read(1)
        block = self._file.read(size // 2 * 2)
        whole = len(block) // 2 * 2
        text = block[:whole].decode(self._encoding, "surrogatepass").replace("\r", "\n")
        return text.encode(self._encoding, "surrogatepass") + block[whole:]


def line_reader(file: BinaryIO, encoding: str) -> Callable[[int], bytes]:
    """The function that reads one line with its end, or at most so many bytes of it."""
    if not _is_wide(encoding):
        return file.readline
    line_feed = "\n".encode(encoding)

    def readline(size: int) -> bytes:
        line = bytearray()
        # An even number: no character is cut in two.
        size += size % 2
        while len(line) < size and (more := file.readline(size - len(line))):
            line += more
            if len(line) % 2:
                line += file.read(1)
            if line.endswith(line_feed) and len(line) % 2 == 0:
                break
        return bytes(line)

    return readline


def _is_wide(encoding: str) -> bool:
    return encoding.startswith("utf-16")
