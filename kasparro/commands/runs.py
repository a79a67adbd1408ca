"""`kasparro runs list`, `show` and `compare`: what was run, how it went, and how two runs differ.

The same as GET /runs, /runs/{run_id} and /compare-runs: --json prints what those answer.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.listing import Listing
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.store import db, run_comparisons, run_records
from kasparro.store.bounded import BoundedDatabase

_NUMBERS = ("run", "seconds", "read", "inserted", "updated", "unchanged", "duplicate", "rejected")
_HEADERS = ("run", "source", "slice", "trigger", "status", "started", *_NUMBERS[1:], "anomalies")
# The parts of a comparison, and what stands before the names of their figures: some are in several.
_SECTIONS = {"counts": "", "traffic": "", "durations": "", "stage_seconds": "stage ", "measures": "measured "}

Json = Mapping[str, Any]


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Show what is asked for. Raises ConfigError for runs that cannot be compared, NotFoundError for unknown ones."""
    logs.silence(config)
    actions = {"list": _list, "show": _show, "compare": _compare}
    with App(config) as app:
        app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=False)
        with BoundedDatabase(app.database, app.clock).reading() as conn:
            app.check_names(conn, _named(args))
            actions[args.action](conn, args)
    return 0


def _list(conn: db.Connection, args: argparse.Namespace) -> None:
    page = run_records.page(conn, sources=args.source or None, status=args.status, limit=args.limit, before_id=None)
    _LISTING.show(page, args, nothing="no runs")


def _show(conn: db.Connection, args: argparse.Namespace) -> None:
    text = run_records.get(conn, args.run_id)
    if args.json:
        print(text)
        return
    record = json.loads(text, parse_float=str)
    shown = [(name, value) for name, value in _flat(record) if name not in ("anomalies", "drifts", "faults")]
    output.show_table(("field", "value"), [(name, None if value is None else str(value)) for name, value in shown])
    for fault in record["faults"]:
        print(f"fault: {fault['fault']} at {fault['fired_at']}")
    for drift in record["drifts"]:
        output.say(f"drift: {drift['kind']} {drift['path']} ({drift['action']})")
    _show_anomalies(record["anomalies"])


def _compare(conn: db.Connection, args: argparse.Namespace) -> None:
    text = run_comparisons.compare(conn, *_pair(conn, args))
    if args.json:
        print(text)
        return
    found = json.loads(text, parse_float=str)
    for name in ("a", "b"):
        run = found[name]
        about = f"run {run['run_id']} of {run['source']}, {run['status']}, from {run['started_at']}" if run else "none"
        print(f"{name}: {about}")
    rows = [
        _difference(f"{prefix}{name}", each)
        for section, prefix in _SECTIONS.items()
        for name, each in found[section].items()
    ]
    headers = ("figure", "a", "b", "a - b", "a / b")
    output.show_table(headers, [row for row in rows if set(row[1:3]) - {"0", None}], numbers=headers[1:])
    for line in _changes(found):
        output.say(line)
    _show_anomalies(found["anomalies"])


def _named(args: argparse.Namespace) -> list[str]:
    """The sources that are asked for: several of a list, one of a comparison."""
    named = getattr(args, "source", None) or []
    return [named] if isinstance(named, str) else named


def _pair(conn: db.Connection, args: argparse.Namespace) -> tuple[int, int | None]:
    """The runs that are meant."""
    if args.source is not None and not args.run_ids:
        return run_comparisons.get_last(conn, args.source)
    if args.source is not None or len(args.run_ids) != 2:
        raise errors.ConfigError(["runs compare: give two runs, or --source"])
    a, b = run_comparisons.list_heads(conn, args.run_ids)
    found = run_comparisons.problems(a, b)
    if found:
        raise errors.ConfigError([f"runs compare: {name} {message}" for name, message in found])
    return a.run_id, b.run_id


def _row(each: Json) -> list[object]:
    severities = Counter(verdict["severity"] for verdict in each["anomalies"])
    flags = ", ".join(f"{count} {severity}" for severity, count in sorted(severities.items()))
    about = (each["source"], each["slice"] or None, each["trigger"], each["status"], each["started_at"])
    counts = [each["counts"][name] for name in _NUMBERS[2:]]
    return [str(each["run_id"]), *about, each["duration_seconds"], *counts, flags or None]


def _flat(record: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a record, those of objects in it by dotted names."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _difference(name: str, each: Json) -> list[str | None]:
    values = (each["a"], each["b"], each["delta"], each["ratio"])
    return [name, *(None if value is None else str(value) for value in values)]


def _changes(found: Json) -> Iterator[str]:
    for name in ("configuration", "code"):
        if found[name]["changed"]:
            yield f"{name} changed: {found[name]['a']}, before {found[name]['b']}"
    schema = found["schema"]
    if schema["a"] and schema["b"] and schema["changed"] is None:
        yield "fields: not compared, as the runs read different files"
    for kind in ("added", "missing"):
        if schema[kind]:
            yield f"fields {kind}: {', '.join(schema[kind])}"
    for each in schema["type_changed"] or ():
        yield f"field {each['path']} changed: {each['a']}, before {each['b']}"


def _show_anomalies(found: Iterable[Json]) -> None:
    for each in found:
        output.say(f"{each['severity']}: run {each['run_id']}: {each['message']}")


_LISTING = Listing(name="runs", headers=_HEADERS, row=_row, numbers=_NUMBERS, options="--source and --status")
