"""Is this value a text, a number, a time? Converters that give a clean value or say what is wrong with it."""

import re
from collections.abc import Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

# A price outside is no price: the smallest real ones are some 1e-18 dollars, the whole world has less than 1e15.
MIN_PRICE_USD = Decimal("1e-30")
MAX_PRICE_USD = Decimal("1e30")
# Beyond this no market value, volume or supply makes sense; recorded supplies reach 7e28.
MAX_NUMBER = Decimal("1e40")
# Powers of ten. A number nearer to zero than this is noise that numeric columns should not carry.
MIN_EXPONENT = -100
# Characters of a number as text. Longer ones are no measurement, and numeric has its limits.
MAX_NUMBER_CHARACTERS = 150
# Before the first coin had a price, or beyond any calendar a source could mean.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# Characters. The longest recorded name has some 100; an id or symbol that is longer is a wrong column.
MAX_TEXT_CHARACTERS = {"external_id": 300, "symbol": 100, "name": 300}
# What a count since 1970 may be of.
EPOCH_UNITS = {
    "epoch_seconds": timedelta(seconds=1),
    "epoch_milliseconds": timedelta(milliseconds=1),
    "epoch_microseconds": timedelta(microseconds=1),
}
# How a moment is written for an upstream that is asked for a part of time.
TIME_FORMATS = ("rfc3339", "date", "epoch_seconds", "epoch_milliseconds")
# Postgres' integer.
MAX_INTEGER = 2**31 - 1

# Powers of ten, either way, beyond which no arithmetic is done: no product of what is left can overflow.
_SANE_EXPONENT = 400
# Digits enough for the product of two numbers of sane length: scaling rounds nothing.
_EXACT = Context(prec=1000)

# What rounds a number that has more digits than a sane one.
_LONGEST = Context(prec=MAX_NUMBER_CHARACTERS)

# Characters that no text column takes: NUL, and the surrogates that stand for bytes which are no UTF-8.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Characters that nobody sees, and that make another text of the same one: of no width, or for the direction alone. Two
# more have a meaning inside a word.
_UNSEEN = dict.fromkeys([0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF])
_JOINERS = "\u200c\u200d"
# Words for absent, as programs write them. NAN, NA and NONE are coins.
_NO_SYMBOLS = frozenset({"NaN", "None", "none"})
_NO_SYMBOLS_IN_ANY_CASE = frozenset({"-", "--", "n/a", "#n/a", "null", "\\n"})
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
# What a spreadsheet makes of an epoch: 1,77746E+12. The digits that are gone cannot be guessed.
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{1,2}")
# What may follow a date: a time of day, or nothing.
_BEFORE_TIME = ("", " ", "T", "t")
_NEARLY_ISO = re.compile(
    r"(?P<year>[0-9]{4})(?P<sign>[-/])(?P<month>[0-9]{1,2})(?P=sign)(?P<day>[0-9]{1,2})"
    "(?:[ Tt](?P<clock>[0-9].*)|(?P<utc>Z))?"
)
_DAY_OF_UTC = re.compile("(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<clock>)(?P<utc>Z)")
_HOUR_ALONE = re.compile("[0-9]:")
_MIDNIGHT = re.compile("24:00(?::00(?:[.]0+)?)?(?![0-9:.])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadValueError(Exception):
    """A value that cannot be used: the rejection's code and message, before which the field's name stands."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def is_zero(found: Any) -> bool:
    """True for a number that is zero, and for a text that spells it."""
    try:
        number = Decimal(found.strip()) if isinstance(found, str) else found
        return isinstance(number, Decimal) and not number
    except InvalidOperation:
        return False


def text(found: Any, limit: int) -> str:
    """Stripped text of at most `limit` characters; whole numbers count as text, as ids often are numbers."""
    if not isinstance(found, str):
        if not (isinstance(found, Decimal) and 0 <= found.adjusted() < 40 and found == found.to_integral_value()):
            raise BadValueError("not_text", f"must be text, got {show(found)}")
        found = f"{found:f}"
    word: str = found.strip()
    unstorable = "\x00" in word
    if not word.isascii():
        word = word.translate(_UNSEEN).strip().strip(_JOINERS)
        unstorable = UNSTORABLE.search(word) is not None
    if len(word) > limit:
        raise BadValueError("too_long", f"must have at most {limit} characters, got {len(word)}")
    if unstorable:
        raise BadValueError("bad_text", f"has characters that are no text, got {show(word)}")
    return word


def file_key(found: Any, limit: int, *, absent: Set[str]) -> str:
    """The same for what a file knows a listing by; '' for those words in `absent` that are no coin's symbol."""
    word = text(found, limit)
    if word.casefold() in absent and (word in _NO_SYMBOLS or word.casefold() in _NO_SYMBOLS_IN_ANY_CASE):
        return ""
    if len(word) > 1 and word[0] in _QUOTES and word[-1] in _QUOTES:
        raise BadValueError("bad_text", f"must not stand in quotes, got {show(found)}")
    return word


def number(found: Any, *, scale: Decimal | None = None, signed: bool = True) -> Decimal:
    """A number within 1e40, times `scale`; not below zero unless `signed`."""
    value = _decimal(found)
    if scale is not None:
        value = _EXACT.multiply(value, scale)
    if value.copy_abs() > MAX_NUMBER or (value and value.adjusted() < MIN_EXPONENT):
        raise BadValueError("out_of_range", f"must be within {MAX_NUMBER}, got {show(found)}")
    if value < 0 and not signed:
        raise BadValueError("out_of_range", f"must not be negative, got {show(found)}")
    return value


def price(found: Any, *, scale: Decimal | None = None) -> Decimal:
    """A price above zero, times `scale`, within what numeric columns and common sense hold."""
    value = _decimal(found)
    if scale is not None:
        value = _EXACT.multiply(value, scale)
    if value <= 0:
        raise BadValueError("price_not_positive", f"must be > 0, got {show(found)}")
    if not MIN_PRICE_USD <= value <= MAX_PRICE_USD:
        raise BadValueError("out_of_range", f"must be from {MIN_PRICE_USD} to {MAX_PRICE_USD}, got {show(found)}")
    return value


def _decimal(found: Any) -> Decimal:
    """A finite number of sane length, from a JSON number or plain text."""
    value = found.strip() if isinstance(found, str) else found
    if isinstance(value, str):
        if len(value) > MAX_NUMBER_CHARACTERS or not value.isascii() or "_" in value:
            raise BadValueError("not_a_number", f"must be a number, got {show(found)}")
        try:
            value = Decimal(value)
        except InvalidOperation:
            advice = "; one that is written for people needs decimal" if any(map(str.isdigit, str(found))) else ""
            raise BadValueError("not_a_number", f"must be a number, got {show(found)}{advice}") from None
    if not isinstance(value, Decimal) or not value.is_finite():
        raise BadValueError("not_a_number", f"must be a number, got {show(found)}")
    if not value:
        # A zero may carry any exponent, and Postgres would take it for a scale.
        return Decimal(0)
    if not -_SANE_EXPONENT <= value.adjusted() <= _SANE_EXPONENT:
        raise BadValueError("out_of_range", f"must be within {MAX_NUMBER}, got {show(found)}")
    if isinstance(found, str):
        # Short enough, as was seen above.
        return value
    rounded = _LONGEST.plus(value)
    if rounded != value:
        raise BadValueError("out_of_range", f"must have at most {MAX_NUMBER_CHARACTERS} digits, got {show(found)}")
    return rounded


def integer(found: Any) -> int:
    """A whole number from 1 to what an integer column holds."""
    value = _decimal(found)
    if value.adjusted() > 12 or value != value.to_integral_value():
        raise BadValueError("not_an_integer", f"must be a whole number, got {show(found)}")
    if not 1 <= value <= MAX_INTEGER:
        raise BadValueError("out_of_range", f"must be from 1 to {MAX_INTEGER}, got {show(found)}")
    return int(value)


def time(found: Any) -> datetime:
    """ISO 8601 with or without zone; without one it is UTC. A trailing ` UTC` or ` GMT` is understood."""
    moment = iso(found)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    elif moment.tzinfo is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise not_a_time(found) from None
    return in_range(moment, found)


def iso(found: Any) -> datetime:
    """The same with whatever zone it has, or none."""
    written = found.strip() if isinstance(found, str) else ""
    if written.endswith((" UTC", " GMT")):
        written = written[:-4] + "Z"
    # fromisoformat takes any sign between date and time, even a digit of an epoch, or that of a zone; and a week.
    after = written[10:11] if written[4:5] == "-" else written[8:9]
    if after in _BEFORE_TIME and "W" not in written[4:6]:
        with suppress(ValueError):
            return datetime.fromisoformat(written)
    return _nearly_iso(written, found)


def _nearly_iso(written: str, found: Any) -> datetime:
    """A time that nothing else can be meant by: 2024/1/5 9:30, a day of UTC, or 24:00, the midnight of the next day."""
    if (parts := _NEARLY_ISO.fullmatch(written) or _DAY_OF_UTC.fullmatch(written)) is None:
        raise not_a_time(found)
    clock, days = parts["clock"] or "", 0
    clock = f"0{clock}" if _HOUR_ALONE.match(clock) else "00:00Z" if parts["utc"] else clock
    if _MIDNIGHT.match(clock):
        clock, days = f"00{clock[2:]}", 1
    try:
        plain = f"{parts['year']}-{parts['month']:0>2}-{parts['day']:0>2}{'T' if clock else ''}{clock}"
        return datetime.fromisoformat(plain) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise not_a_time(found) from None


def not_a_time(found: Any, wanted: str = "must be an ISO 8601 time, or needs its format or type") -> BadValueError:
    """Why this is no time; a number that was shortened on its way may have been one."""
    if isinstance(found, str) and _SHORTENED.fullmatch(found.strip()):
        return BadValueError("precision_lost", f"lost its last digits to scientific notation: {show(found)}")
    return BadValueError("not_a_time", f"{wanted}, got {show(found)}")


def epoch(found: Any, *, unit: timedelta) -> datetime:
    """A count of `unit` since 1970, exact to the microsecond. Raises BadValueError for one without its last digits."""
    if isinstance(found, str) and _SHORTENED.fullmatch(found.strip()):
        found = found.replace(",", ".")
    value = _decimal(found)
    try:
        # In whole microseconds: a float of seconds would lose some.
        microseconds = int(_EXACT.multiply(value, Decimal(unit // timedelta(microseconds=1))))
        moment = in_range(_EPOCH + timedelta(microseconds=microseconds), found)
    except (OverflowError, InvalidOperation):
        raise BadValueError("out_of_range", f"must be a time since 1970, got {show(found)}") from None
    if int(value.as_tuple().exponent) > 0:
        raise BadValueError("precision_lost", f"lost its last digits to scientific notation: {show(found)}")
    return moment


def written(moment: datetime, form: str) -> str:
    """A moment as an upstream's parameter takes it: one of TIME_FORMATS, cut off to what that can say."""
    moment = moment.astimezone(UTC)
    if form == "date":
        return moment.date().isoformat()
    if form == "rfc3339":
        return moment.isoformat().replace("+00:00", "Z")
    return str((moment - _EPOCH) // EPOCH_UNITS[form])


def in_range(moment: datetime, found: Any) -> datetime:
    """The moment itself. Raises BadValueError for one that no source could mean."""
    if not EARLIEST <= moment < LATEST:
        raise BadValueError("out_of_range", f"must be from {EARLIEST.year} to {LATEST.year - 1}, got {show(found)}")
    return moment


def show(found: Any) -> str:
    """A value for a message: short, and storable whatever it is."""
    if isinstance(found, list | dict):
        return "an array" if isinstance(found, list) else "an object"
    shown = ascii(str(found) if isinstance(found, Decimal) else found)
    return shown if len(shown) <= 80 else shown[:77] + "..."
