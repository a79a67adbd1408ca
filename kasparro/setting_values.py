"""How is the text of one setting read? Every function returns the value, or raises ValueError with what it must be.

The variable's name, and whether its text may be shown, is the business of config.py.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

# A hundred years; what is older than the oldest record there may be goes at once.
MAX_DAYS = 36_500


class SecretValueError(ValueError):
    """A wrong value that may hold a secret: it is not shown."""


def switch(text: str) -> bool:
    """On or off, in the usual words."""
    if text.lower() in ("on", "true", "1", "yes"):
        return True
    if text.lower() in ("off", "false", "0", "no"):
        return False
    raise ValueError("must be on or off")


def whole(text: str, least: int, most: int, *, what: str = "whole number") -> int:
    """A whole number in plain digits within these bounds."""
    if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise ValueError(f"must be a {what} from {least} to {most}")
    return int(text)


def port(text: str) -> int:
    """A TCP port; 0 takes a free one."""
    return whole(text, 0, 65535, what="port number")


def pages(text: str) -> int:
    """A page limit; 0 for none."""
    return whole(text, 0, 1_000_000, what="whole number (0: no limit)")


def seconds(text: str) -> float:
    """A duration in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0.5 <= seconds <= 3600:
        raise ValueError("must be from 0.5 to 3600 seconds")
    return seconds


def rate(text: str) -> tuple[int | None, float]:
    """At most so many requests in so many seconds; None for no limit."""
    if text == "off":
        return None, 60.0
    found = re.fullmatch(r"(\d{1,6})\s*/\s*(\d{1,5})\s*s", text, re.ASCII)
    if found is None or int(found[1]) < 2 or not 1 <= int(found[2]) <= 86400:
        raise ValueError("must be off, or requests and seconds such as 30/60s, from 2 requests and 1 second")
    return int(found[1]), float(found[2])


def days(text: str) -> int:
    """A number of days."""
    return whole(text, 1, MAX_DAYS, what="whole number of days")


def schedule(text: str) -> str:
    """A schedule by its shape; what a cron expression says is looked at with the source."""
    if not re.fullmatch(r"every\s+\d+\s*[smhd]", text) and len(text.split()) != 5:
        raise ValueError("must be 'every 5m' or a cron expression of five fields")
    return text


def url(text: str) -> str:
    """A base address. One with a user or password is refused: addresses stand in logs and run records."""
    try:
        parts = urlsplit(text)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain or "@" in parts.netloc or re.search(r"[?#\s]", text) or not text.isprintable():
        raise SecretValueError("must be an http:// or https:// address without user, blanks, query or fragment")
    return text.rstrip("/")


def dsn(text: str) -> str:
    """The shape alone; what libpq thinks of it is asked where libpq is."""
    problem = "must be a postgresql:// address or a libpq connection string"
    address = re.match(r"^postgres(?:ql)?://(?:[^@/]*@)?([^/?#]*)", text)
    if address is None:
        if "=" not in text or "://" in text.partition("=")[0]:
            raise ValueError(problem)
        return text
    try:
        ports = [urlsplit(f"//{host}").port for host in address[1].split(",")]
    except ValueError:
        ports = [0]
    if 0 in ports:
        raise ValueError(f"{problem}; its port must be a number from 1 to 65535")
    return text


def header_value(text: str) -> str:
    """A key, as an HTTP header can carry it."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces, for it travels in a header")
    return text


def path(text: str) -> Path:
    """A path, which need not exist."""
    return Path(text).expanduser()


def folder(text: str) -> Path:
    """A folder that exists."""
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError("must be an existing folder")
    return path
