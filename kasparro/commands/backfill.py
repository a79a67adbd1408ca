"""`kasparro backfill`: ingest the past of listings, a slice a run, beside the live source and from the same bucket."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from attrs import define, evolve, field

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output, progress, runner
from kasparro.commands.runner import Outcome
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl import backfill
from kasparro.etl.source import Backfill, Source
from kasparro.etl.values import EARLIEST
from kasparro.model import RunResult, RunStatus, Trigger
from kasparro.store import checkpoints, listings
from kasparro.tallies import Counts, Traffic

logger = logging.getLogger(__name__)

# Slices that fail one after the other until the rest is left alone: an upstream that is down is down for all of them.
_GIVE_UP_AFTER = 3
# Errors that are about one listing alone: the upstream does not know it, or its answer was too long.
_OWN_ERRORS = frozenset({"http_404", "cut_off"})
# Answers about what key and plan may see: those to the other listings of the same window would be alike.
_REFUSALS = frozenset({"http_401", "http_402", "http_403"})
_DONE = frozenset({RunStatus.SUCCEEDED.value, RunStatus.PARTIAL.value})


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Ask for every slice that is not complete; the exit code is that of one run over all of them."""
    with progress.bar() as step:
        logs.begin(config, sys.stderr)
        with App(config) as app:
            (source,) = app.find_sources([args.source])
            past = _past(source)
            whole = _range(args.first, args.last, today=app.clock.now().date())
            app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=True)
            app.pipeline.close_dead_slices([source])
            work = _plan(app, args, whole, days=past.window_days)
            _work(app, source, work, stop=stop, step=step)
    if args.json:
        output.show_json(work.as_json())
    else:
        _show(work)
    return stop.exit_code if stop.is_set() else runner.exit_code([work.outcome()], cron=False)


@define
class Work:
    """The slices of one backfill and what became of them so far."""

    source: str
    again: bool
    accept_rejections: bool
    total: int
    parts: Sequence[backfill.Part]
    outcomes: list[tuple[str, Outcome]] = field(factory=list)
    gave_up: bool = False

    @property
    def complete_before(self) -> int:
        """How many slices need not be asked for."""
        return self.total - len(self.parts)

    def count(self, *statuses: str) -> int:
        """How many slices ended like this."""
        return sum(outcome.status in statuses for _, outcome in self.outcomes)

    @property
    def failures(self) -> list[tuple[str, Outcome]]:
        """The slices that were not loaded, or not completely, and why."""
        return [(name, outcome) for name, outcome in self.outcomes if outcome.error_code is not None]

    def outcome(self) -> Outcome:
        """All runs as one: their counts together, and the status that one run over all slices would have."""
        results = [outcome.result for _, outcome in self.outcomes if outcome.result is not None]
        status = self._status()
        worst = next((outcome for _, outcome in reversed(self.failures) if outcome.status == status), None)
        if worst is None and self.failures:
            worst = self.failures[0][1]
        whole = Outcome(source=self.source, status=status)
        if results:
            whole = evolve(whole, result=_sum(results, RunStatus(results[-1].status)))
        if worst is not None and status != RunStatus.SUCCEEDED:
            whole = evolve(whole, error_code=worst.error_code, error_message=worst.error_message)
        return whole

    def _status(self) -> str:
        for ended in (RunStatus.INTERRUPTED.value, RunStatus.DEFERRED.value):
            if self.count(ended):
                return ended
        bad = self.total - self.complete_before - self.count(*_DONE, runner.BUSY)
        if bad and (self.gave_up or bad == self.total):
            return RunStatus.FAILED.value
        if bad or self.count(RunStatus.PARTIAL.value):
            return RunStatus.PARTIAL.value
        return runner.BUSY if self.count(runner.BUSY) else RunStatus.SUCCEEDED.value

    def slices(self) -> dict[str, int]:
        """How many slices there are, and how they stand."""
        done, failed = self.count(*_DONE), self.count(RunStatus.FAILED.value)
        left = len(self.parts) - done - failed
        return {
            "total": self.total,
            "complete_before": self.complete_before,
            "done": done,
            "failed": failed,
            "left": left,
        }

    def as_json(self) -> dict[str, Any]:
        """The outcome as of a run, and below it what became of the slices."""
        failures = [
            {
                "slice": name,
                "status": outcome.status,
                "error": {"code": outcome.error_code, "message": outcome.error_message},
            }
            for name, outcome in self.failures
        ]
        return {**self.outcome().as_json(), "slices": self.slices(), "failures": failures}


def _past(source: Source) -> Backfill:
    if source.backfill is None:
        raise errors.ConfigError([f"{source.name}: its past cannot be asked for: its file has no table [backfill]"])
    return source.backfill


def _range(first: date, last: date | None, *, today: date) -> backfill.Window:
    """The days to ask for. Raises ConfigError where there are none, or not yet."""
    yesterday = today - timedelta(days=1)
    last = last or yesterday
    problems = []
    if first < EARLIEST.date():
        problems.append(f"--from: must be {EARLIEST.date()} or later, got {first}")
    if last > yesterday:
        problems.append(f"--to: must be a day that is over in UTC, {yesterday} at the latest, got {last}")
    if first > last:
        problems.append(f"--from: must not be after --to ({last}), got {first}")
    if problems:
        raise errors.ConfigError(problems)
    return backfill.Window(first=first, last=last)


def _plan(app: App, args: argparse.Namespace, whole: backfill.Window, *, days: int) -> Work:
    """What is to be asked for. Raises ConfigError for a listing that there is not."""
    name: str = args.source
    with app.database.connection() as conn:
        if args.ids:
            found = listings.list_named(conn, name, args.ids)
            missing = set(args.ids) - {listing.external_id for listing in found}
            if missing:
                raise errors.ConfigError(
                    [f"--ids: {name} lists no {id_!r} (kasparro run {name} lists them)" for id_ in sorted(missing)]
                )
        else:
            found = listings.list_top(conn, name, limit=None if args.all else args.top)
        if not found:
            raise errors.ConfigError([f"{name}: lists nothing yet: kasparro run {name} comes first"])
        parts = backfill.parts(found, whole, days=days)
        complete = checkpoints.list_complete(conn, name, [part.slice for part in parts])
    left = [part for part in parts if args.again or part.slice not in complete]
    logger.info("backfill planned", extra={"source": name, "slices": len(parts), "to_ask": len(left)})
    return Work(source=name, again=args.again, accept_rejections=args.accept_rejections, total=len(parts), parts=left)


def _work(app: App, source: Source, work: Work, *, stop: Stop, step: progress.Step) -> None:
    """Run slice after slice, until all were tried or going on is of no use."""
    refused: set[backfill.Window] = set()
    failed_in_a_row = 0
    for number, part in enumerate(work.parts):
        step(work.complete_before + number, work.total, part.slice)
        if part.window in refused:
            continue
        (outcome,) = runner.run_sources(
            app,
            [source.name],
            trigger=Trigger.BACKFILL,
            stop=stop,
            watch=runner.nobody_watches,
            task=evolve(app.backfill_task(source, part, again=work.again), accept_rejections=work.accept_rejections),
        )
        work.outcomes.append((part.slice, outcome))
        if outcome.status in (RunStatus.DEFERRED, RunStatus.INTERRUPTED):
            return
        if outcome.error_code in _REFUSALS:
            refused.add(part.window)
        failed = outcome.status == RunStatus.FAILED and outcome.error_code not in _OWN_ERRORS | _REFUSALS
        failed_in_a_row = failed_in_a_row + 1 if failed else 0
        if failed_in_a_row == _GIVE_UP_AFTER:
            work.gave_up = True
            return


def _sum(results: Sequence[RunResult], status: RunStatus) -> RunResult:
    counts, traffic = Counts(), Traffic()
    for result in results:
        counts, traffic = counts.plus(result.counts), traffic.plus(result.traffic)
    return RunResult(
        run_id=results[-1].run_id,
        source=results[-1].source,
        status=status,
        counts=counts,
        traffic=traffic,
        seconds=sum(result.seconds for result in results),
    )


def _show(work: Work) -> None:
    whole = work.outcome()
    runner.show([evolve(whole, error_code=None, error_message=None)])
    for name, outcome in work.failures:
        output.say(f"{name}: {outcome.status}: {outcome.error_message}")
    slices = work.slices()
    line = f"{work.source}: {slices['complete_before'] + slices['done']:,} of {slices['total']:,} slices complete"
    line += f" ({slices['complete_before']:,} of them before)" if slices["complete_before"] else ""
    line += f", {slices['failed']:,} failed" if slices["failed"] else ""
    line += f", {slices['left']:,} left" if slices["left"] else ""
    print(line + (": the same command goes on" if slices["failed"] or slices["left"] else ""))
