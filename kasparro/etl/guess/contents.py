"""In what is a file written? A bounded sample of its bytes, their encoding and line ends.

What cannot be text, or is another kind of file, is one clear error.
"""

import codecs
import gzip
import re
from pathlib import Path
from typing import cast

from attrs import frozen

from kasparro.errors import SliceError
from kasparro.etl.guess import code_pages
from kasparro.etl.readers import csv_streams

# Bytes of a file's beginning, and of pieces of the rest: some ten thousand rows, judged in about a second.
HEAD_BYTES = 512 * 1024
_PIECE_BYTES = 32 * 1024
_PIECES = 8
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# How files begin that are often taken for CSV.
_OTHERS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook", b"\xd0\xcf\x11\xe0": "an Excel workbook", b"%PDF": "a PDF",
    b"{": "JSON", b"[{": "JSON", b"[[": "JSON",
    b"PAR1": "a Parquet file", b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"(\xb5/\xfd": "a zstd archive",
}  # fmt: skip
# A header such as <TICKER>,<DATE> begins like a page; a tag with a delimiter behind it is none.
_PAGE = re.compile(rb"\s*<(?![^<>]*>[ ]*[,;\t|])")
# Of the bytes at one side of UTF-16 text in European letters nearly all are NUL; of those at the other nearly none.
_MANY, _FEW = 0.6, 0.1


@frozen(kw_only=True)
class Sample:
    """Bytes of a file, decompressed: its beginning, and pieces from later on. `complete`: the head is all of it."""

    path: Path
    head: bytes
    pieces: tuple[bytes, ...] = ()
    complete: bool = True


@frozen(kw_only=True)
class Encoding:
    """The encoding and its byte order mark; `declared` is what a map has to say of it, '' where the reader finds it.

    `doubt` is why it may be another one.
    """

    name: str
    mark: bytes = b""
    declared: str = ""
    why: str
    doubt: str = ""


def sample(path: Path) -> Sample:
    """Read a bounded part of a file. Raises SliceError when it cannot be read."""
    if not path.is_file():
        raise SliceError(f"{path}: {'is no file' if path.exists() else 'there is no such file'}")
    with csv_streams.opened(path, path.name) as file:
        head = file.read(HEAD_BYTES + 1)
        if len(head) <= HEAD_BYTES:
            return Sample(path=path, head=head)
        pieces = []
        # A compressed file cannot be read from its middle: the beginning must do.
        room = 0 if isinstance(cast(object, file), gzip.GzipFile) else path.stat().st_size - len(head) - _PIECE_BYTES
        for number in range(_PIECES if room > 0 else 0):
            file.seek(len(head) + room * number // (_PIECES - 1))
            pieces.append(file.read(_PIECE_BYTES))
    return Sample(path=path, head=head[:HEAD_BYTES], pieces=tuple(pieces), complete=False)


def encoding(found: Sample, said: str = "") -> Encoding:
    """What the bytes are written in, `said` where no mark tells. Raises SliceError for what is no text."""
    head, name = found.head, found.path.name
    if _PAGE.match(head):
        raise SliceError(f"{name}: is a web page or XML, not a CSV file")
    for magic, what in _OTHERS.items():
        if head.startswith(magic) or (what == "JSON" and head.lstrip().startswith(magic)):
            if what == "JSON" and re.search(rb"[\x00-\x08\x0e-\x1f]", head):
                continue
            raise SliceError(f"{name}: is {what}, not a CSV file")
    for mark, word in _MARKS:
        if head.startswith(mark):
            return Encoding(name=word, mark=mark, why=f"{word.upper()}, as its byte order mark says")
    if said:
        return Encoding(name=said, declared=said, why=f"{said}, as was said")
    if not head.strip():
        raise SliceError(f"{name}: is empty")
    if b"\x00" in head:
        return _without_mark(head, name)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head, final=found.complete)
    except UnicodeDecodeError as ex:
        return _no_utf8(head, head[ex.start], whole=found.complete)
    return Encoding(name="utf-8", why="ASCII" if head.isascii() else "UTF-8")


def line_end(found: Sample, encoded: Encoding) -> str:
    """CRLF, LF or CR, or a word for no line end at all."""
    text = found.head[len(encoded.mark) :].decode(encoded.name, "replace")
    if "\n" not in text:
        return "CR" if "\r" in text[:-1] else "none"
    return "CRLF" if text.count("\r\n") * 2 > text.count("\n") else "LF"


def _without_mark(head: bytes, name: str) -> Encoding:
    half = len(head) // 2 or 1
    even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
    for word, many, few in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if many > _MANY and few < _FEW:
            return Encoding(name=word, declared=word, why=f"{word.upper()} without a byte order mark")
    raise SliceError(f"{name}: is no text: it holds NUL bytes that are not those of UTF-16")


def _no_utf8(head: bytes, byte: int, *, whole: bool) -> Encoding:
    """UTF-8 with damage where most of it can be read so, else a code page, sure or not."""
    text = head.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if sum(not sign.isascii() for sign in text) - damaged > damaged:
        return Encoding(name="utf-8", why=f"UTF-8, but {damaged} bytes of the sample are not: their rows are rejected")
    if code_pages.is_western(head):
        why = f"cp1252, for 0x{byte:02X} is no UTF-8 (look whether letters come out right)"
        return Encoding(name="cp1252", declared="cp1252", why=why)
    found = code_pages.readings(head, whole=whole)
    if not found:
        return Encoding(
            name="utf-8", why="neither UTF-8 nor a code page that is known: rows with such bytes are rejected"
        )
    first = found[0].name
    read = ", ".join(f"{each.word} in {each.name}" for each in found)
    doubt = f'which is right: {read}? "{first}" fits this map; for another one: kasparro sources guess --encoding NAME'
    return Encoding(name=first, declared=first, why=f"perhaps {first}, for 0x{byte:02X} is no UTF-8", doubt=doubt)
