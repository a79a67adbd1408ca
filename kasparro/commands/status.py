"""`kasparro status`: how every source fares, as the database knows it; says what /health says of the data in short."""

import argparse
from datetime import datetime
from typing import Any

from attrs import frozen

from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.http import health
from kasparro.model import SourceInfo
from kasparro.store import status
from kasparro.store.bounded import BoundedDatabase

_NUMBERS = ("records read", "quotes")
_HEADERS = ("source", "enabled", "last status", "last run", "last success", "next run", *_NUMBERS, "stale")


@frozen(kw_only=True)
class Line:
    """What is shown of one source."""

    info: SourceInfo
    recorded: status.SourceStatus
    stale: bool


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Show, and return 0 whatever the sources' state: /health is for alarms."""
    logs.silence(config)
    with App(config) as app:
        app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=False)
        overall, lines = _read(app)
    if args.json:
        output.show_json({"status": overall, "sources": [_as_json(line) for line in lines]})
        return 0
    output.show_table(_HEADERS, [_row(line) for line in lines], numbers=_NUMBERS)
    print(f"data: {overall}")
    return 0


def _read(app: App) -> tuple[str, list[Line]]:
    """What /health says of the data (ok or degraded), and every source."""
    infos = app.source_infos()
    with BoundedDatabase(app.database, app.clock).reading() as conn:
        found = status.list_sources(conn, list(infos))
    findings = health.Findings(error=None, sources={name: each.health for name, each in found.items()})
    return health.overall(list(infos.values()), findings), [
        Line(info=info, recorded=found[name], stale=health.is_stale(info, found[name].health))
        for name, info in infos.items()
    ]


def _as_json(line: Line) -> dict[str, Any]:
    recorded = line.recorded.health
    return {
        "source": line.info.name,
        "enabled": line.info.enabled,
        "last_status": recorded.last_status,
        "last_run_at": recorded.last_run_at,
        "last_success_at": recorded.last_success_at,
        "next_run_at": recorded.next_run_at,
        "records_read": line.recorded.records_read,
        "quotes": line.recorded.inserted,
        "stale": line.stale,
    }


def _row(line: Line) -> list[object]:
    values = _as_json(line).values()
    return [output.moment(value) if isinstance(value, datetime) else value for value in values]
