"""Which field map would read these files? What was seen of them becomes a TOML file, with the reasons as comments.

The parts decide: contents and grid how files are written, cells what is in their columns,
amounts and identity which of it is what; document writes it down.
"""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from kasparro.errors import SliceError
from kasparro.etl import catalogue, file_rules, pairs, values
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess import amounts, cells, contents, grid, identity, keys, vocabulary, when
from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.grid import Table
from kasparro.etl.guess.identity import Identity
from kasparro.etl.guess.keys import Choice, Entry
from kasparro.etl.pairs import Said
from kasparro.etl.source_rules import RESERVED_NAMES

# Columns of Binance's candles and Kraken's, which come without a header.
_KNOWN_COLUMNS = {
    12: ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades",
         "taker_base_volume", "taker_quote_volume", "ignore"),
    7: ("time", "open", "high", "low", "close", "volume", "trades"),
    8: ("time", "open", "high", "low", "close", "vwap", "volume", "trades"),
    6: ("time", "open", "high", "low", "close", "volume"),
}  # fmt: skip
# Characters: a source's name has 40, and some may be put before or behind.
_LONGEST_NAME = 36
# Characters shown of what stands before a header.
_LONGEST_PREAMBLE = 200
# Files that a message shows the differences of.
_SHOWN = 5


@frozen(kw_only=True)
class Guess:
    """A map in parts: the keys of the file itself, of [files], and of [fields]; and what was seen."""

    paths: tuple[Path, ...]
    name: str
    tables: tuple[Table, ...]
    columns: tuple[Column, ...]
    files: tuple[Entry, ...]
    fields: tuple[Entry, ...]

    @property
    def undecided(self) -> list[Entry]:
        """The entries to fill in."""
        return [entry for entry in (*self.files, *self.fields) if entry.todo]


def run(paths: Sequence[Path], encoding: str = "") -> Guess:
    """Look at the files, and decide what can be decided; their `encoding` may be said.

    Raises SliceError for what cannot be read, or differs.
    """
    if encoding and not file_rules.is_encoding(encoding):
        raise SliceError(f"--encoding: {values.show(encoding)} is none that files can be read in")
    tables = [grid.find(contents.sample(path), encoding) for path in paths]
    _check_alike(paths, tables)
    table = tables[0]
    rows = [row for each in tables for row in each.rows]
    if not rows:
        raise SliceError(f"{paths[0].name}: no row stands below the header {grid.shown(table.columns)}")
    columns = cells.find(table.columns, rows)
    if not table.has_header and (known := _known(columns)):
        tables = [evolve(each, columns=known) for each in tables]
        columns = cells.find(known, rows)
    said = [pairs.file_name(path).merged(map(pairs.note, (*each.notes, *each.strays)))
            for path, each in zip(paths, tables, strict=True)]  # fmt: skip
    fields, identity, more = _fields(columns, said, [note for each in tables for note in each.notes])
    decimal = _decimal(fields, columns, tables)
    entries = [keys.complete(choice) for choice in fields]
    files = (*_files(paths, tables, identity), *more, *decimal)
    order = ("symbol", "name", "external_id", "observed_at", "price_usd", "currency")
    ranked = sorted((*identity.entries, *entries), key=lambda each: order.index(each.key) if each.key in order else 9)
    return Guess(
        paths=tuple(paths), name=_name(paths), tables=tuple(tables), columns=tuple(columns), files=files,
        fields=tuple(ranked),
    )  # fmt: skip


def _broken(table: Table) -> str:
    """Why rows may stand in other columns than the header says, '' where nothing shows it."""
    if table.headers:
        more = f" and {len(table.headers) - 1} more" if len(table.headers) > 1 else ""
        return f"below another header, {table.headers[0]}{more}, rows are rejected: split the file there"
    if table.unfit:
        return f"{table.unfit}, as when numbers have commas that nothing quotes, or a column has no name: mend it"
    last, name = len(table.columns) - 1, table.columns[-1].rstrip("_")
    cell = next((row[last] for row in table.rows if row[last].strip()), "")
    if table.has_header and cell and name == f"_{last + 1}":
        return f"{cell!a} stands below no name, as when numbers have commas that nothing quotes: mend it, or name it"
    return ""


def _check_alike(paths: Sequence[Path], tables: Sequence[Table]) -> None:
    """Raises SliceError for files that one map cannot read, saying which differ, and in what."""
    differing = [
        f"{path.name} has {what} {grid.shown(found)}, {paths[0].name} has {grid.shown(first)}"
        for path, table in zip(paths[1:], tables[1:], strict=True)
        for what, found, first in _differences(table, tables[0])[:1]
    ]
    if differing:
        more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise SliceError(f"one map cannot read them all: {'; '.join(differing[:_SHOWN])}{more}")


def _differences(one: Table, other: Table) -> list[tuple[str, object, object]]:
    compared = (
        ("columns", one.columns, other.columns) if [*map(str.lower, one.columns)] != [*map(str.lower, other.columns)]
        else ("", "", ""),
        ("the delimiter", one.delimiter, other.delimiter),
        ("before quotes", one.escape, other.escape),
        ("the encoding", one.encoding.name, other.encoding.name) if one.encoding.declared != other.encoding.declared
        else ("", "", ""),
        ("lines before its header:", one.skip_lines, other.skip_lines),
        ("a header:", one.has_header, other.has_header),
    )  # fmt: skip
    return [(what, mine, theirs) for what, mine, theirs in compared if mine != theirs]


def _known(columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of columns without a header that are a known kind of candle: times first, then four prices."""
    names = _KNOWN_COLUMNS.get(len(columns), ())
    first = columns[0].times
    if not names or first is None or first.problem or not amounts.is_candle(columns[1:5]):
        return ()
    if any(not column.name.startswith("column_") for column in columns):
        return ()
    return names


def _fields(
    columns: list[Column], names: Sequence[Said], notes: Sequence[str]
) -> tuple[list[Choice], Identity, list[Entry]]:
    """The choices of time and numbers, the identity, and further keys of [files]."""
    price = amounts.price(columns)
    weak = not price.columns or price.columns[0].score("price_usd") < 60 or price.columns[0].meaning.in_coins
    wide = identity.wide(columns) if weak and identity.symbols(columns) is None else None
    column = price.columns[0] if price.columns and wide is None else None
    closing = column is not None and {"close", "closing"} & set(vocabulary.words(column.name)) != set()
    time = when.time([each for each in columns if each is not column], notes, closing=closing)
    more, dated = list[Entry](), ""
    if not time.columns and len(names) == 1 and names[0].date_text:
        time, dated = when.of_file_name(names[0].date_text)
    if wide is not None:
        why = identity.shown(wide)
        more.append(Entry(key="wide", value=keys.table(columns=wide.pattern), why=why))
        entry = Entry(key="price_usd", value="", why="the cell of such a column")
        choices = [time, Choice(entry=entry, keys={"path": "value"}, columns=())]
        return choices, identity.of_wide(wide, columns, names).dated(dated), more
    daily = when.is_daily(time)
    rest = [each for each in columns if each not in time.columns]
    choices = [time, price, *amounts.optional(rest, column, daily=daily)]
    return choices, identity.find(columns, names, column).dated(dated), more


def _decimal(fields: list[Choice], columns: Sequence[Column], tables: Sequence[Table]) -> list[Entry]:
    """The decimal sign, where numbers are not plain or could be two; where columns differ it goes into their fields."""
    numbers = [each for each in columns if each.numbers is not None and not (each.times and each.times.type)]
    return amounts.decimal(fields, numbers, unquoted=grid.unquoted(tables))


def _files(paths: Sequence[Path], tables: Sequence[Table], identity: Identity) -> list[Entry]:
    table = tables[0]
    pattern, why = _glob(paths)
    if len(paths) == 1 and (identity.name_pattern or identity.entries[0].value.startswith("{ value")):
        why = "for more files than this one, guess them all at once: what their names say must not be mixed up"
    entries = [Entry(key="glob", value=keys.text(pattern), why=why)]
    if broken := next(filter(None, map(_broken, tables)), ""):
        todo = f"{broken}; {keys.text(pattern)} takes it as it is"
        entries = [Entry(key="glob", value=keys.text(UNDECIDED), todo=todo)]
    if table.encoding.declared:
        declared, todo = table.encoding.declared, table.encoding.doubt
        value = keys.text(UNDECIDED if todo else declared)
        entries.append(Entry(key="encoding", value=value, why=table.encoding.why, todo=todo))
    if table.delimiter != ",":
        entries.append(Entry(key="delimiter", value=keys.text(table.delimiter)))
    if table.comment:
        why = "lines that begin so are no rows"
        entries.append(Entry(key="comment", value=keys.text(table.comment), why=why))
    if table.escape:
        why = "quotes in cells stand behind it"
        entries.append(Entry(key="escape", value=keys.text(table.escape), why=why))
    twice = table.has_header and any(vocabulary.meaning(name).scores for name in _doubled(table))
    if twice and not table.packed:
        why = f"{grid.shown(_doubled(table))}: the header has it twice, so that these names take its place"
        lines = 1 + sum(name.count("\n") for name in table.columns)
        table = evolve(table, has_header=False, skip_lines=table.skip_lines + lines)
    if table.skip_lines and not twice:
        why = f"before the header stands {' / '.join(filter(None, table.preamble))[:_LONGEST_PREAMBLE]!r}"
    if table.skip_lines:
        entries.append(Entry(key="skip_lines", value=str(table.skip_lines), why=why))
    if not table.has_header:
        why = "there is no header" if not table.preamble else "made of the lines above"
        why = f"{why}; these names are made up" if table.columns[0] == "column_1" else why
        value = f"[{', '.join(map(keys.text, table.columns))}]"
        entries.append(Entry(key="columns", value=value, why=why))
    if identity.name_pattern:
        entries.append(Entry(key="name_pattern", value=keys.text(identity.name_pattern)))
    return entries


def _doubled(table: Table) -> tuple[str, ...]:
    """The names that several columns have."""
    called = [cells.called(table.columns, number) for number in range(len(table.columns))]
    return tuple(dict.fromkeys(name for name in called if called.count(name) > 1))


def _glob(paths: Sequence[Path]) -> tuple[str, str]:
    """A pattern that names the files and, where possible, no other one; and what other ones it names."""
    whole = sorted({str(path.resolve()) for path in paths})
    for name in whole:
        if values.UNSTORABLE.search(name):
            raise SliceError(f"{name!a}: no map can name a file whose path is no UTF-8 text: rename it")
    if len(whole) == 1:
        return glob.escape(whole[0]), "a pattern such as *.csv reads more files of this kind"
    folders = {os.path.dirname(name) for name in whole}
    if len(folders) > 1:
        ending = re.search(r"(\.\w+)*$", _common([name[::-1] for name in whole])[::-1])
        pattern = f"{glob.escape(os.path.commonpath(list(folders)))}/**/*{ending[0] if ending else ''}"
    else:
        folder = folders.pop()
        names = [os.path.basename(name) for name in whole]
        start = _common(names)
        end = _common([name[len(start) :][::-1] for name in names])[::-1]
        pattern = f"{glob.escape(os.path.join(folder, start))}*{glob.escape(end)}"
    more = len([name for name in glob.iglob(pattern, recursive=True) if os.path.isfile(name)]) - len(whole)
    return pattern, f"it names {more} files that were not looked at, too" if more > 0 else ""


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with, character by character."""
    first, last = min(texts), max(texts)
    return first[: next((at for at, sign in enumerate(first) if last[at : at + 1] != sign), len(first))]


def _name(paths: Sequence[Path]) -> str:
    """A name for the source, made of what the files' names begin with."""
    stems = [re.sub(r"(\.[a-z]+)+$", "", path.name.casefold()) for path in paths]
    words = re.findall(r"[a-z0-9]+", _common(stems)) or ["files"]
    while len("_".join(words)) > _LONGEST_NAME and len(words) > 1:
        words.pop()
    name = "_".join(words)[:_LONGEST_NAME]
    if not re.match("[a-z]", name):
        name = f"f_{name}"
    built_in = {path.stem for path in catalogue.BUILT_IN_FOLDER.glob("*.toml")}
    return f"{name}_map" if name in built_in | RESERVED_NAMES else name
