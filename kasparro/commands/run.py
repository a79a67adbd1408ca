"""`kasparro run`: ingest some sources once, beside each other. Progress on a terminal, results on stdout."""

import argparse
import sys

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output, progress, runner
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl.pipeline import Task
from kasparro.model import Trigger


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Run, show, and tell by the exit code how it went: see runner.exit_code, or the signal that interrupted it."""
    with progress.lines() as watch:
        logs.begin(config, sys.stderr)
        with App(config) as app:
            names = [source.name for source in app.find_sources(args.source)]
            if not names:
                raise errors.ConfigError(["no source is enabled"])
            app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=True)
            trigger = Trigger.CRON if args.cron else Trigger.CLI
            task = Task(accept_rejections=args.accept_rejections)
            outcomes = runner.run_sources(app, names, trigger=trigger, stop=stop, watch=watch, task=task)
            # Where a cron schedules, nobody else prunes.
            if args.cron and config.raw_retention_days is not None:
                app.pruner(stop).try_if_due(raw_days=config.raw_retention_days)
    if args.json:
        output.show_json({"runs": [outcome.as_json() for outcome in outcomes]})
    else:
        runner.show(outcomes)
    return stop.exit_code if stop.is_set() else runner.exit_code(outcomes, cron=args.cron)
