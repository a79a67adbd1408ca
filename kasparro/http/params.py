"""Query parameters: named, typed, once each; everything wrong with them is reported together.

A resource declares its parameters as a mapping of name to parser; a parser takes the text and raises ValueError with
what was wanted.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import falcon
from attrs import frozen

from kasparro.http import cursor
from kasparro.http.errors import FieldError, Problem

Parser = Callable[[str], Any]

# Rows of a page: the default fits a screen; at most what Postgres renders in some 20 ms.
DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
# Rows that may be skipped by number. Deeper, every page would read all the rows before it: cursors do not.
MAX_OFFSET = 10_000
# Parameters in one query string: four times what any resource knows; parsing them costs time before any check.
_MAX_PARAMETERS = 64
# Characters of one parameter, and names in a comma-separated one.
_MAX_CHARACTERS = 1000
_MAX_NAMES = 100

_NUMBER = re.compile(r"(\d{1,60})(\.\d{1,60})?([eE][+-]?\d{1,2})?", re.ASCII)
_RUN_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# A plus sign that nobody escaped arrives as a space.
_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[Tt ](?P<clock>\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d{1,12}))?"
    r"(?:[Zz]|(?P<sign>[ +-])(?P<hours>\d{2}):(?P<minutes>\d{2}))",
    re.ASCII,
)


@frozen(kw_only=True)
class Query:
    """The parsed parameters by name, and as they were sent."""

    values: Mapping[str, Any]
    sent: Sequence[tuple[str, str]]
    known: Collection[str]

    def get(self, name: str, default: Any = None) -> Any:
        """The parsed value, or the default when the parameter was not sent."""
        return self.values.get(name, default)

    def invalid(self, *fields: FieldError) -> Problem:
        """The 400 for parameters that do not go together."""
        return _invalid(fields, self.known)

    def next_link(self, path: str, cursor: str) -> str:
        """The value of a Link header that leads to the next page of the same query."""
        kept = [(name, value) for name, value in self.sent if name not in ("cursor", "offset")]
        return f'<{path}?{urlencode([*kept, ("cursor", cursor)], quote_via=quote)}>; rel="next"'


def parse(req: falcon.Request, parsers: Mapping[str, Parser]) -> Query:
    """Parse the query string. Raises a 400 Problem that names all that is wrong, and lists what is valid."""
    sent, fields = _split(req, parsers)
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in sent):
        texts = [value for other, value in sent if other == name]
        try:
            values[name] = _parse_one(parsers.get(name), texts)
        except ValueError as ex:
            fields.append(FieldError(name[:100], str(ex)))
    if fields:
        raise _invalid(fields, parsers)
    return Query(values=values, sent=sent, known=parsers)


def _invalid(fields: Sequence[FieldError], known: Collection[str]) -> Problem:
    first = fields[0]
    detail = first.message if first.name is None else f"{first.name} {first.message}"
    detail += f"; valid parameters are {', '.join(known)}" if known else "; this path takes no parameters"
    return Problem(400, "invalid_parameters", detail, fields=fields)


def _split(req: falcon.Request, known: Collection[str]) -> tuple[list[tuple[str, str]], list[FieldError]]:
    """The parameters as they were sent, and what is wrong with those that are no UTF-8."""
    try:
        # One character a byte, as WSGI has it: what a byte stands for is found out for each parameter by itself.
        pairs = parse_qsl(req.query_string, keep_blank_values=True, encoding="latin-1", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        message = f"the query must have at most {_MAX_PARAMETERS} parameters"
        raise _invalid([FieldError(None, message)], known) from None
    sent: list[tuple[str, str]] = []
    fields: list[FieldError] = []
    for raw_name, raw_value in pairs:
        name, value = _utf8(raw_name), _utf8(raw_value)
        if name is None:
            fields.append(FieldError(None, "the names of parameters must be UTF-8 text"))
        elif value is None:
            fields.append(FieldError(name[:100], "must be UTF-8 text"))
        else:
            sent.append((name, value))
    return sent, fields


def _utf8(raw: str) -> str | None:
    try:
        return raw.encode("latin-1").decode("utf-8")
    except ValueError:
        return None


def _parse_one(parser: Parser | None, texts: Sequence[str]) -> Any:
    if parser is None:
        raise ValueError("is not known here")
    if len(texts) > 1:
        raise ValueError("stands more than once")
    if not texts[0].strip():
        raise ValueError("must not be blank")
    if "\x00" in texts[0]:
        raise ValueError("must not contain a NUL character")
    if len(texts[0]) > _MAX_CHARACTERS:
        raise ValueError(f"must have at most {_MAX_CHARACTERS} characters")
    return parser(texts[0])


def text(value: str) -> str:
    """Any text."""
    return value


def choice(*words: str) -> Parser:
    """One of these words."""

    def parse_choice(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, {_got(value)}")
        return value

    return parse_choice


def yes_or_no(value: str) -> bool:
    """True or false, as JSON writes them."""
    return bool(choice("true", "false")(value) == "true")


def names(value: str) -> tuple[str, ...]:
    """One or several words, comma-separated; sorted, each once."""
    found = [word.strip() for word in value.split(",")]
    if not all(found):
        raise ValueError("must be names separated by single commas")
    if len(found) > _MAX_NAMES:
        raise ValueError(f"must be at most {_MAX_NAMES} names")
    return tuple(sorted(set(found)))


def symbols(value: str) -> tuple[str, ...]:
    """One or several symbols, in any case."""
    return names(value.lower())


def sources(known: Collection[str], list_others: Callable[[], Collection[str]] = tuple) -> Parser:
    """One or several of the sources in `known`, or of others, which are listed where a name is none of these."""

    def parse_sources(value: str) -> tuple[str, ...]:
        found = names(value)
        unknown = [name for name in found if name not in known]
        others = list_others() if unknown else ()
        unknown = [name for name in unknown if name not in others]
        if unknown:
            valid = ", ".join(sorted({*known, *others})) or "none"
            raise ValueError(f"must be names of sources, {_got(unknown[0])}; known are {valid}")
        return found

    return parse_sources


def run_id(value: str) -> int:
    """The id of a run, there or not."""
    if not _RUN_ID.fullmatch(value) or int(value) > cursor.MAX_BIGINT:
        raise ValueError(f"must be the id of a run, {_got(value)}")
    return int(value)


def whole(low: int, high: int) -> Parser:
    """A whole number from `low` to `high`."""

    def parse_whole(value: str) -> int:
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"must be a whole number from {low} to {high}, {_got(value)}")
        if not low <= int(value) <= high:
            raise ValueError(f"must be from {low} to {high}, got {int(value)}")
        return int(value)

    return parse_whole


def price(value: str) -> Decimal:
    """An exact, not negative number."""
    found = Decimal(value) if _NUMBER.fullmatch(value) else None
    if found is None or found > Decimal("1e40"):
        raise ValueError(f"must be a number from 0 to 1e40, {_got(value)}")
    return found


def moment(value: str) -> datetime:
    """A date (its first moment in UTC) or an RFC 3339 time, in UTC."""
    try:
        if _DATE.fullmatch(value):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        found = _TIME.fullmatch(value)
        if found:
            return _from_parts(found.groupdict())
    except (ValueError, OverflowError):
        pass
    wanted = "must be a date such as 2024-01-31 or an RFC 3339 time such as 2024-01-31T12:00:00Z"
    raise ValueError(f"{wanted}, {_got(value)}")


def _got(value: str) -> str:
    return f"got {value[:100]!r}"


def _from_parts(parts: Mapping[str, str | None]) -> datetime:
    offset = timedelta(hours=int(parts["hours"] or 0), minutes=int(parts["minutes"] or 0))
    if offset >= timedelta(days=1) or int(parts["minutes"] or 0) > 59:
        raise ValueError("no such offset")
    zone = timezone(-offset if parts["sign"] == "-" else offset)
    local = datetime.combine(date.fromisoformat(parts["day"] or ""), time.fromisoformat(parts["clock"] or ""), zone)
    return (local + timedelta(microseconds=int((parts["fraction"] or "0").ljust(6, "0")[:6]))).astimezone(UTC)


LIMIT = whole(1, MAX_LIMIT)
OFFSET = whole(0, MAX_OFFSET)
