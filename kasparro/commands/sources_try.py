"""`kasparro sources try MAP FILE...`: the quotes and rejections that a source file makes of CSV files.

Needs neither database nor network, and no settings.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from kasparro import errors
from kasparro.commands import output
from kasparro.etl import source_file, trial
from kasparro.etl.source import Source
from kasparro.model import Normalised

FAILED, REJECTED = 1, 3
QUOTE_COLUMNS = (
    "observed_at", "symbol", "name", "price_usd", "market_cap_usd", "volume_24h_usd", "change_24h_pct", "rank",
    "circulating_supply",
)  # fmt: skip
_NUMBERS = QUOTE_COLUMNS[3:]
# Characters of a rejected record that the table shows: a line stays readable. --json has all of it.
_PAYLOAD_CHARACTERS = 160


def run(args: argparse.Namespace) -> int:
    """Try every file: 0 all records gave quotes, 3 some did not, 1 a file could not be read. ConfigError: a bad map."""
    output.take_any_text()
    source = source_file.load(args.map)
    if source.files is None:
        raise errors.ConfigError([f"{args.map.name}: kind: only a csv_files source can be tried on files"])
    trials = {str(path): _try(source, path, args) for path in args.file}
    if args.json:
        output.show_json({"source": source.name, "files": [entry(name, each) for name, each in trials.items()]})
    if any(each.error is not None for each in trials.values()):
        return FAILED
    return REJECTED if any(each.unexpected for each in trials.values()) else 0


def _try(source: Source, path: Path, args: argparse.Namespace) -> trial.Trial:
    """Try one file and show, at once, what came of it: the next one may be large."""
    found = trial.run(source, path, first=args.limit)
    if not args.json and (found.read or found.error is None):
        _show(path, found)
    if found.error is not None:
        output.say(f"kasparro: {found.error}", stream=sys.stderr)
    return found


def _show(path: Path, found: trial.Trial) -> None:
    span = f", {output.moment(found.earliest)} to {output.moment(found.latest)}" if found.quotes else ""
    repeated = f" ({found.repeated:,} of them repeated)" if found.repeated else ""
    more = "+" if len(found.listings) >= trial.MAX_LISTINGS else ""
    output.say(
        f"{path}: {found.read:,} records: {found.quotes:,} quotes{repeated}, {found.rejected:,} rejected; "
        f"listings: {len(found.listings):,}{more}{span}"
    )
    if found.first:
        print()
        show_quotes(found.first)
    if found.reasons:
        print()
        _show_rejections(found)


def show_quotes(quotes: Iterable[Normalised]) -> None:
    """Print a table of quotes, without the columns that none of them has."""
    rows = [_quote(each) for each in quotes]
    columns = [name for name in QUOTE_COLUMNS if any(row[name] is not None for row in rows)]
    output.show_table(columns, [[row[name] for name in columns] for row in rows], numbers=_NUMBERS)


def _show_rejections(found: trial.Trial) -> None:
    rows = [
        [
            reason.records,
            reason.rejection.code,
            reason.rejection.field,
            "yes" if reason.rejection.expected else "no",
            f"{reason.first_record:,}",
            reason.rejection.message,
            _shorten(reason.payload),
        ]
        for reason in found.reasons.values()
    ]
    output.show_table(
        ("rejected", "code", "field", "expected", "first is", "message", "record"),
        rows,
        numbers=("rejected", "first is"),
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _PAYLOAD_CHARACTERS else f"{text[: _PAYLOAD_CHARACTERS - 1]}…"


def entry(name: str, found: trial.Trial) -> dict[str, Any]:
    return {
        "file": name,
        "read": found.read,
        "quotes": found.quotes,
        "repeated": found.repeated,
        "rejected": found.rejected,
        "listings": len(found.listings),
        "listings_complete": len(found.listings) < trial.MAX_LISTINGS,
        "earliest": found.earliest,
        "latest": found.latest,
        "first_quotes": [_quote(each) | {"external_id": each.external_id} for each in found.first],
        "rejections": [
            {
                "code": reason.rejection.code,
                "field": reason.rejection.field,
                "records": reason.records,
                "expected": reason.rejection.expected,
                "message": reason.rejection.message,
                "first_record": reason.first_record,
                "payload": json.loads(reason.payload),
            }
            for reason in found.reasons.values()
        ],
        "error": found.error,
    }


def _quote(found: Normalised) -> dict[str, Any]:
    """A quote by its columns, numbers as they are: exact, and without an exponent."""
    quote = found.quote
    if quote is None:
        raise ValueError("a rejection is no quote")
    numbers = {name: getattr(quote, name) for name in _NUMBERS}
    return {
        "observed_at": output.moment(quote.observed_at),
        "symbol": found.symbol,
        "name": found.name,
        **{name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in numbers.items()},
    }
