"""Has a file the columns that a map names? Without them every row would be a rejection; this is said once instead.

So is another coin, or currency, in the file's name, where no column says which.
"""

import string
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from pathlib import PurePath

from attrs import frozen

from kasparro.errors import SliceError
from kasparro.etl import currencies, pairs, values
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


def check_name(fields: Mapping[str, FieldMap], constants: Iterable[str], layout: Layout, file_name: str) -> None:
    """Raises SliceError where the file's name says another coin, or currency, than the map says for all files."""
    known = {*csv_layout.available(layout), *constants}
    for key in ("symbol", "name"):
        own = "" if known & set(fields[key].paths) else fields[key].value or ""
        if said := _other_coins(key, own, file_name):
            raise SliceError(
                f"{file_name}: its name says {' and '.join(said)}; the map says {key} = {values.show(own)} "
                "of all files: narrow files.glob, with a map for each coin, or rename the file if it is of that one; "
                f'or find coins in the names, with files.name_pattern = "(?P<symbol>{"|".join(said)})" and '
                'symbol = "symbol"; nothing of it was read',
                code="wrong_symbol",
            )
    if not layout.spread and (other := _other_currency(fields, known, file_name)):
        raise SliceError(
            f"{file_name}: its name says {other}, and no column says that prices are in US dollars; if they "
            f'are, say so in a map with currency = {{ value = "USD" }}; nothing of it was read',
            code="wrong_currency",
        )


def _other_coins(key: str, own: str, file_name: str) -> list[str]:
    """The coins that a file's name says, where they are others than the constant of this field."""
    mine = pairs.coin(own)
    # A name that is no known coin's may be that of any; while a map is guessed there may be a ? for a symbol.
    if not own or "?" in own or (key == "name" and mine not in pairs.COINS):
        return []
    said = pairs.coins(PurePath(file_name), own)
    return [] if mine in said else sorted(said)


def _other_currency(fields: Mapping[str, FieldMap], known: Set[str], file_name: str) -> str:
    """The currency that a file's name says, where it is not the dollar and nothing else says it; '' for none.

    A map that says by a constant in what all prices are has decided that; so has a column of prices in dollars.
    """
    currency, prices = fields.get(CURRENCY, FieldMap()), known & set(fields["price_usd"].paths)
    if (currency.value is not None and not currency.paths) or known & set(currency.paths):
        return ""
    if not prices or all("usd" in currencies.named(path) for path in prices):
        return ""
    said = pairs.file_name(PurePath(file_name))
    # A code by itself, such as MNT, may be a coin's.
    found = said.currencies if said.symbol else said.currencies & currencies.MAJOR
    return "" if "usd" in found or not found - currencies.STABLE else min(found - currencies.STABLE).upper()


def _keys(name: str, template: str) -> list[str]:
    """The columns that a template takes; texts know their symbol and name by themselves."""
    keys = [key for _, key, _, _ in string.Formatter().parse(template) if key]
    return [key for key in keys if name == "observed_at" or key not in ("symbol", "name")]
