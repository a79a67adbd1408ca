"""How does a TOML file become a Source? cattrs structures it, strictly; every mistake is named by file and key."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import cattrs
from attrs import evolve, fields_dict, has
from cattrs.gen import make_dict_structure_fn

from kasparro import errors
from kasparro.etl import schedule as schedules
from kasparro.etl import source_rules
from kasparro.etl.field_map import FieldMap
from kasparro.etl.policies import Policy
from kasparro.etl.source import CURRENCY, FIELD_TYPES, Duplicates, Kind, Order, Source


def load(path: Path) -> Source:
    """Read one source file. Raises ConfigError with one line for every mistake, each naming file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as ex:
        raise errors.ConfigError([f"{path.name or path}: cannot be read: {ex.strerror}"]) from ex
    except UnicodeDecodeError as ex:
        raise errors.ConfigError([f"{path.name}: not valid TOML: {ex}"]) from ex
    return parse(text, name=path.name, folder=path.parent)


def parse(text: str, *, name: str, folder: Path) -> Source:
    """The source that a file called `name` in `folder` would be with this text. Raises ConfigError as `load` does."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as ex:
        raise errors.ConfigError([f"{name}: not valid TOML: {ex}"]) from ex
    try:
        source: Source = _converter.structure(document, Source)
    except cattrs.BaseValidationError as ex:
        raise errors.ConfigError([f"{name}: {line}" for line in _explain(ex)]) from ex
    problems = [*_empty(document), *source_rules.problems(source)]
    if problems:
        raise errors.ConfigError([f"{name}: {line}" for line in problems])
    source = evolve(source, fields=_with_types(_all_fields(source)))
    if source.backfill is not None:
        source = evolve(source, backfill=evolve(source.backfill, fields=_with_types(source.backfill.fields)))
    if source.files is not None and source.files.glob and not Path(source.files.glob).is_absolute():
        source = evolve(source, files=evolve(source.files, glob=str(folder.resolve() / source.files.glob)))
    return source


def _empty(document: Mapping[str, Any]) -> Iterator[str]:
    """Keys of [files] that say nothing: somebody meant something by them."""
    for key, value in document.get("files", {}).items():
        if value in ("", []) and key not in ("glob", "null"):
            yield f"files.{key}: must not be empty; leave it out"


def _all_fields(source: Source) -> dict[str, FieldMap]:
    fields = dict(source.fields)
    if source.files is not None and "external_id" not in fields:
        fields["external_id"] = FieldMap(template="{symbol}:{name}")
    return fields


def _with_types(fields: Mapping[str, FieldMap]) -> dict[str, FieldMap]:
    types = {**FIELD_TYPES, CURRENCY: CURRENCY}
    return {name: evolve(fields[name], type=fields[name].type or types[name]) for name in types if name in fields}


def _structure_field(value: Any, _: type) -> FieldMap:
    """A field is a path as plain text, or a table."""
    if isinstance(value, str):
        return FieldMap(paths=(value,))
    if not isinstance(value, Mapping):
        raise TypeError(f"must be a path or a table, got {value!r}")
    for one, several in (("path", "paths"), ("format", "formats")):
        if one in value:
            if several in value:
                raise ValueError(f"give {one} or {several}, not both")
            value = {key: entry for key, entry in value.items() if key != one} | {several: [value[one]]}
    return _structure_field_table(value, FieldMap)


def _strict(kind: type) -> Any:
    """Structure a value only when TOML already has that type: no text for a number, no number for text."""

    def structure(value: Any, _: type) -> Any:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"must be {_TOML_WORDS[kind]}, got {value!r}")
        return value

    return structure


def _one_of(words: type[StrEnum]) -> Any:
    """Structure one word of an enumeration."""

    def structure(value: Any, _: type) -> Any:
        if value not in list(words):
            raise ValueError(f"must be one of {', '.join(words)}, got {value!r}")
        return words(value)

    return structure


def _is(kind: Any) -> Callable[[Any], bool]:
    return lambda candidate: candidate == kind


def _structure_words(value: Any, kind: Any) -> Any:
    """An array of texts; a text alone would be taken letter by letter."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"must be an array of texts, got {value!r}")
    return get_origin(kind)(value)


def _explain(ex: Exception) -> list[str]:
    """cattrs' error groups as lines `key: what is wrong`."""
    lines = []
    for line in cattrs.transform_error(ex, path="", format_exception=_describe):
        message, _, where = line.rpartition(" @ ")
        key = re.sub(r"\['?([^'\]]*)'?\]", r".\1", where).lstrip(".")
        lines.append(f"{key or 'file'}: {message}")
    return lines


def _describe(ex: BaseException, kind: type | None) -> str:
    if isinstance(ex, cattrs.ForbiddenExtraKeysError):
        known = ", ".join(fields_dict(ex.cl))
        return f"unknown key {', '.join(sorted(ex.extra_fields))} (known: {known})"
    if isinstance(ex, KeyError):
        return "required"
    if isinstance(ex, TypeError | ValueError) and str(ex):
        return str(ex)
    if any(map(has, get_args(kind) or (kind,))):
        return "must be a table"
    return f"cannot be read as {getattr(kind, '__name__', kind)}"


_TOML_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _strict(kind))
    for words in (Kind, Order, Duplicates, Policy):
        converter.register_structure_hook(words, _one_of(words))
    for several in (tuple[str, ...], frozenset[str]):
        converter.register_structure_hook_func(_is(several), _structure_words)
    converter.register_structure_hook(
        schedules.Schedule, lambda text, _: schedules.parse(text if isinstance(text, str) else "")
    )
    converter.register_structure_hook(FieldMap, _structure_field)
    return converter


_converter = _make_converter()
_structure_field_table = make_dict_structure_fn(FieldMap, _converter, _cattrs_forbid_extra_keys=True)
