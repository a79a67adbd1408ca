"""How is a guess written down? As a TOML file that a person can read: every key with its reason, and what was seen."""

from collections.abc import Iterator, Sequence

from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.draft import Guess
from kasparro.etl.guess.grid import Table
from kasparro.etl.guess.keys import Entry

# Characters of a value that is shown as an example, and columns that are described.
_EXAMPLE = 40
_MAX_COLUMNS = 60


def write(guess: Guess) -> str:
    """The map, with placeholders for what is not decided."""
    lines = ["# Made by `kasparro sources guess` of", *(f"#   {_plain(str(path))}" for path in guess.paths)]
    lines += [f"# {line}" for line in _seen(guess)]
    if guess.undecided:
        lines += ["#", '# To be filled in, each marked FILL IN below; while there is a "?" the map is refused:']
        lines += [f"#   {entry.key}: {_plain(entry.todo)}" for entry in guess.undecided]
    return "\n".join((*lines, "", *_keys(guess), "", "[files]", *_entries(guess.files), "", "[fields]",
                      *_entries(guess.fields), ""))  # fmt: skip


def preview(guess: Guess) -> str | None:
    """The map with something in the place of an unknown symbol, currency or zone; None where more is unknown."""
    entries = [entry for entry in guess.fields if not entry.off]
    if any(entry.todo and not entry.stand_in for entry in (*entries, *guess.files)):
        return None
    shown = [f"{entry.key} = {entry.stand_in if entry.todo else entry.value}" for entry in entries]
    files = [f"{entry.key} = {entry.value}" for entry in guess.files if not entry.off]
    return "\n".join((*_keys(guess), "[files]", *files, "[fields]", *shown, ""))


def _keys(guess: Guess) -> list[str]:
    return [f'name = "{guess.name}"', 'kind = "csv_files"', 'schedule = "every 1h"', 'order = "unsorted"']


def _entries(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.todo:
            yield f"# FILL IN: {_plain(entry.todo)}"
        if entry.why:
            yield f"# {'perhaps, but ' if entry.off else ''}{_plain(entry.why)}"
        yield f"{'# ' if entry.off else ''}{entry.key} = {entry.value}"


def _seen(guess: Guess) -> Iterator[str]:
    """What was found out, as sentences."""
    table = guess.tables[0]
    yield f"{_form(table)}; {_how_many(guess.tables)}."
    ragged = sum(each.judged - each.fitting for each in guess.tables)
    if ragged:
        yield f"{ragged} of the first rows have another number of cells: each will be a rejection."
    yield "Columns:"
    for column in guess.columns[:_MAX_COLUMNS]:
        yield f'  "{_plain(column.name)}": {_column(column)}'
    if len(guess.columns) > _MAX_COLUMNS:
        yield f"  and {len(guess.columns) - _MAX_COLUMNS} more"


def _form(table: Table) -> str:
    names = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
    header = "a header" if table.has_header else "no header"
    ends = "lines without an end" if table.line_end == "none" else f"{table.line_end} line ends"
    packed = ", the header misquoted as one cell" if table.packed else ""
    return f"{table.encoding.why}; {ends}; {names.get(table.delimiter, repr(table.delimiter))}; {header}{packed}"


def _how_many(tables: Sequence[Table]) -> str:
    rows = sum(len(table.rows) for table in tables)
    whole = all(table.sample.complete for table in tables)
    return f"{rows:,} rows looked at{'' if whole else ', of the beginning and, where it can be, of pieces of the rest'}"


def _column(column: Column) -> str:
    if column.kind == "empty":
        return "always absent"
    examples = ", ".join(_plain(each)[:_EXAMPLE] for each in column.distinct[:2])
    kind = "time" if column.kind == "number" and column.times is not None and column.times.type else column.kind
    absent = [f"{count} {f'of {_plain(word)!r}' if word else 'blank'}" for word, count in column.absent.items()]
    absent += [f"{word!r} taken for absent" for word in map(_plain, column.words)]
    absent += [f"{text!r} is none" for text in map(_plain, column.odd)]
    shown = f" ({', '.join(absent)})" if absent else ""
    return f"{kind}, such as {examples}{shown}"


def _plain(text: str) -> str:
    """Text that may stand in a TOML comment, whatever it was."""
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "\ufffd" for sign in text)
