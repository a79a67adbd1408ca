"""`kasparro drift list`, `accept` and `reject`: how the fields of sources changed, and what a person says to it."""

import argparse
import json
from typing import Any

from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.store import drift_decisions, drift_records
from kasparro.store.bounded import BoundedDatabase

_HEADERS = (
    "id", "source", "slice", "kind", "field", "renamed to", "confidence", "action", "status", "first seen", "last seen",
)  # fmt: skip
_KEYS = ("kind", "path", "renamed_to", "confidence", "action", "status", "first_seen_at", "last_seen_at")


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Show a page, or decide about one; 0 when that is done. Drifts of sources no longer configured are there too."""
    logs.silence(config)
    with App(config) as app:
        app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=False)
        if args.action == "list":
            return _list(args, app)
        decide = drift_decisions.accept if args.action == "accept" else drift_decisions.reject
        with app.database.transaction() as conn:
            status = decide(conn, args.drift)
            drift = json.loads(drift_records.get(conn, args.drift), parse_float=str)
    if args.json:
        output.show_json(drift)
    else:
        print(_said(drift, status))
    return 0


def _list(args: argparse.Namespace, app: App) -> int:
    chosen = drift_records.Filter(sources=args.source or None, kind=args.kind, status=None if args.all else "open")
    with BoundedDatabase(app.database, app.clock).reading() as conn:
        app.check_names(conn, args.source)
        page = drift_records.page(conn, chosen, limit=args.limit)
    if args.json:
        print(f'{{"drifts": {page.rows}, "has_more": {json.dumps(page.next_id is not None)}}}')
        return 0
    rows = json.loads(page.rows, parse_float=str)
    if not rows:
        print("no drifts" if args.all else "no open drifts")
        return 0
    table = [[str(each["id"]), each["source"], each["slice"] or None, *(each[key] for key in _KEYS)] for each in rows]
    output.show_table(_HEADERS, table, numbers=("id", "confidence"))
    if page.next_id is not None:
        print(f"there are more than {args.limit}: see --limit, --source and --kind")
    return 0


def _said(drift: dict[str, Any], status: str) -> str:
    """What a decision means from now on."""
    where = f"drift {drift['id']} is {status}: {drift['source']}"
    old, new = repr(drift["path"]), repr(drift["renamed_to"])
    if drift["renamed_to"] is None:
        usual = "what it is now" if status == "accepted" else "what it was before"
        return f"{where}'s field {old} is usually {usual}"
    if status == "accepted":
        return (
            f"{where} is read with {new} where there is no {old}, from the next run on. What was rejected meanwhile "
            f"comes in with kasparro replay --source {drift['source']}"
        )
    return (
        f"{where} is no longer read with {new} for {old}. What was loaded that way goes with "
        f"kasparro replay --source {drift['source']} --raw"
    )
