"""What does a guessed map give of its files? It is tried on the beginning of each, and what shows then is left open.

A number that would cost a file its quotes becomes a proposal; rows that contradict each other, and files of which no
record gives a quote, are for a person to look at.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

from kasparro.etl import source_file, trial
from kasparro.etl.guess import amounts, document
from kasparro.etl.guess.draft import Guess
from kasparro.etl.guess.keys import Entry
from kasparro.etl.trial import Reason, Trial

# Records of a file that are read for its first quotes and for how many of them are rejected.
_MAX_RECORDS = 20_000
_QUOTES = 5
# A number that a quote does not need may cost so many of them: what is missing here and there is no reason to lose it.
_TOLERATED = 0.02


@frozen(kw_only=True)
class Checked:
    """The guess after that, and what the rest of it gives of every file; nothing while too much is not decided."""

    guess: Guess
    trials: Mapping[Path, Trial]


def run(found: Guess) -> Checked:
    """Try the guess on all of its files."""
    trials = _try(found)
    costly = {name: said for name, said in _costly(trials) if name in amounts.OPTIONAL}
    if costly:
        fields = (evolve(each, off=True, why=costly[each.key]) if each.key in costly else each for each in found.fields)
        found = evolve(found, fields=tuple(fields))
        trials = _try(found)
    return Checked(guess=_opened(found, trials), trials=trials)


def _try(found: Guess) -> dict[Path, Trial]:
    text = document.preview(found)
    if text is None:
        return {}
    source = source_file.parse(text, name="the guessed map", folder=Path())
    return {path: trial.run(source, path, first=_QUOTES, max_records=_MAX_RECORDS) for path in found.paths}


def _costly(trials: Mapping[Path, Trial]) -> Iterator[tuple[str, str]]:
    """The fields for which more records are rejected than is worth it, with the reason."""
    for each in trials.values():
        for reason in each.reasons.values():
            if reason.records > _TOLERATED * each.read and reason.rejection.field is not None:
                said = f"{reason.records:,} of {each.read:,} records would be rejected: {reason.rejection.message}"
                yield reason.rejection.field, said


def _opened(found: Guess, trials: Mapping[Path, Trial]) -> Guess:
    """The guess with what its own quotes put in doubt as undecided."""
    reasons = [reason for each in trials.values() for reason in each.reasons.values()]
    ambiguous = [reason for reason in reasons if reason.rejection.code == "ambiguous_key"]
    if ambiguous and not {"symbol", "observed_at"} & {each.key for each in found.undecided}:
        records = sum(reason.records for reason in ambiguous)
        todo = (
            f'{records:,} records contradict each other ({ambiguous[0].rejection.message}): "last" takes the last of '
            'them, "reject" none; or another column tells them apart'
        )
        found = evolve(found, files=(*found.files, Entry(key="duplicates", value='"?"', todo=todo)))
    if trials and not any(each.quotes for each in trials.values()) and reasons and not ambiguous:
        found = _blamed(found, reasons)
    return found


def _blamed(found: Guess, reasons: list[Reason]) -> Guess:
    """The field, or else the glob, for which most records are rejected, as what is to be looked at."""
    counts: Counter[str] = Counter()
    for reason in reasons:
        counts[reason.rejection.field or "glob"] += reason.records
    key = counts.most_common(1)[0][0]
    said = next(each.rejection for each in reasons if (each.rejection.field or "glob") == key)
    todo = f"no record gives a quote, most are rejected as {said.code}: {said.message}"

    def mark(entry: Entry) -> Entry:
        return evolve(entry, todo="; ".join(filter(None, (entry.todo, todo)))) if entry.key == key else entry

    return evolve(found, files=tuple(map(mark, found.files)), fields=tuple(map(mark, found.fields)))
