"""How is the text of one setting read? Every function returns the value, or raises ValueError with what it must be.

The variable's name, and whether its text may be shown, is the business of config.py.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit


class SecretValueError(ValueError):
    """A wrong value that may hold a secret: it is not shown."""


def switch(text: str) -> bool:
    """On or off, in the usual words."""
    if text.lower() in ("on", "true", "1", "yes"):
        return True
    if text.lower() in ("off", "false", "0", "no"):
        return False
    raise ValueError("must be on or off")


def port(text: str) -> int:
    """A TCP port; 0 takes a free one."""
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError("must be a port number from 0 to 65535")
    return int(text)


def pages(text: str) -> int:
    """A page limit; 0 for none."""
    if not text.isdecimal() or not 0 <= int(text) <= 1_000_000:
        raise ValueError("must be a whole number from 0 (no limit) to 1000000")
    return int(text)


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
    found = re.fullmatch(r"(\d{1,6})\s*/\s*(\d{1,5})\s*s", text)
    if found is None or int(found[1]) < 2 or not 1 <= int(found[2]) <= 86400:
        raise ValueError("must be off, or requests and seconds such as 30/60s, from 2 requests and 1 second")
    return int(found[1]), float(found[2])


def days(text: str) -> int:
    """A number of days."""
    if not text.isdecimal() or not 1 <= int(text) <= 36500:
        raise ValueError("must be a whole number of days from 1 to 36500")
    return int(text)


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
