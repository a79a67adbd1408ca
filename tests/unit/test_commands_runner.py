"""Several sources run by one command: how each ended, and the one exit code that comes of it."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from kasparro import errors
from kasparro.clock import SystemClock
from kasparro.commands import runner
from kasparro.commands.signals import Stop
from kasparro.model import RunResult, RunStatus, Trigger
from kasparro.tallies import Counts, Traffic


def result(status: RunStatus) -> RunResult:
    counts = Counts(read=3, inserted=1, unchanged=1, rejected=1)
    return RunResult(run_id=7, source="a", status=status, counts=counts, traffic=Traffic(requests=2), seconds=1.5)


class FakePipeline:
    """Runs whatever function belongs to a source's name."""

    def __init__(self, runs: dict[str, Callable[[threading.Event], RunResult]]) -> None:
        self._runs = runs
        self.abandoned = 0

    def run(self, source: str, *, trigger: Trigger, stop: threading.Event, watch: Any, task: Any) -> RunResult:
        watch(SimpleNamespace(slice="part", records_read=3))
        return self._runs[source](stop)

    def abandon(self) -> None:
        self.abandoned += 1


def run(
    runs: dict[str, Any], stop: Stop, watch: runner.Watch = runner.nobody_watches
) -> tuple[list[Any], FakePipeline]:
    pipeline = FakePipeline(runs)
    app: Any = SimpleNamespace(sources={name: name for name in runs}, clock=SystemClock(), pipeline=pipeline)
    return runner.run_sources(app, list(runs), trigger=Trigger.CLI, stop=stop, watch=watch), pipeline


def raising(error: Exception) -> Callable[[threading.Event], RunResult]:
    def fail(_stop: threading.Event) -> RunResult:
        raise error

    return fail


def test_run_sources_gives_an_outcome_for_every_source() -> None:
    """In the order asked for; one that fails does not touch the others. A run that began has its number."""
    gone = errors.DatabaseUnavailableError("gone")
    gone.run_id = 5
    outcomes, pipeline = run(
        {
            "a": lambda _: result(RunStatus.SUCCEEDED),
            "b": raising(errors.BusyError("b: somebody is at it")),
            "c": raising(gone),
            "d": raising(errors.StoppedError("asked to stop")),
        },
        Stop(),
    )
    assert [(each.source, each.status, each.error_code, each.run_id) for each in outcomes] == [
        ("a", "succeeded", None, 7),
        ("b", "busy", "busy", None),
        ("c", "failed", "database_unavailable", 5),
        ("d", "interrupted", "interrupted", None),
    ]
    assert pipeline.abandoned == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_run_sources_calls_a_bug_a_failure() -> None:
    """A thread that died of a bug is no success."""
    outcomes, _ = run({"a": raising(ZeroDivisionError())}, Stop())
    assert [(each.status, each.error_code) for each in outcomes] == [("failed", "internal_error")]


def test_run_sources_tells_who_watches() -> None:
    """After every batch: source, slice and records."""
    seen: list[tuple[str, str, int]] = []
    run({"a": lambda _: result(RunStatus.SUCCEEDED)}, Stop(), lambda *progress: seen.append(progress))
    assert seen == [("a", "part", 3)]


def test_run_sources_lets_runs_wind_up_when_told_to_stop() -> None:
    """A run that ends in time writes its own end."""
    stop = Stop()

    def interrupted(told: threading.Event) -> RunResult:
        stop.set()
        assert told.wait(10)
        return result(RunStatus.INTERRUPTED)

    outcomes, pipeline = run({"a": interrupted}, stop)
    assert [each.status for each in outcomes] == ["interrupted"]
    assert outcomes[0].result is not None
    assert pipeline.abandoned == 0


def test_run_sources_closes_runs_that_do_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that hangs is closed from outside, and the command goes on to its end."""
    monkeypatch.setattr(runner, "_STOP_SECONDS", 0.05)
    stop, never = Stop(), threading.Event()

    def hang(_stop: threading.Event) -> RunResult:
        stop.set()
        never.wait(10)
        return result(RunStatus.SUCCEEDED)

    outcomes, pipeline = run({"a": hang, "b": lambda _: result(RunStatus.SUCCEEDED)}, stop)
    never.set()
    assert [each.status for each in outcomes] == ["interrupted", "succeeded"]
    assert pipeline.abandoned == 1


@pytest.mark.parametrize(
    ("statuses", "code", "cron_code"),
    [
        (["succeeded", "succeeded"], 0, 0),
        (["succeeded", "deferred"], 75, 0),
        (["busy", "partial"], 3, 0),
        (["busy", "partial", "failed"], 1, 1),
        (["crashed"], 1, 1),
        (["interrupted", "succeeded"], 1, 1),
    ],
)
def test_exit_code_is_the_worst(statuses: list[str], code: int, cron_code: int) -> None:
    """Failed before partial before busy or deferred; cron hears of failures alone."""
    outcomes = [runner.Outcome(source="a", status=status) for status in statuses]
    assert runner.exit_code(outcomes, cron=False) == code
    assert runner.exit_code(outcomes, cron=True) == cron_code


def test_outcome_has_the_field_names_of_run_records() -> None:
    """One vocabulary for programs, whether they read the API or this."""
    entry = runner.Outcome(source="a", status="partial", result=result(RunStatus.PARTIAL)).as_json()
    assert (entry["run_id"], entry["status"], entry["duration_seconds"], entry["requests"]) == (7, "partial", 1.5, 2)
    assert entry["counts"]["read"] == 3
    assert entry["error"] is None
    busy = runner.Outcome(source="a", status="busy", error_code="busy", error_message="later").as_json()
    assert busy == {"source": "a", "status": "busy", "run_id": None, "error": {"code": "busy", "message": "later"}}


def test_show_prints_counts_and_below_them_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """A source without a run has dashes; its message has a line of its own."""
    failed = runner.Outcome(source="b", status="failed", error_code="http_500", error_message="b: answered 500")
    runner.show([runner.Outcome(source="a", status="partial", result=result(RunStatus.PARTIAL)), failed])
    header, a, b, message = capsys.readouterr().out.splitlines()
    assert header.split() == list(runner.HEADERS)
    assert a.split() == ["a", "partial", "7", "3", "1", "0", "1", "0", "1", "1.5"]
    assert b.split() == ["b", "failed", *["-"] * 8]
    assert message == "b: answered 500"
