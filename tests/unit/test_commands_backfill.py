"""One exit code for many slices, and which days may be asked for."""

from datetime import date

import pytest
from attrs import evolve

from kasparro import errors
from kasparro.commands import backfill as command
from kasparro.commands import runner
from kasparro.commands.runner import Outcome
from kasparro.etl.backfill import Part, Window
from kasparro.model import Listing, RunResult, RunStatus
from kasparro.tallies import Counts, Traffic

TODAY = date(2026, 3, 10)
GOOD, ODD, BAD = RunStatus.SUCCEEDED.value, RunStatus.PARTIAL.value, RunStatus.FAILED.value
LATER, STOPPED = RunStatus.DEFERRED.value, RunStatus.INTERRUPTED.value


def work(*statuses: str, total: int, left: int | None = None, gave_up: bool = False) -> command.Work:
    """A backfill of `total` slices, of which `left` had to be asked for, that went like this so far."""
    count = len(statuses) if left is None else left
    window = Window(first=TODAY, last=TODAY)
    parts = [
        Part(listing=Listing(external_id=str(number), symbol="A", name="A"), window=window) for number in range(count)
    ]
    made = command.Work(source="a", again=False, accept_rejections=False, total=total, parts=parts, gave_up=gave_up)
    made.outcomes = [(f"s{number}", outcome(status)) for number, status in enumerate(statuses)]
    return made


def outcome(status: str) -> Outcome:
    """How one slice ended."""
    plain = Outcome(source="a", status=status)
    if status != GOOD:
        plain = evolve(plain, error_code=f"{status}_code", error_message=f"it {status}")
    if status == runner.BUSY:
        return plain
    counts, traffic = Counts(read=2, inserted=2), Traffic(requests=1)
    result = RunResult(run_id=1, source="a", status=RunStatus(status), counts=counts, traffic=traffic, seconds=1.0)
    return evolve(plain, result=result)


@pytest.mark.parametrize(
    ("done", "status", "code"),
    [
        (work(GOOD, GOOD, total=2), GOOD, 0),
        (work(total=2), GOOD, 0),
        (work(GOOD, ODD, total=2), ODD, 3),
        (work(GOOD, BAD, total=2), ODD, 3),
        (work(BAD, total=2), ODD, 3),
        (work(BAD, BAD, total=2), BAD, 1),
        (work(BAD, total=4, left=4), BAD, 1),
        (work(GOOD, BAD, BAD, BAD, total=9, left=9, gave_up=True), BAD, 1),
        (work(GOOD, BAD, LATER, total=9, left=9), LATER, 75),
        (work(GOOD, runner.BUSY, total=2), runner.BUSY, 75),
        (work(GOOD, STOPPED, total=9, left=9), STOPPED, 1),
    ],
)
def test_backfill_is_called_as_one_run_over_all_slices_would_be(done: command.Work, status: str, code: int) -> None:
    """Slices that were complete before count as good ones; what was not asked for, after a failure, does not."""
    whole = done.outcome()
    assert (whole.status, runner.exit_code([whole], cron=False)) == (status, code)
    assert (whole.error_code is None) == (status == GOOD)


def test_backfill_counts_all_its_runs_together() -> None:
    """Records, requests and seconds; slices that are left are told."""
    done = work(GOOD, BAD, GOOD, total=6, left=5)
    entry = done.as_json()
    assert (entry["counts"]["read"], entry["requests"], entry["duration_seconds"]) == (6, 3, 3.0)
    assert entry["slices"] == {"total": 6, "complete_before": 1, "done": 2, "failed": 1, "left": 2}
    assert entry["failures"] == [
        {"slice": "s1", "status": BAD, "error": {"code": "failed_code", "message": "it failed"}}
    ]


@pytest.mark.parametrize(
    ("first", "last", "complaints"),
    [
        (date(2026, 3, 9), None, []),
        (date(2026, 3, 10), None, ["--from: must not be after --to (2026-03-09), got 2026-03-10"]),
        (
            date(2026, 3, 1),
            TODAY,
            ["--to: must be a day that is over in UTC, 2026-03-09 at the latest, got 2026-03-10"],
        ),
        (date(1999, 1, 1), date(1998, 1, 1), ["--from: must be 2000-01-01", "--from: must not be after --to (1998"]),
    ],
)
def test_days_are_refused_when_there_are_none_or_they_are_not_over(
    first: date, last: date | None, complaints: list[str]
) -> None:
    """Each mistake by the name of its option."""
    if not complaints:
        assert command._range(first, last, today=TODAY) == Window(first=first, last=date(2026, 3, 9))
        return
    with pytest.raises(errors.ConfigError) as caught:
        command._range(first, last, today=TODAY)
    assert all(line.startswith(start) for line, start in zip(caught.value.problems, complaints, strict=True))
