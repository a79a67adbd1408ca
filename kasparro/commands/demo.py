"""`kasparro demo`: the whole service on a machine that has nothing: no key, no network, no database.

An embedded PostgreSQL, stand-ins for both APIs and CSV archives of the same made-up prices; the data are left for the
next start.
"""

import argparse
import sys
from pathlib import Path

from attrs import evolve

from kasparro.app import App
from kasparro.clock import SystemClock
from kasparro.commands import healthcheck, logs, runner
from kasparro.commands.signals import Stop
from kasparro.config import Config, SourceOverride
from kasparro.model import Trigger
from kasparro.store import embedded_files
from kasparro.upstream import archives
from kasparro.upstream.options import EPOCH, Options
from kasparro.upstream.server import UpstreamServer

# The embedded PostgreSQL's data of the demo alone: made-up prices never mix with real ones.
CLUSTER = "demo"
# How often the stand-ins are asked: their prices change every minute.
_SCHEDULE = "every 1m"
# Days of archives where the clock stands before their first day.
_MIN_DAYS = 365


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Serve the demo until told to stop."""
    logs.begin(config, sys.stderr)
    if args.port is not None:
        config = evolve(config, port=args.port, port_setting="--port")
    folder = embedded_files.prepare(CLUSTER, config.data_dir).folder
    archive_folder = folder / "archives"
    with (
        UpstreamServer(Options()) as upstream,
        App(_pointed_at(upstream, archive_folder, config), cluster=CLUSTER) as app,
    ):
        where = "the database of DATABASE_URL" if config.database_url is not None else str(folder)
        app.serve(
            stop,
            scheduler=config.scheduler,
            migrate_first=True,
            once_listening=lambda: _prepare(archive_folder, where),
            before_schedule=lambda: _ingest(app, stop),
        )
    return 0


def _prepare(archive_folder: Path, where: str) -> None:
    """Write the archives and say what this is; not before the port is ours, for another demo may have it."""
    days = (SystemClock().now() - EPOCH).days
    archives.write_archives(archive_folder, days=max(days, _MIN_DAYS))
    print(f"Kasparro demo: made-up prices of made-up upstreams; its data stay in {where}", flush=True)


def _pointed_at(upstream: UpstreamServer, archive_folder: Path, config: Config) -> Config:
    """The configuration with its three built-in sources reading what this process makes up, and no real keys."""
    urls = {"coinpaprika": upstream.coinpaprika_url, "coingecko": upstream.coingecko_url, "csv": None}
    overrides = dict(config.source_overrides)
    for name, url in urls.items():
        given = overrides.get(name, SourceOverride())
        # A stand-in has no limit, and whoever tries the demo starts it often.
        rate = given.rate or (None, 60.0) if url is not None else None
        overrides[name] = evolve(given, url=url, schedule=given.schedule or _SCHEDULE, enabled=True, rate=rate)
    return evolve(
        config,
        csv_glob=str(archive_folder / "*.csv"),
        source_overrides=overrides,
        upstream_keys={},
        upstream_plans={},
    )


def _ingest(app: App, stop: Stop) -> None:
    """Run every source once, at once, and say what there is to see now."""
    names = [source.name for source in app.find_sources([])]
    print(f"ingesting {', '.join(names)} ...", flush=True)
    outcomes = runner.run_sources(app, names, trigger=Trigger.DEMO, stop=stop, watch=runner.nobody_watches)
    if stop.is_set():
        return
    runner.show(outcomes)
    _invite(app)


def _invite(app: App) -> None:
    host = healthcheck.local_host(app.config)
    base = f"http://[{host}]:{app.port}" if ":" in host else f"http://{host}:{app.port}"
    key = "-H 'X-API-Key: ...' " if app.config.api_keys else ""
    print(f"\nopen {base}/ to watch it, {base}/docs to try the API, or try")
    for path in (
        "/data?limit=3",
        "/data?source=csv&limit=3",
        "/assets/btc-bitcoin",
        "/health",
        "/stats",
        "/runs?limit=3",
    ):
        print(f"  curl {key}'{base}{path}'")
    print("Ctrl-C stops the demo; the next start goes on with the same data", flush=True)
