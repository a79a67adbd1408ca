"""Has a file the columns that a map names? Without them every row would be a rejection; this is said once instead."""

import string
from collections import Counter
from collections.abc import Mapping, Set

from attrs import frozen

from kasparro.etl.field_map import FieldMap
from kasparro.etl.readers import csv_layout
from kasparro.etl.readers.csv_layout import Layout, LayoutError
from kasparro.etl.source import CURRENCY

# Fields without which there is no quote.
_REQUIRED = ("external_id", "symbol", "name", CURRENCY, "observed_at", "price_usd")


@frozen(kw_only=True)
class Wanted:
    """The columns that the fields of a map are read from; `constants` are those that the name of the file gives."""

    fields: Mapping[str, FieldMap]
    constants: Set[str] = frozenset()

    @property
    def columns(self) -> set[str]:
        """Every name, those in templates too."""
        found = {path for spec in self.fields.values() for path in spec.paths}
        return found.union(*(_keys(name, spec.template or "") for name, spec in self.fields.items()))

    def spelt(self, names: list[str]) -> list[str]:
        """A header's names, in the map's spelling where only that differs, and it is plain which is meant."""
        columns = self.columns - self.constants
        mine, theirs = Counter(map(str.lower, columns)), Counter(map(str.lower, names))
        own = {name.lower(): name for name in columns if mine[name.lower()] == theirs[name.lower()] == 1}
        return [own.get(name.lower(), name) for name in names]

    def missing(self, layout: Layout, names: list[str]) -> str:
        """What the map needs and a file with these `names` lacks, '' for nothing.

        Raises LayoutError for a mapped column that stands there twice: which is meant, nobody knows.
        """
        known, lacking = {*csv_layout.available(layout), *self.constants}, []
        for name in _REQUIRED:
            spec = self.fields.get(name)
            if spec is None or spec.value is not None:
                continue
            if spec.template is not None:
                keys = [key for key in _keys(name, spec.template) if key not in known]
                lacking += [f"{name} ({' and '.join(keys)})"] if keys else []
            elif not known & set(spec.paths):
                lacking.append(f"{name} ({' or '.join(spec.paths)})")
        if lacking:
            return f"no column for {'; '.join(lacking)}"
        twice = sorted(name for name in self.columns if names.count(name) > 1)
        if twice:
            raise LayoutError(f"the header has {twice[0]!r} more than once")
        return ""


def _keys(name: str, template: str) -> list[str]:
    """The columns that a template takes; texts know their symbol and name by themselves."""
    keys = [key for _, key, _, _ in string.Formatter().parse(template) if key]
    return [key for key in keys if name == "observed_at" or key not in ("symbol", "name")]
