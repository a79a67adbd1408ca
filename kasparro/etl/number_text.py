"""What number did a person write? `$1,234.50`, `1.234,50 €`, `287.86K`, `-0,24%`, `(5)`: a declared decimal sign makes
each of them one number or none.

Nothing is guessed: signs that group thousands must stand where they group thousands, and another currency than the
dollar is a rejection.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from kasparro.etl import currencies, values
from kasparro.etl.values import BadValueError

# Powers of ten behind a number, as markets and their translations write them.
_SUFFIXES = {
    "k": 3, "tsd": 3, "m": 6, "mi": 6, "mn": 6, "mln": 6, "mio": 6, "b": 9, "bi": 9, "bn": 9, "md": 9, "mld": 9,
    "mrd": 9, "t": 12, "tn": 12, "tri": 12, "bio": 12,
}  # fmt: skip
# What dollars are called.
DOLLARS = frozenset({"$", "us$", "$us", "usd"})
# Apostrophes and the spaces that may stand between thousands: plain, no-break, figure, thin and narrow no-break.
_GROUPING = "'\u2019 \u00a0\u2007\u2009\u202f"
_STABLE = "|".join(currencies.STABLE)
_OTHER_CURRENCY = re.compile(rf"[a-z]{{0,3}}[{''.join(currencies.SIGNS)}]|[a-z]{{3}}|kr\.?|zł|kč|{_STABLE}")


def converter(decimal: str, *, unit: str) -> Callable[[Any], Any]:
    """The function that makes a plain numeral of a text with this decimal sign; what is no text passes unchanged.

    Beside a number of the unit usd may stand a dollar sign, beside one of pct a percent sign. The function raises
    BadValueError.
    """
    grouping = _GROUPING + ("," if decimal == "." else ".")
    point = re.escape(decimal)
    # Thousands; and, as in India, hundreds of them: 1,23,456.78.
    groups = "[0-9]{3}(?:(?P=group)[0-9]{3})*+"
    if decimal == ".":
        groups = f"(?:{groups}|(?<=,)(?<![0-9]{{3}},)(?:[0-9]{{2}},)++[0-9]{{3}})"
    shape = re.compile(
        rf"(?P<paren>\()?\s*+(?P<sign>[-+\u2212]?)\s*+(?P<before>[^-+\u2212()0-9.,\s]*+)\s*+(?P<late>[-+\u2212]?)\s*+"
        rf"(?P<whole>[1-9][0-9]{{0,2}}(?P<group>[{grouping}]){groups}|[0-9]*+)"
        rf"(?:{point}(?P<rest>[0-9]*+))?(?P<power>[eE][-+]?[0-9]+)?(?P<after>[^-+\u2212()0-9,]*+)(?(paren)\))"
    )
    return partial(_plain, shape=shape, unit=unit)


def _plain(found: Any, *, shape: re.Pattern[str], unit: str) -> Any:
    if not isinstance(found, str):
        return found
    text = found.strip()
    match = shape.fullmatch(text) if len(text) <= values.MAX_NUMBER_CHARACTERS else None
    signs = "" if match is None else f"{match['paren'] or ''}{match['sign']}{match['late']}"
    if match is None or not (match["whole"] or match["rest"]) or len(signs) > 1:
        raise _no_number(found)
    power = match["power"] or ""
    if match["before"]:
        _check_unit(match["before"], found, unit)
    for word in match["after"].casefold().split():
        exponent = _SUFFIXES.get(word.removesuffix("$").removesuffix("."))
        if exponent is None or (word.endswith("$") and unit != "usd"):
            _check_unit(word, found, unit)
        elif power:
            raise _no_number(found)
        else:
            power = f"e{exponent}"
    digits = match["whole"].replace(match["group"], "") if match["group"] else match["whole"]
    rest = f".{match['rest']}" if match["rest"] else ""
    return f"{'' if signs in ('', '+') else '-'}{digits or '0'}{rest}{power}"


def _check_unit(word: str, found: str, unit: str) -> None:
    """Raises BadValueError for a word beside a number that is not its unit."""
    word = word.casefold()
    if (unit == "usd" and word in DOLLARS) or (unit == "pct" and word == "%"):
        return
    if unit == "usd" and _OTHER_CURRENCY.fullmatch(word):
        raise BadValueError("wrong_currency", f"must be in US dollars, got {values.show(found)}")
    raise _no_number(found)


def _no_number(found: str) -> BadValueError:
    return BadValueError("not_a_number", f"must be a number, got {values.show(found)}")
