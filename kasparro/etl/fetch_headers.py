"""What do the headers of an answer say: when to ask again, how many requests are left, is it still the same?"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Seconds. A longer wish is cut to this: it may be a slip, and next week's answer will tell.
_MAX_RETRY_AFTER_SECONDS = 7 * 86400.0
# A reset time above this is a moment in Unix time, one below a number of seconds: 31 years are no rate limit's window.
_EPOCH_FROM = 1e9
# The draft IETF header in one field: "default";r=50;t=30 (draft-ietf-httpapi-ratelimit-headers).
_RATE_LIMIT = re.compile(r";\s*r=(\d{1,12})\s*(?:;\s*t=(\d{1,12}))?")


def conditions(known: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask for an answer only where it is another than the one of these validators."""
    names = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
    return {names[key]: value for key, value in known.items() if key in names}


def validators(headers: Mapping[str, str]) -> dict[str, str]:
    """What proves later that the answer is still the same."""
    found = {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}
    return {key: value for key, value in found.items() if value}


def rate_limit(headers: Mapping[str, str], now: datetime) -> tuple[int | None, float | None]:
    """How many requests are left, and in how many seconds there are more, where the upstream says so.

    A moment is compared with the answer's own date, whatever our clock says.
    """
    found = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    remaining, reset = (found[1], found[2]) if found else (None, None)
    for prefix in ("RateLimit", "X-RateLimit"):
        remaining = remaining or headers.get(f"{prefix}-Remaining")
        reset = reset or headers.get(f"{prefix}-Reset")
    if remaining is None or not re.fullmatch(r"\d{1,12}", remaining.strip(), re.ASCII):
        return None, None
    if reset is None or not re.fullmatch(r"\d{1,15}(\.\d{1,6})?", reset.strip(), re.ASCII):
        return int(remaining), None
    seconds = float(reset)
    if seconds > _EPOCH_FROM:
        seconds = seconds / (1000 if seconds > _EPOCH_FROM * 1000 else 1) - _said_at(headers, now)
    return int(remaining), max(seconds, 0.0)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3). A date is compared with the answer's own, whatever our clock says."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        seconds = float(text)
    elif (moment := _http_date(text)) is not None:
        seconds = moment.timestamp() - _said_at(headers, now)
    else:
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _said_at(headers: Mapping[str, str], now: datetime) -> float:
    """When the upstream sent its answer by its own clock, in Unix time; `now` where it does not say."""
    return (_http_date(headers.get("Date", "")) or now).timestamp()


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
