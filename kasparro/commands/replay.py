"""`kasparro replay`: normalise kept records again, after a field map was mended; asks no upstream."""

import argparse
import sys

from attrs import asdict

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output, progress, runner
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl.pipeline import Task
from kasparro.etl.replay import Replay
from kasparro.model import REPLAY, Trigger
from kasparro.store import rejections
from kasparro.store.replays import Wanted


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Replay and show; 0 when nothing of it is rejected any more, 3 when something is, 75 when a run is under way."""
    with progress.lines() as watch:
        logs.begin(config, sys.stderr)
        with App(config) as app:
            (source,) = app.find_sources([args.source])
            app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=True)
            _check_run(app, source.name, args.run_id)
            wanted = Wanted(source=source.name, rejected=not args.raw, code=args.code, run_id=args.run_id)
            replay = Replay(app.database, app.pipeline.committer, wanted)
            task = Task(slice=REPLAY, work=replay.work)
            (outcome,) = runner.run_sources(
                app, [source.name], trigger=Trigger.REPLAY, stop=stop, watch=watch, task=task
            )
    if args.json:
        output.show_json({**outcome.as_json(), "not_replayed": replay.not_replayed, "reread": replay.reread})
    else:
        runner.show([outcome])
        if outcome.result is not None and (removed := asdict(outcome.result.counts)["removed"]):
            print(f"{source.name}: {removed:,} quotes removed that their records no longer yield")
        if replay.reread:
            print(f"{source.name}: files say something else now: the next run reads them anew ({replay.reread:,})")
        if replay.not_replayed:
            print(
                f"{source.name}: {replay.not_replayed:,} rejections stay: their records could not be read, are gone, "
                "or kept out by a drift that nobody accepted (kasparro drift list)"
            )
    return stop.exit_code if stop.is_set() else runner.exit_code([outcome], cron=False)


def _check_run(app: App, source: str, run_id: int | None) -> None:
    """Raise ConfigError where there is no such run of the source, nor one that was pruned and left rejections."""
    if run_id is None:
        return
    with app.database.connection() as conn:
        if not rejections.knows_run(conn, source, run_id):
            raise errors.ConfigError([f"--run: there is no run {run_id} of {source} (see kasparro runs list)"])
