"""Log lines: JSON for machines, plain text for a terminal; context fields on every line, secrets on none.

Whoever knows a run, a source or a request binds it once, and every line logged inside carries it.
"""

import html
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter

_bound: ContextVar[dict[str, Any]] = ContextVar("kasparro_log_fields", default={})  # noqa: B039 - never mutated
# What logging itself puts on a record; everything else is a field of ours.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Shorter values are no secrets worth hiding, and hiding them would garble ordinary words.
_MIN_SECRET_CHARACTERS = 6
# What stays as it is where an address is written: by RFC 3986, in a path, by encodeURIComponent and by encodeURI.
_UNQUOTED = ("", "/", "!*'()", "!*'();,/?:@&=+$#")
_ENCODED = re.compile("%[0-9A-F]{2}")


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Put `fields` on every line logged inside the block, by this thread."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def one_line(text: str) -> str:
    """The text with everything that moves a cursor, ends a line or turns its direction written as an escape.

    Names and messages of upstreams and files are shown on terminals, which obey such characters.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def configure(*, secrets: Iterable[str], stream: TextIO | None = None, text: bool | None = None) -> None:
    """Send the service's lines to `stream` (stdout), as text where that is a terminal, else as JSON.

    `secrets` are replaced wherever they would appear, tracebacks included.
    """
    stream = stream or sys.stdout
    as_text = stream.isatty() if text is None else text
    handler = logging.StreamHandler(stream)
    inner: logging.Formatter = _TextFormatter() if as_text else _JsonFormatter()
    hidden = {text for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS for text in spellings(secret)}
    handler.setFormatter(_Redacting(inner, sorted(hidden, key=len, reverse=True)))
    handler.addFilter(_add_bound)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("kasparro").setLevel(logging.INFO)


def spellings(secret: str) -> set[str]:
    """Every way in which a secret may stand in a text: as it is, and as addresses, HTML, Python and JSON write it.

    Each of them may stand in JSON in its turn.
    """
    quoted = {quote(secret, safe=safe, errors="replace") for safe in _UNQUOTED}
    # Upstreams write the digits small as well, and a space as a sign of its own.
    quoted |= {_ENCODED.sub(lambda found: found[0].lower(), text) for text in quoted}
    quoted |= {text.replace("%20", "+") for text in quoted}
    written = {secret, repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False), *quoted}
    once = written | {json.dumps(text)[1:-1] for text in written}
    return once | {json.dumps(text)[1:-1] for text in once}


def _add_bound(record: logging.LogRecord) -> bool:
    for name, value in _bound.get().items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


class _JsonFormatter(JsonFormatter):
    """One object a line; times as everywhere, in UTC, to the millisecond."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds") + "Z"


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return one_line(super().formatMessage(record) + "".join(f"  {name}={value}" for name, value in fields.items()))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(one_line(line) for line in super().formatException(ei).split("\n"))


class _Redacting(logging.Formatter):
    def __init__(self, inner: logging.Formatter, secrets: list[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line
