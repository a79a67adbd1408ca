"""`kasparro prune`: forget raw records and runs that are old; quotes and totals stay."""

import argparse
import sys

from attrs import asdict

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl.prune import Pruned

_NUMBERS = ("raw records", "rejections", "drifts", "runs")


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Prune and show what went; 0 when it is done."""
    if args.raw_days is None and args.runs is None:
        raise errors.ConfigError(["say what to prune: --raw-days N, --runs N, or both"])
    logs.begin(config, sys.stderr)
    with App(config) as app:
        app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=True)
        pruned = app.pruner(stop).prune(raw_days=args.raw_days, keep_runs=args.runs)
    if args.json:
        output.show_json({"pruned": {source: asdict(each) for source, each in pruned.items()}})
        return 0
    output.show_table(("source", *_NUMBERS), [_row(source, each) for source, each in pruned.items()], numbers=_NUMBERS)
    return 0


def _row(source: str, each: Pruned) -> list[object]:
    return [source, each.raw_records, each.rejections, each.drifts, each.runs]
