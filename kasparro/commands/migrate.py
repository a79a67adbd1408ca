"""`kasparro migrate`: bring the database's schema up to date and make the partitions of the configured sources."""

import argparse

from kasparro.app import App
from kasparro.commands import logs
from kasparro.commands.signals import Stop
from kasparro.config import Config


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:  # noqa: ARG001 - as every command
    """Migrate, and say which versions that took."""
    logs.silence(config)
    with App(config) as app:
        applied = app.migrate(stop, wait_seconds=config.db_wait_seconds)
    if applied:
        print(f"applied {', '.join(f'{version:04d}' for version in applied)}")
    else:
        print("the schema is current")
    return 0
