"""How does one command run several sources beside each other, and what comes of it in one exit code?"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, frozen

from kasparro import errors
from kasparro.app import App
from kasparro.commands import output
from kasparro.commands.signals import Stop
from kasparro.etl.pipeline import LIVE_TASK, Task
from kasparro.model import RunResult, RunStatus, Trigger

# Seconds that runs get to end at their next batch after a signal; then they are closed from outside, before whoever
# sent the signal (Docker, 10 s) loses patience.
_STOP_SECONDS = 5.0
# Seconds between two looks at a thread, so that a signal is noticed.
_LOOK_SECONDS = 0.1
# Not a status of a run: none began, because another process is at it.
BUSY = "busy"

SUCCEEDED, FAILED, PARTIAL, TRY_LATER = 0, 1, 3, 75
_CODES = {RunStatus.SUCCEEDED.value: SUCCEEDED, RunStatus.PARTIAL.value: PARTIAL} | dict.fromkeys(
    (BUSY, RunStatus.DEFERRED.value), TRY_LATER
)

# Told after every batch: (source, slice, records read by the run).
Watch = Callable[[str, str, int], None]


def nobody_watches(_source: str, _slice: str, _records_read: int) -> None:
    """A Watch for when there is nobody to tell."""


@frozen(kw_only=True)
class Outcome:
    """How running one source ended; `result` is None when no run of it ended here, but `begun` one may have."""

    source: str
    status: str
    result: RunResult | None = None
    begun: int | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def run_id(self) -> int | None:
        """The run's number, if there was one."""
        return self.begun if self.result is None else self.result.run_id

    def as_json(self) -> dict[str, Any]:
        """The outcome with the field names of run records."""
        entry: dict[str, Any] = {"source": self.source, "status": self.status, "run_id": self.run_id}
        if self.result is not None:
            entry["duration_seconds"] = round(self.result.seconds, 3)
            entry["counts"] = asdict(self.result.counts)
            entry |= asdict(self.result.traffic)
            entry["anomalies"] = [asdict(each) for each in self.result.anomalies]
        entry["error"] = {"code": self.error_code, "message": self.error_message} if self.error_code else None
        return entry


def run_sources(
    app: App, names: Sequence[str], *, trigger: Trigger, stop: Stop, watch: Watch, task: Task = LIVE_TASK
) -> list[Outcome]:
    """Do `task` for each source in a thread; when told to stop, interrupt them, and close those that take too long.

    Nothing is raised for a source that fails: that is its outcome.
    """
    outcomes = {name: _failed(name, "internal_error", "unexpected error; stderr has the traceback") for name in names}

    def work(name: str) -> None:
        outcomes[name] = _run_one(
            lambda: app.pipeline.run(
                app.sources[name],
                trigger=trigger,
                stop=stop,
                watch=lambda progress: watch(name, progress.slice, progress.records_read),
                task=task,
            ),
            name,
        )

    threads = [threading.Thread(target=work, args=(name,), name=f"run-{name}", daemon=True) for name in names]
    for thread in threads:
        thread.start()
    if not _join(app, threads, stop):
        app.pipeline.abandon()
        for name, thread in zip(names, threads, strict=True):
            if thread.is_alive():
                outcomes[name] = _interrupted(name, "the process had to stop before the batch was done")
    return [outcomes[name] for name in names]


def exit_code(outcomes: Iterable[Outcome], *, cron: bool) -> int:
    """The worst of all: failed, then partial, then busy or deferred; for cron only failed counts."""
    codes = {_CODES.get(outcome.status, FAILED) for outcome in outcomes}
    order = (FAILED,) if cron else (FAILED, PARTIAL, TRY_LATER)
    return next((code for code in order if code in codes), SUCCEEDED)


def show(outcomes: Iterable[Outcome]) -> None:
    """Print the outcomes as a table, and below it what went wrong."""
    outcomes = list(outcomes)
    output.show_table(HEADERS, [_row(outcome) for outcome in outcomes], numbers=NUMBERS)
    for outcome in outcomes:
        if outcome.error_message is not None:
            # Many messages name the source themselves, for the log and the run's record.
            output.say(f"{outcome.source}: {outcome.error_message.removeprefix(f'{outcome.source}: ')}")
        for each in outcome.result.anomalies if outcome.result is not None else ():
            output.say(f"{outcome.source}: {each.severity}: {each.message}")


NUMBERS = ("run", "read", "inserted", "updated", "unchanged", "duplicate", "rejected", "seconds")
HEADERS = ("source", "status", *NUMBERS)


def _row(outcome: Outcome) -> list[object]:
    run_id = None if outcome.run_id is None else str(outcome.run_id)
    if outcome.result is None:
        return [outcome.source, outcome.status, run_id, *([None] * (len(NUMBERS) - 1))]
    counts: Mapping[str, int] = asdict(outcome.result.counts)
    seconds = f"{outcome.result.seconds:.1f}"
    counted = [counts[name] for name in NUMBERS[1:-1]]
    return [outcome.source, outcome.status, run_id, *counted, seconds]


def _run_one(run: Callable[[], RunResult | None], name: str) -> Outcome:
    try:
        result = run()
    except errors.BusyError as ex:
        return Outcome(source=name, status=BUSY, error_code=ex.code, error_message=ex.message)
    except errors.StoppedError as ex:
        return _interrupted(name, ex.message)
    except errors.KasparroError as ex:
        return evolve(_failed(name, ex.code, ex.message), begun=ex.run_id)
    if result is None:
        raise errors.KasparroError(f"{name}: only a scheduled run may turn out not to be due")
    return Outcome(
        source=name,
        status=result.status.value,
        result=result,
        error_code=result.error_code,
        error_message=result.error_message,
    )


def _failed(name: str, code: str, message: str) -> Outcome:
    return Outcome(source=name, status=RunStatus.FAILED.value, error_code=code, error_message=message)


def _interrupted(name: str, message: str) -> Outcome:
    return Outcome(
        source=name, status=RunStatus.INTERRUPTED.value, error_code=errors.StoppedError.code, error_message=message
    )


def _join(app: App, threads: Sequence[threading.Thread], stop: Stop) -> bool:
    """Wait until all have ended; False when `stop` was set and some have not within the time they get."""
    deadline: float | None = None
    for thread in threads:
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
            if stop.is_set() and deadline is None:
                deadline = app.clock.monotonic() + _STOP_SECONDS
            if deadline is not None and app.clock.monotonic() > deadline:
                return not any(each.is_alive() for each in threads)
    return True
