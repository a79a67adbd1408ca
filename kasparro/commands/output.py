"""How do commands print? Tables for people on a terminal, aligned text for pipes, JSON for programs, on stdout."""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import Any, TextIO

from kasparro.config import Secret
from kasparro.log import one_line

# Shorter keys show nothing of themselves: four characters of them would be too much.
_MIN_HINT_CHARACTERS = 16
# Characters; above the widest table there is.
_WIDEST = 1000


def show_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """Print rows under their headers; the columns named in `numbers` are aligned to the right.

    None is shown as a dash, a number with its thousands apart.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _show_rich(headers, cells, numbers)
        return
    widths = [max(len(row[column]) for row in (headers, *cells)) for column in range(len(headers))]
    for row in (headers, *cells):
        parts = (
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(headers, row, widths, strict=True)
        )
        print("  ".join(parts).rstrip())


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Print one line to stdout or `stream`, whatever upstreams or files put into it."""
    print(one_line(text), file=stream)


def show_json(value: object) -> None:
    """Print one JSON document: indented for people, on one line for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None, default=_plain))


def take_any_text(*, encoding: str | None = None) -> None:
    """Let stdout write whatever comes: what its encoding lacks, or a file's name that is no text, as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


@contextmanager
def on_stderr() -> Iterator[None]:
    """Print what is for a person beside a document that goes to stdout."""
    with redirect_stdout(sys.stderr):
        yield


def moment(when: datetime | None) -> str | None:
    """A time as RFC 3339 in UTC with whole seconds."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mask(secret: Secret | None) -> str | None:
    """Whether a secret is set; of a long one its end, so that two keys can be told apart."""
    if secret is None:
        return None
    text = secret.reveal()
    return f"set (…{text[-4:]})" if len(text) >= _MIN_HINT_CHARACTERS else "set"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return one_line(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    return str(value)


def _show_rich(headers: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), show_edge=False)
    for name in headers:
        table.add_column(Text(name), justify="right" if name in numbers else "left", no_wrap=True)
    for row in cells:
        # Text, because a plain string would have its square brackets read as markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    # On a narrow terminal rich would cut cells; the terminal wraps long lines, and nothing is lost.
    unlimited = console.options.update(max_width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=unlimited).maximum)
    console.print(table)
