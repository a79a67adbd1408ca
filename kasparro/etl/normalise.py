"""Stage: a record becomes a Quote or a Rejection. Bad data is a value here; nothing raises for it.

A source's field map is compiled once into plain functions, because this runs for every record there is.
"""

import hashlib
import string
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from operator import methodcaller
from typing import Any

from attrs import define, evolve

from kasparro.etl import field_map, identify, number_text, time_text, values
from kasparro.etl.field_map import FieldMap
from kasparro.etl.source import CURRENCY, Kind, Source
from kasparro.etl.values import BadValueError
from kasparro.model import Normalised, Quote, Record, Rejection

Normaliser = Callable[[Record, Mapping[str, str]], Normalised]
Compiler = Callable[[Source], Normaliser]
Getter = Callable[[Mapping[str, Any]], Any]

# Quote fields that may be negative.
_SIGNED = frozenset({"change_24h_pct"})


def compile_source(source: Source) -> Normaliser:
    """The function that normalises this source's records. Call it with a record and its slice's constants."""
    text = {name: _compile_text(source, name) for name in ("symbol", "name", "external_id")}
    getters = [
        (name, _compile_value(source, name, spec))
        for name, spec in source.fields.items()
        if name not in text and name != CURRENCY
    ]  # fmt: skip
    if CURRENCY in source.fields:
        text[CURRENCY] = _compile_currency(source)
    return partial(_normalise, text=text, getters=getters, expected=source.expected)


def spoil(record: Record) -> Record:
    """A record that no longer gives a quote, for an injected fault: it lost everything but its text."""
    defect = Rejection(stage="read", code="not_an_object", field=None, message="spoiled by an injected fault")
    return evolve(record, fields={}, defect=defect)


@define
class _Found:
    """What was found out about a record so far; `field` is the one that is looked at."""

    field: str = "external_id"
    external_id: str | None = None
    symbol: str | None = None
    name: str | None = None


def _normalise(
    record: Record,
    constants: Mapping[str, str],
    *,
    text: Mapping[str, Callable[..., str]],
    getters: list[tuple[str, Getter]],
    expected: frozenset[str],
) -> Normalised:
    found, quote, rejection = _Found(), None, None
    if record.defect is not None:
        rejection = evolve(record.defect, expected=record.defect.code in expected)
    else:
        # What the reader knows of the whole slice stands in for columns that the record lacks.
        fields = {**constants, **record.fields} if constants else record.fields
        try:
            quote = _quote(found, fields, text, getters)
        except BadValueError as bad:
            rejection = Rejection(
                stage="normalise", code=bad.code, field=found.field, message=bad.message, expected=bad.code in expected
            )
            if found.external_id is None and found.field != "external_id":
                found.external_id = _try(text["external_id"], fields, found.symbol or "", found.name or "")
    return Normalised(
        content_hash=_hash(record.payload, found.external_id, constants),
        payload=record.payload,
        external_id=found.external_id,
        symbol=found.symbol,
        name=found.name,
        symbol_key=None if found.symbol is None else identify.fold(found.symbol),
        quote=quote,
        rejection=rejection,
    )


def _quote(
    found: _Found, fields: Mapping[str, Any], text: Mapping[str, Callable[..., str]], getters: list[tuple[str, Getter]]
) -> Quote:
    """The quote of a record. Raises BadValueError for the first field that gives no value."""
    found.field = "symbol"
    found.symbol = symbol = text["symbol"](fields, "", "")
    found.field = "name"
    found.name = name = text["name"](fields, symbol, "")
    found.field = "external_id"
    found.external_id = text["external_id"](fields, symbol, name)
    if CURRENCY in text:
        found.field = CURRENCY
        text[CURRENCY](fields, symbol, name)
    values_found: dict[str, Any] = {}
    for found.field, get in getters:
        values_found[found.field] = get(fields)
    return Quote(**values_found)


def _hash(payload: str, external_id: str | None, constants: Mapping[str, str]) -> str:
    """32 hex digits over everything that a quote is made of."""
    tail = "".join(f"\x1f{key}\x1f{value}" for key, value in sorted(constants.items())) if constants else ""
    content = f"{payload}\x1e{external_id or ''}{tail}".encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _try(make: Callable[..., str], *args: Any) -> str | None:
    try:
        return make(*args)
    except BadValueError:
        return None


def _compile_text(source: Source, name: str) -> Callable[..., str]:
    spec = source.fields[name]
    if spec.template is not None:
        get: Callable[..., Any] = _template(source, name, spec.template)
    else:
        plain = _getter(source, spec)

        def get(fields: Mapping[str, Any], _symbol: str, _name: str) -> Any:
            return plain(fields)

    limit = values.MAX_TEXT_CHARACTERS[name]
    convert = values.text
    if source.files is not None and name != "name":
        convert = partial(values.file_key, absent=frozenset(source.files.null))

    def value(fields: Mapping[str, Any], symbol: str, name_: str) -> str:
        found = get(fields, symbol, name_)
        word = "" if found is None else convert(found, limit)
        if not word:
            raise BadValueError(f"{name}_missing", "is missing")
        return word

    return value


def _compile_currency(source: Source) -> Callable[..., str]:
    """The function that lets only records in US dollars pass."""
    spec = source.fields[CURRENCY]
    get = _getter(source, spec)
    dollars = number_text.DOLLARS | {word.strip().casefold() for word in spec.accept}
    usual = frozenset({"USD", "usd", *spec.accept})

    def check(fields: Mapping[str, Any], _symbol: str, _name: str) -> str:
        found = get(fields)
        if isinstance(found, str) and found in usual:
            return found
        if found is None:
            raise BadValueError("currency_missing", "is missing")
        word = values.text(found, values.MAX_TEXT_CHARACTERS["symbol"])
        if word.casefold() not in dollars:
            raise BadValueError("wrong_currency", f"must be in US dollars, got {values.show(found)}")
        return word

    return check


def _template(source: Source, name: str, template: str) -> Callable[..., Any]:
    """Fill in any `{path|path}` as the record has it; in texts `{symbol}` and `{name}` as normalised."""
    parts: list[tuple[str, str, Getter]] = []
    for literal, key, _, _ in string.Formatter().parse(template):
        parts.append((literal, key or "", _getter(source, FieldMap(paths=tuple((key or "").split("|")), type="text"))))
    limit = values.MAX_TEXT_CHARACTERS["external_id"]

    def fill(fields: Mapping[str, Any], symbol: str, name_: str) -> str | None:
        known = {"symbol": symbol, "name": name_} if name in values.MAX_TEXT_CHARACTERS else {}
        words = []
        for literal, key, get in parts:
            words.append(literal)
            if not key:
                continue
            word = known[key] if key in known else get(fields)
            if not word:
                return None
            words.append(word if key in known else values.text(word, limit))
        return "".join(words)

    return fill


def _compile_value(source: Source, name: str, spec: FieldMap) -> Callable[[Mapping[str, Any]], Any]:
    get = _getter(source, spec)
    if spec.template is not None:
        get = partial(_template(source, name, spec.template), symbol="", name_="")
    missing = {"price_usd": "price_missing", "observed_at": "observed_at_missing"}.get(name)
    convert = _converter(source, name, spec)
    # Words for absent are only looked for in what is no value: most records have none.
    words = source.files.null if source.files is not None and spec.template is None else ()
    get_real = _getter(source, evolve(spec, null=(*spec.null, *words))) if words else None

    def value(fields: Mapping[str, Any]) -> Any:
        found = get(fields)
        if found is not None:
            try:
                return convert(found)
            except BadValueError:
                real = found if get_real is None else get_real(fields)
                if real is found:
                    raise
                if real is not None:
                    return convert(real)
        if missing is not None:
            raise BadValueError(missing, "is missing")
        return None

    return value


def _converter(source: Source, name: str, spec: FieldMap) -> Callable[[Any], Any]:
    """What makes a value of this field of what was found."""
    if spec.type == "time":
        return time_text.converter(spec)
    if spec.type in values.EPOCH_UNITS:
        return partial(values.epoch, unit=values.EPOCH_UNITS[spec.type])
    scale = Decimal(spec.scale) if spec.scale is not None else None
    convert: Callable[[Any], Any]
    if spec.type == "integer":
        convert = values.integer
    elif name == "price_usd":
        convert = partial(values.price, scale=scale)
    else:
        convert = partial(values.number, scale=scale, signed=name in _SIGNED)
    decimal = spec.decimal or (source.files.decimal if source.files is not None else "")
    if not decimal:
        return convert
    plain = number_text.converter(decimal, unit=name.rpartition("_")[2])
    return lambda found: convert(plain(found))


def _getter(source: Source, spec: FieldMap) -> Getter:
    """The function that finds a field's value in a record, None where it is absent."""
    constant = spec.value
    if constant is not None and not spec.paths:
        return lambda _: constant
    nested = source.kind is Kind.JSON_API
    lookups = [_lookup(field_map.keys(path) if nested else (path,)) for path in spec.paths]
    nulls = frozenset(word.casefold() for word in spec.null)
    picky = bool(nulls) or spec.zero_is_null

    def get(fields: Mapping[str, Any]) -> Any:
        group = None
        for lookup in lookups:
            found = lookup(fields)
            if isinstance(found, str):
                if not found or found.isspace():
                    continue
            elif found is None:
                continue
            elif isinstance(found, dict):
                # No value, but one of the other paths may lead into it.
                group = found
                continue
            if picky and (_is_null(found, nulls) or (spec.zero_is_null and values.is_zero(found))):
                continue
            return found
        return constant if group is None else group

    return get


def _lookup(keys: tuple[str, ...]) -> Getter:
    *outer, last = keys
    if not outer:
        return methodcaller("get", last)

    def lookup(fields: Mapping[str, Any]) -> Any:
        for key in outer:
            fields = fields.get(key)  # type: ignore[assignment] # whatever stands there, the next line sees
            if not isinstance(fields, dict):
                return None
        return fields.get(last)

    return lookup


def _is_null(found: Any, nulls: frozenset[str]) -> bool:
    return isinstance(found, str) and found.strip().casefold() in nulls
