"""What moment did a person write? In a declared format and time zone; what could be two moments is none.

When clocks are set back an hour comes twice, when they are set forward one is left out: a time in the first is
rejected unless the map says which is meant (`fold`), a time in the second always. Months have names in many languages.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from kasparro.etl import values
from kasparro.etl.field_map import FieldMap
from kasparro.etl.values import BadValueError

# Letters of strptime for numbers, and all the digits of each; strptime itself takes fewer.
_DIGITS = dict.fromkeys(("%y", "%m", "%d", "%H", "%I", "%M", "%S"), r"\d\d") | {
    "%Y": r"\d{4}", "%j": r"\d{3}", "%f": r"\d{1,6}",
}  # fmt: skip


# Month by month, what it is called and shortened to in German, French, Spanish, Italian, Dutch, Portuguese, Polish,
# Danish, Norwegian and Swedish, without accents. A word that is two months in two of them, or in others as Croatian's
# listopad, must not be added.
_MONTHS = {
    word: number
    for number, text in enumerate((
        "januar january janvier janv jan januari enero ene gennaio gen janeiro styczen stycznia sty",
        "februar february fevrier fevr fev feb februari febrero febbraio fevereiro luty lutego lut",
        "marz maerz mrz march mars mar marzo maart mrt marco marzec marca",
        "april avril avr apr abril abr aprile kwiecien kwietnia kwi",
        "mai may mayo maggio mag mei maio maj maja",
        "juni june juin jun junio giugno giu junho czerwiec czerwca cze",
        "juli july juillet juil jul julio luglio lug julho lipiec lipca lip",
        "august aout aug agosto ago augustus augusti sierpien sierpnia sie",
        "september septembre sept sep septiembre setiembre set settembre setembro wrzesien wrzesnia wrz",
        "oktober october octobre oct okt octubre ottobre ott outubro out pazdziernik pazdziernika paz",
        "november novembre nov noviembre novembro listopad listopada lis",
        "dezember december decembre dec dez diciembre dic dicembre dezembro grudzien grudnia gru desember des",
    ), 1)
    for word in text.split()
}  # fmt: skip
_NAME = re.compile(r"[^\W\d_]{3,}\.?")


def converter(spec: FieldMap) -> Callable[[Any], datetime]:
    """The function that reads times as this field writes them. It raises BadValueError."""
    parse = partial(_strptime, formats=spec.formats) if spec.formats else values.iso
    if not spec.formats and not spec.timezone:
        return values.time
    return partial(_moment, parse=parse, zone=ZoneInfo(spec.timezone) if spec.timezone else UTC, fold=spec.fold)


def _moment(found: Any, *, parse: Callable[[Any], datetime], zone: tzinfo, fold: str) -> datetime:
    written = parse(found)
    try:
        return values.in_range((_localise(written, zone, fold, found) if written.tzinfo is None else written)
                               .astimezone(UTC), found)  # fmt: skip
    except OverflowError:
        raise BadValueError("out_of_range", f"must be a time since 2000, got {values.show(found)}") from None


def _localise(written: datetime, zone: tzinfo, fold: str, found: Any) -> datetime:
    earlier, later = written.replace(tzinfo=zone, fold=0), written.replace(tzinfo=zone, fold=1)
    before, after = earlier.utcoffset(), later.utcoffset()
    if before == after or before is None or after is None:
        return earlier
    if before < after:
        raise BadValueError("not_a_time", f"clocks in {zone} left this time out, got {values.show(found)}")
    if not fold:
        raise BadValueError(
            "ambiguous_time", f"this time came twice in {zone}; fold says which is meant, got {values.show(found)}"
        )
    return earlier if fold == "earlier" else later


def read(text: str, formats: Iterable[str]) -> datetime | None:
    """The moment as the first fitting format reads it, None when there is none; what has no zone stays without.

    Numbers that touch must have all their digits: `%H%M` would read 130, once 0130, as 13:00.
    """
    for each in formats:
        if (moment := _parse(text, each)) and ((full := _full(each)) is None or full.fullmatch(text)):
            return moment
    return None


def _strptime(found: Any, *, formats: Sequence[str]) -> datetime:
    text = found.strip() if isinstance(found, str) else ""
    if moment := read(text, formats):
        return moment
    if any(_parse(text, each) for each in formats):
        raise BadValueError("precision_lost", f"lost a zero where numbers touch: {values.show(found)}")
    raise values.not_a_time(found, f"must be a time written as {' or '.join(formats)}")


def month(word: str) -> int:
    """The month that a word names in one of the known languages, with or without accents; 0 for none."""
    plain = unicodedata.normalize("NFKD", word.casefold().rstrip("."))
    return _MONTHS.get("".join(sign for sign in plain if not unicodedata.combining(sign)), 0)


def _parse(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the caller knows its zone
    except ValueError:
        if "%b" not in form and "%B" not in form:
            return None
    # A point behind a name may only shorten it: it counts neither here nor in the format.
    form = form.replace("%b", "%B").replace("%B.", "%B")
    try:
        return datetime.strptime(_NAME.sub(_english, text), form)  # noqa: DTZ007
    except ValueError:
        return None


def _english(word: re.Match[str]) -> str:
    return calendar.month_name[found] if (found := month(word[0])) else word[0]


@cache
def _full(form: str) -> re.Pattern[str] | None:
    """The shape of texts in which every number that touches another has all its digits; None where none touches."""
    parts = re.findall(r"%.|\s+|[^%\s]+", form)
    shapes = []
    for number, part in enumerate(parts):
        beside = [*parts[number - 1 : number], *parts[number + 1 : number + 2]]
        if part in _DIGITS and any(each in _DIGITS for each in beside):
            shapes.append(_DIGITS[part])
        elif part.startswith("%"):
            shapes.append(".{1,30}?")
        else:
            shapes.append(r"\s+" if part.isspace() else re.escape(part))
    if not any(shape in _DIGITS.values() for shape in shapes):
        return None
    return re.compile("".join(shapes), re.IGNORECASE)
