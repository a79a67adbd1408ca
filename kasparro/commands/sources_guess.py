"""`kasparro sources guess FILE...`: a field map for CSV files, made of what is in them.

The map goes to stdout, so that it can be kept in a file; what a person needs to know now goes to stderr. Needs neither
database nor network, and no settings.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasparro.commands import output, sources_try
from kasparro.etl.guess import check, document, draft
from kasparro.etl.guess.draft import Guess
from kasparro.etl.trial import Trial

UNDECIDED = 3
# What is supposed to show the first quotes where it is not decided.
_SUPPOSED = {"currency": "prices were in US dollars", "observed_at": "times were in UTC"}


def run(args: argparse.Namespace) -> int:
    """Print the map: 0 where it is complete, 3 where something is to be filled in. Raises SliceError for a bad file."""
    # TOML is UTF-8, whatever the terminal is.
    output.take_any_text(encoding="utf-8")
    checked = check.run(draft.run(args.file, args.encoding))
    found, text = checked.guess, document.write(checked.guess)
    if args.json:
        output.show_json(_document(found, text, checked.trials))
        return UNDECIDED if found.undecided else 0
    print(text, end="", flush=True)
    for path, preview in checked.trials.items():
        _show(path, preview, found)
    _advise(found)
    return UNDECIDED if found.undecided else 0


def _show(path: Path, preview: Trial, found: Guess) -> None:
    supposed = [_SUPPOSED[each.key] for each in found.undecided if each.stand_in and each.key in _SUPPOSED]
    as_if = f", as if {' and '.join(supposed)}" if supposed else ""
    with output.on_stderr():
        print()
        output.say(
            f"{path}: of {preview.read:,} records read {preview.quotes:,} give quotes{as_if}, the first of them:"
        )
        sources_try.show_quotes(preview.first)
        for reason in preview.reasons.values():
            where = f"{reason.rejection.field}: " if reason.rejection.field else ""
            output.say(f"{reason.records:,} rejected as {reason.rejection.code}: {where}{reason.rejection.message}")
        if preview.error is not None:
            output.say(f"kasparro: {preview.error}")


def _advise(found: Guess) -> None:
    if found.undecided:
        print("\nTo be filled in, each marked FILL IN in the map:", file=sys.stderr)
        for entry in found.undecided:
            output.say(f"  {entry.key}: {entry.todo}", stream=sys.stderr)
    shown = " ".join(f"'{path}'" if " " in str(path) else str(path) for path in found.paths[:3])
    output.say("", stream=sys.stderr)
    output.say(f"Then: kasparro sources try {found.name}.toml {shown}", stream=sys.stderr)


def _document(found: Guess, text: str, previews: Mapping[Path, Trial]) -> dict[str, Any]:
    return {
        "map": text,
        "undecided": [{"key": entry.key, "why": entry.todo} for entry in found.undecided],
        "files": [sources_try.entry(str(path), each) for path, each in previews.items()],
    }
