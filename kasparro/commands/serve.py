"""`kasparro serve`: the API and the scheduler, until a signal says to stop. Prints log lines, nothing else."""

import argparse
import sys

from kasparro.app import App
from kasparro.commands import logs
from kasparro.commands.signals import Stop
from kasparro.config import Config


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Serve; 0 once everything has ended."""
    logs.begin(config, sys.stdout)
    with App(config) as app:
        app.serve(stop, scheduler=config.scheduler and not args.no_scheduler, migrate_first=not args.no_migrate)
    return 0
