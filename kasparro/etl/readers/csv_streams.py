"""How does a file become a stream of bytes that lines can be read of? Decompressed, and with line feeds.

Every change keeps the number of bytes, so that offsets and fingerprints are those of the decompressed file.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from kasparro.errors import SliceError

_GZIP = b"\x1f\x8b"
# Bytes of a file's beginning that are searched for its line ends: longer than any header.
_PEEKED_BYTES = 64 * 1024


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


def ends_lines_with_cr(file: BinaryIO) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs; the file is at its beginning before and after.

    The first line alone decides, and only when something follows it: its end may still be being written.
    """
    block = file.read(_PEEKED_BYTES)
    file.seek(0)
    first = block.find(b"\r")
    return 0 <= first < len(block) - 1 and b"\n" not in block[: first + 2]


def with_line_feeds(file: BinaryIO) -> BinaryIO:
    """The same with line feeds for carriage returns, from its beginning."""
    file.seek(0)
    return cast(BinaryIO, io.BufferedReader(_Translated(file)))


class _Translated(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(block)] = block
        return len(block)


def line_reader(file: BinaryIO, encoding: str) -> Callable[[int], bytes]:
    """The function that reads one line with its end, or at most so many bytes of it."""
    if not encoding.startswith("utf-16"):
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
