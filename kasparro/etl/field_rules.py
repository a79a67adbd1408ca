"""Which field maps make sense? The rules of [fields], each broken one named by its key."""

import re
import string
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import permutations
from zoneinfo import ZoneInfo

from attrs import astuple, evolve

from kasparro.etl import currencies, field_map, values
from kasparro.etl.field_map import FieldMap
from kasparro.etl.source import CURRENCY, FIELD_TYPES, Kind, Source

# What stands in a map for something that a person has to fill in: such a map is refused, whatever else is right in it.
UNDECIDED = "?"
EPOCHS = tuple(values.EPOCH_UNITS)
REQUIRED_FIELDS = ("external_id", "symbol", "name", "observed_at", "price_usd")
# What a time format may hold: a whole date, and a clock time of either kind. %Z is left out: strptime drops it.
_DIRECTIVES = frozenset("YymdbBaAjHIMSfpz%")
_DATES = ({"d", "m"}, {"d", "b"}, {"d", "B"}, {"j"})
# No two of its numbers are equal, and none could not be another one: formats that disagree show it.
_PROBE = datetime(2003, 4, 5, 6, 7, 8, tzinfo=UTC)


def problems(source: Source) -> Iterator[str]:
    """Every rule that [fields] breaks."""
    for name in REQUIRED_FIELDS:
        if name not in source.fields and not (name == "external_id" and source.kind is Kind.CSV_FILES):
            yield f"fields.{name}: required"
    yield from check_maps("fields", source.fields, dotted=source.kind is Kind.JSON_API)


def check_maps(table: str, fields: Mapping[str, FieldMap], *, dotted: bool) -> Iterator[str]:
    """Every rule that a field of one table breaks; `dotted` says that paths lead into nested records."""
    for name, spec in fields.items():
        where = f"{table}.{name}"
        if name not in FIELD_TYPES and name != CURRENCY:
            yield f"{where}: there is no quote field {name!r} ({', '.join(FIELD_TYPES)}; or {CURRENCY})"
            continue
        if any(
            UNDECIDED in (value if isinstance(value, tuple) else (value,)) for value in astuple(evolve(spec, null=()))
        ):
            yield f'{where}: "{UNDECIDED}" stands for what is still to be filled in'
            continue
        if dotted and any(not part for path in spec.paths for part in field_map.keys(path)):
            yield f"{where}.paths: a path is dotted names, got {spec.paths!r}"
        for line in (*_check_origin(name, spec), *_check_number(name, spec), *_check_time(name, spec)):
            yield f"{where}{line}"
        if spec.accept and name not in (CURRENCY, "symbol", "name"):
            yield f"{where}.accept: only {CURRENCY}, symbol and name take words that mean what they say"
        if name.endswith("_usd"):
            yield from _check_currency(where, name, spec, fields.get(CURRENCY, FieldMap()))


def _check_currency(where: str, name: str, spec: FieldMap, currency: FieldMap) -> Iterator[str]:
    """A path that names another currency: a constant USD beside it is mostly a mistake, a column is checked by rows."""
    if currency.paths and name == "price_usd":
        return
    accepted = {code for word in currency.accept for code in (word.casefold(), *currencies.named(word))}
    for path in spec.paths:
        if found := [each.upper() for each in currencies.foreign(path) if each not in accepted]:
            yield (
                f"{where}.path: {path!r} names another currency; if it holds US dollars all the same, "
                f'say so with {CURRENCY} = {{ value = "USD", accept = ["{found[0]}"] }}'
            )


def _check_origin(name: str, spec: FieldMap) -> Iterator[str]:
    """Where a value comes from, and as what it is read."""
    given = bool(spec.paths) or spec.value is not None
    if given == (spec.template is not None):
        yield ": give exactly one of path, paths, value or template (value beside paths is for where they have none)"
    wanted = {**FIELD_TYPES, CURRENCY: CURRENCY}[name]
    types = ("time", *EPOCHS) if wanted == "time" else (wanted,)
    if spec.type not in ("", *types):
        yield f".type: cannot be {spec.type!r} ({', '.join(types)})"
    if spec.template is None:
        return
    if wanted not in ("text", "time"):
        yield ".template: only text and time fields take a template"
    if not _is_template(spec.template):
        yield f".template: must be text with {{field}} or {{path}} in it, got {spec.template!r}"
    # A time is no listing's name, and takes these words for paths.
    if wanted == "text" and name != "external_id" and "{name}" in spec.template:
        yield ".template: cannot use {name}, which is not known yet"
    if name == "symbol" and "{symbol}" in spec.template:
        yield ".template: cannot use {symbol}, which is not known yet"


def _check_number(name: str, spec: FieldMap) -> Iterator[str]:
    wanted = FIELD_TYPES.get(name)
    if spec.scale is not None and (wanted != "number" or not _is_scale(spec.scale)):
        yield f".scale: must be a quoted number from 1e-40 to 1e40 on a number field, got {spec.scale!r}"
    if spec.decimal not in ("", ".", ","):
        yield f'.decimal: must be "." or ",", got {spec.decimal!r}'
    if spec.decimal and wanted not in ("number", "integer"):
        yield ".decimal: only number fields have a decimal sign"


def _check_time(name: str, spec: FieldMap) -> Iterator[str]:
    for key, given in (("formats", spec.formats), ("timezone", spec.timezone), ("fold", spec.fold)):
        if given and (name != "observed_at" or spec.type in EPOCHS):
            yield f".{key}: only times that are no epochs have {key}"
    if spec.timezone and not is_zone(spec.timezone):
        yield f".timezone: there is no time zone {spec.timezone!r} (such as Europe/Berlin or UTC)"
    if spec.fold not in ("", "earlier", "later"):
        yield f".fold: must be earlier or later, got {spec.fold!r}"
    if spec.fold and not spec.timezone:
        yield ".fold: means nothing without timezone"
    wrong = [line for text in spec.formats for line in _check_format(text)]
    yield from wrong
    if not wrong:
        for one, other in permutations(spec.formats, 2):
            if _disagree(one, other):
                yield f".formats: {one!r} and {other!r} read the same text as different times"


def _check_format(text: str) -> Iterator[str]:
    found = set(re.findall(r"%(.?)", text, re.DOTALL))
    if found - _DIRECTIVES:
        unknown = ", ".join(f"%{sign}" for sign in sorted(found - _DIRECTIVES))
        yield f".formats: {text!r} has {unknown}; known are {', '.join(f'%{sign}' for sign in sorted(_DIRECTIVES))}"
    elif not found & {"Y", "y"} or not any(parts <= found for parts in _DATES):
        yield f".formats: {text!r} must have a year and a day, such as %d.%m.%Y or %b %d, %Y"
    elif ("I" in found) != ("p" in found) or {"H", "I"} <= found or ("M" in found and not found & {"H", "I"}):
        yield f".formats: {text!r} must have its hours as %H, or as %I with %p"
    else:
        try:
            datetime.strptime(_PROBE.strftime(text), text)  # noqa: DTZ007 - only whether it can be read
        except (ValueError, re.error):
            yield f".formats: {text!r} is no format of strptime"


def _disagree(one: str, other: str) -> bool:
    """Whether a text written as `one` could be read as another day, or hour, by `other`."""
    written = _PROBE.strftime(one)
    try:
        return datetime.strptime(written, one) != datetime.strptime(written, other)  # noqa: DTZ007
    except ValueError:
        return False


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _is_template(text: str) -> bool:
    try:
        parts = [
            name
            for _, name, spec, conversion in string.Formatter().parse(text)
            if name is not None or spec or conversion
        ]
    except ValueError:
        return False
    return bool(parts) and all(parts)


def _is_scale(text: str) -> bool:
    try:
        return Decimal("1e-40") <= Decimal(text) <= Decimal("1e40")
    except InvalidOperation:
        return False
