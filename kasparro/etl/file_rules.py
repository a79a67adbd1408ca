"""Which [files] tables make sense? The rules of how files are read, each broken one named by its key."""

import re
from collections.abc import Iterator

from kasparro.etl.source import Files

# What files come in besides encodings that leave ASCII as it is.
_WIDE_ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be")
# All that a table is written with, and what begins a character, or another set of them, in encodings that are not read.
_ASCII = bytes((9, 10, 13, *range(32, 92), *range(93, 127))) + b"\\u0041~{!!~}+AGE-\x1b$B0l"
# Lines before a header; more is another table.
_MAX_SKIP_LINES = 1000
# Bytes: the shortest that no real row exceeds, and 64 MiB, for a row stands in memory several times.
_LEAST_RECORD_BYTES, _MOST_RECORD_BYTES = 1024, 64 * 1024 * 1024


def problems(files: Files) -> Iterator[str]:
    """Every rule that the table breaks."""
    if not _LEAST_RECORD_BYTES <= files.max_record_bytes <= _MOST_RECORD_BYTES:
        yield f"files.max_record_bytes: must be from {_LEAST_RECORD_BYTES} to {_MOST_RECORD_BYTES}"
    for key in ("glob", "encoding", "decimal"):
        if getattr(files, key) == "?":
            yield f'files.{key}: "?" stands for what is still to be filled in'
    if files.encoding not in ("", "?") and not is_encoding(files.encoding):
        wanted = (
            f"{', '.join(_WIDE_ENCODINGS)}, or one in which ASCII stands for itself, such as utf-8, cp1252 or gb18030"
        )
        yield f"files.encoding: must be {wanted}, got {files.encoding!r}"
    if files.delimiter and (len(files.delimiter) != 1 or files.delimiter in '"\r\n\x00 '):
        yield f"files.delimiter: must be one character such as ; or a tab, got {files.delimiter!r}"
    if files.escape and (len(files.escape) != 1 or files.escape in f'"\r\n\x00 {files.delimiter}'):
        yield f"files.escape: must be one character such as \\, got {files.escape!r}"
    if files.comment != files.comment.strip():
        yield f"files.comment: must not begin or end with white space, got {files.comment!r}"
    if not 0 <= files.skip_lines <= _MAX_SKIP_LINES:
        yield f"files.skip_lines: must be from 0 to {_MAX_SKIP_LINES}, got {files.skip_lines!r}"
    if files.decimal not in ("", "?", ".", ","):
        yield f'files.decimal: must be "." or ",", got {files.decimal!r}'
    if any(not name.strip() for name in files.columns) or len(set(files.columns)) < len(files.columns):
        yield "files.columns: must be names, each once"
    if files.name_pattern:
        yield from _check_pattern("files.name_pattern", files.name_pattern)
    if files.wide is not None:
        yield from _check_pattern("files.wide.columns", files.wide.columns)
        if not files.wide.value:
            yield "files.wide.value: must be a name"


def is_encoding(name: str) -> bool:
    """Whether files may be in that: every text encoding of Python's in which ASCII, line ends above all, is itself."""
    if name in _WIDE_ENCODINGS:
        return True
    try:
        plain = _ASCII.decode(name) == _ASCII.decode("ascii")
        return plain and all("\n" in bytes((first, 10, 65, 65)).decode(name, "replace") for first in range(128, 256))
    except (LookupError, ValueError):
        return False


def _check_pattern(key: str, pattern: str) -> Iterator[str]:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as ex:
        yield f"{key}: is no regular expression: {ex}"
        return
    if not groups:
        yield f"{key}: needs a named group, such as (?P<symbol>[A-Z]+), got {pattern!r}"
