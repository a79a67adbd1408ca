"""How are numbers written? Which sign is the decimal one, and what proves it; nothing is guessed of `1,234`."""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from attrs import frozen

from kasparro.etl import currencies, number_text
from kasparro.etl.values import BadValueError

# The part of a text that is its digits, with whatever stands between them.
_CORE = re.compile(r"[0-9][0-9.,'\u2019 \u00a0\u2007\u2009\u202f]*|[.,][0-9]+")
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:([.,])[0-9]{3})+")


@frozen(kw_only=True)
class Numbers:
    """How a column's numbers are written.

    `point` is the decimal sign that `proof` shows, '' where none does; `doubtful` is a number that could be two.
    `plain`: all of them can be read without a declared sign. `dollars` and `foreign` show the dollar, or another unit,
    beside a number.
    """

    plain: bool
    point: str = ""
    proof: str = ""
    conflict: str = ""
    doubtful: str = ""
    dollars: str = ""
    foreign: str = ""
    negative: bool = False
    percent: bool = False
    whole: bool = False


def is_number(text: str) -> bool:
    """Whether a text is a number with either decimal sign."""
    return _is_plain(text) or any(_reads(text, point, "usd") or _reads(text, point, "pct") for point in ".,")


def _reads(text: str, point: str, unit: str) -> bool:
    try:
        _converter(point, unit)(text)
    except BadValueError as ex:
        # A number in another currency is one.
        return ex.code == "wrong_currency"
    return True


@cache
def _converter(point: str, unit: str) -> Callable[[Any], Any]:
    return number_text.converter(point, unit=unit)


def find(texts: Sequence[str]) -> Numbers:
    """How these texts, all of them numbers, are written."""
    proofs: dict[str, str] = {}
    doubtful = {".": "", ",": ""}
    ungrouped = False
    for text in texts:
        core = _CORE.search(text)
        word = core[0].rstrip("'\u2019 \u00a0\u2007\u2009\u202f") if core else ""
        point = _point(word, text)
        if point in (".", ","):
            proofs.setdefault(point, text.strip())
        elif point:
            doubtful[point[1]] = doubtful[point[1]] or text.strip()
        ungrouped = ungrouped or (len(word) > 3 and word.isdigit())
    if ungrouped and not proofs and bool(doubtful["."]) != bool(doubtful[","]):
        # Numbers of four digits and more stand without a sign between thousands, so the sign is no such one.
        sign = "." if doubtful["."] else ","
        proofs[sign], doubtful[sign] = doubtful[sign], ""
    point = next(iter(proofs), "")
    return Numbers(
        plain=all(map(_is_plain, texts)),
        point=point,
        proof=proofs.get(point, ""),
        conflict=" and ".join(proofs.values()) if len(proofs) > 1 else "",
        doubtful="" if proofs else doubtful["."] or doubtful[","],
        dollars=_first(lambda text: currencies.named(text) == ("usd",), texts),
        foreign=_first(lambda text: not _is_plain(text) and _is_foreign(text), texts),
        negative=any(text.lstrip().startswith(("-", "(", "\u2212")) for text in texts),
        percent=any("%" in text for text in texts),
        whole=all(text.strip().isdecimal() for text in texts),
    )


def _point(core: str, text: str) -> str:
    """The decimal sign that one number proves; '' for one that says nothing; `?` and the sign that may be either."""
    dots, commas = core.count("."), core.count(",")
    if dots and commas:
        return "." if core.rindex(".") > core.rindex(",") else ","
    if not dots and not commas:
        return ""
    sign = "." if dots else ","
    if dots + commas > 1:
        return "," if sign == "." else "."
    if _GROUPS.fullmatch(core) and not re.search(r"[0-9][eE][-+]?[0-9]", text):
        return f"?{sign}"
    return sign


def _is_plain(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False


def _is_foreign(text: str) -> bool:
    """Whether a run would reject it as no dollars, whatever its decimal sign is."""
    codes = set()
    for point in ".,":
        try:
            _converter(point, "usd")(text)
        except BadValueError as ex:
            codes.add(ex.code)
        else:
            return False
    return "wrong_currency" in codes


def _first(fits: Callable[[str], bool], texts: Iterable[str]) -> str:
    return next((text.strip() for text in texts if fits(text)), "")
