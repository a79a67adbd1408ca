"""What is one key of a guessed map? Its value as TOML, the reason for it, or what a person has to fill in."""

import json
from collections.abc import Sequence

from attrs import evolve, field, frozen

from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess.cells import Column

# The keys of an inline table.
Keys = dict[str, str | list[str] | bool]

# Columns that a message names.
_NAMED = 5


@frozen(kw_only=True)
class Entry:
    """One key of a map: its value as TOML, why it is so, and what is to be filled in where it is not decided.

    One that is `off` is a proposal: it is written as a comment. While one is not decided its `stand_in`, '' for none,
    shows the first quotes, and is never written down.
    """

    key: str
    value: str
    why: str = ""
    todo: str = ""
    off: bool = False
    stand_in: str = ""


@frozen(kw_only=True)
class Choice:
    """The columns that a field is read from, and its entry without what all numbers share."""

    entry: Entry
    columns: tuple[Column, ...] = ()
    keys: Keys = field(factory=dict)


def text(value: str) -> str:
    """A TOML string: one of JSON, with escapes for all that a terminal could take for more than text."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in written)


def table(**keys: str | list[str] | bool) -> str:
    """An inline table; a path alone is its short form."""
    if list(keys) == ["path"]:
        return text(str(keys["path"]))
    return f"{{ {', '.join(f'{key} = {_value(value)}' for key, value in keys.items())} }}"


def _value(found: str | list[str] | bool) -> str:  # noqa: FBT001 - one of the values of a map
    if isinstance(found, bool):
        return str(found).casefold()
    return text(found) if isinstance(found, str) else f"[{', '.join(map(text, found))}]"


def quoted(columns: Sequence[Column]) -> str:
    """Column names for people."""
    more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    return ", ".join(f'"{column.name}"' for column in columns[:_NAMED]) + more


def number_keys(column: Column) -> Keys:
    """What a field of numbers needs besides the column's path: words for absent, and the scale that its name says."""
    scale: Keys = {"scale": column.meaning.scale} if column.meaning.scale else {}
    return nulls(column) | scale


def nulls(column: Column) -> Keys:
    return {"null": list(column.words)} if column.words else {}


def undecided(key: str, todo: str) -> Choice:
    keys: Keys = {"value" if key == "observed_at" else "path": UNDECIDED}
    return Choice(entry=Entry(key=key, value="", todo=todo), keys=keys)


def complete(choice: Choice) -> Entry:
    """The entry with its value written out; where only a time zone is open, it stands in for that."""
    keys = dict(choice.keys)
    if choice.columns and "template" not in keys:
        keys = {"path": choice.columns[0].name, **keys}
    known = {key: value for key, value in keys.items() if value != UNDECIDED}
    stand_in = table(**known) if keys.keys() - known.keys() == {"timezone"} else choice.entry.stand_in
    return evolve(choice.entry, value=table(**keys), stand_in=stand_in)
