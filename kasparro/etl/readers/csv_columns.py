"""Has a file the columns that a map names? Without them every row would be a rejection; this is said once instead."""

import string
from collections.abc import Iterable, Mapping

from kasparro.etl.field_map import FieldMap
from kasparro.etl.readers import csv_layout
from kasparro.etl.readers.csv_layout import Layout, LayoutError
from kasparro.etl.source import CURRENCY

# Fields without which there is no quote.
_REQUIRED = ("external_id", "symbol", "name", CURRENCY, "observed_at", "price_usd")


def missing(fields: Mapping[str, FieldMap], constants: Iterable[str], layout: Layout, names: list[str]) -> str:
    """What the map needs and a file with these `names` lacks, '' for nothing; `constants` need no column.

    Raises LayoutError for a mapped column that stands there twice: which is meant, nobody knows.
    """
    known = {*csv_layout.available(layout), *constants}
    wanted = []
    for name in _REQUIRED:
        spec = fields.get(name)
        if spec is None or spec.value is not None:
            continue
        if spec.template is not None:
            lacking = [key for key in _keys(name, spec.template) if key not in known]
            wanted += [f"{name} ({' and '.join(lacking)})"] if lacking else []
        elif not known & set(spec.paths):
            wanted.append(f"{name} ({' or '.join(spec.paths)})")
    if wanted:
        return f"no column for {'; '.join(wanted)}"
    mapped = {path for spec in fields.values() for path in spec.paths}
    for name, spec in fields.items():
        mapped.update(_keys(name, spec.template or ""))
    twice = sorted(name for name in mapped if names.count(name) > 1)
    if twice:
        raise LayoutError(f"the header has {twice[0]!r} more than once")
    return ""


def _keys(name: str, template: str) -> list[str]:
    """The columns that a template takes; texts know their symbol and name by themselves."""
    keys = [key for _, key, _, _ in string.Formatter().parse(template) if key]
    return [key for key in keys if name == "observed_at" or key not in ("symbol", "name")]
