"""`kasparro run`: ingest some sources once, beside each other. Progress on a terminal, results on stdout."""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output, runner
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.model import Trigger


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Run, show, and tell by the exit code how it went: see runner.exit_code, or the signal that interrupted it."""
    with _progress() as watch:
        logs.begin(config, sys.stderr)
        with App(config) as app:
            names = [source.name for source in app.find_sources(args.source)]
            if not names:
                raise errors.ConfigError(["no source is enabled"])
            app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=True)
            trigger = Trigger.CRON if args.cron else Trigger.CLI
            outcomes = runner.run_sources(app, names, trigger=trigger, stop=stop, watch=watch)
    if args.json:
        output.show_json({"runs": [outcome.as_json() for outcome in outcomes]})
    else:
        runner.show(outcomes)
    return stop.exit_code if stop.is_set() else runner.exit_code(outcomes, cron=args.cron)


@contextlib.contextmanager
def _progress() -> Iterator[runner.Watch]:
    """A line for every source on the terminal behind stderr, if it is one; log lines appear above them."""
    if not sys.stderr.isatty():
        yield runner.nobody_watches
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:>12,.0f} records"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[slice]}", markup=False),
    )
    lock = threading.Lock()
    lines: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def watch(source: str, slice_name: str, records: int) -> None:
            with lock:
                if source not in lines:
                    lines[source] = int(progress.add_task(source, total=None, slice=slice_name))
            progress.update(progress.task_ids[lines[source]], completed=records, slice=slice_name)

        yield watch
