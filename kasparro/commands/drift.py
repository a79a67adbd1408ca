"""`kasparro drift list`, `accept` and `reject`: how the fields of sources changed, and what a person says to it."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.listing import Listing
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl import refusals
from kasparro.etl.field_rules import REQUIRED_FIELDS
from kasparro.fields import DriftAction
from kasparro.store import drift_decisions, drift_records, schedules
from kasparro.store.bounded import BoundedDatabase

_HEADERS = (
    "id", "source", "slice", "kind", "field", "renamed to", "values", "confidence", "action", "in force", "status",
    "first seen", "last seen",
)  # fmt: skip
_KEYS = ("confidence", "action", "in_force", "status", "first_seen_at", "last_seen_at")


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
            was_kept = drift["action"] in (DriftAction.QUARANTINED, DriftAction.FAILED)
            is_due = status == "accepted" and was_kept and schedules.hasten(conn, drift["source"])
    if args.json:
        output.show_json(drift)
    else:
        print(said(drift, status, is_due=is_due))
    return 0


def _list(args: argparse.Namespace, app: App) -> int:
    chosen = drift_records.Filter(sources=args.source or None, kind=args.kind, of_now=not args.all)
    with BoundedDatabase(app.database, app.clock).reading() as conn:
        app.check_names(conn, args.source)
        page = drift_records.page(conn, chosen, limit=args.limit)
    return _LISTING.show(page, args, nothing="no drifts" if args.all else "no open drifts, and no renames in force")


def _row(each: Mapping[str, Any]) -> list[object]:
    details = each["details"]
    kind = f"{each['kind']}, by its values" if details.get("rescaled") else each["kind"]
    values = refusals.shown(float(details.get("factor") or 0), details.get("example")) or None
    first = [str(each["id"]), each["source"], each["slice"] or None, kind, each["path"], each["renamed_to"], values]
    return [*first, *(each[key] for key in _KEYS)]


_LISTING = Listing(
    name="drifts", headers=_HEADERS, row=_row, numbers=("id", "confidence"), options="--source and --kind"
)


def said(drift: Mapping[str, Any], status: str, *, is_due: bool) -> str:
    """What a decision means from now on."""
    said = _meaning(drift, f"drift {drift['id']} is {status}: {drift['source']}", is_accepted=status == "accepted")
    return f"{said}. {drift['source']} is due at once" if is_due else said


def _meaning(drift: Mapping[str, Any], where: str, *, is_accepted: bool) -> str:
    old, new, names = repr(drift["path"]), repr(drift["renamed_to"]), drift["details"].get("fields", ())
    if drift["details"].get("rescaled"):
        return _meaning_of_values(drift, where, is_accepted=is_accepted)
    if drift["renamed_to"] is None:
        if is_accepted and drift["kind"] == "missing" and names:
            needed = ", and without that no record gives a quote" if {*names} & {*REQUIRED_FIELDS} else ""
            return f"{where} has no {old} any more: its field map must say where else {' and '.join(names)} is{needed}"
        return f"{where}'s field {old} is usually {'what it is now' if is_accepted else 'what it was before'}"
    if is_accepted:
        return (
            f"{where} is read with {new} where there is no {old}, from the next run on. What was rejected meanwhile "
            f"comes in with kasparro replay --source {drift['source']}"
        )
    return (
        f"{where} is no longer read with {new} for {old}. What was loaded that way goes with "
        f"kasparro replay --source {drift['source']} --raw"
    )


def _meaning_of_values(drift: Mapping[str, Any], where: str, *, is_accepted: bool) -> str:
    path, replay = repr(drift["path"]), f"kasparro replay --source {drift['source']}"
    renumbered = "external_id" in drift["details"].get("fields", ())
    which = "old" if is_accepted else "new"
    ids = f", and listings with {which} ids are superseded until they are quoted again" if renumbered else ""
    if not is_accepted:
        return (
            f"{where}'s field {path} is to say what it said before, from the next run on{ids}. What was read meanwhile "
            f"is kept out; the quotes that were made of it go with {replay} --raw"
        )
    if drift["details"].get("let_in"):
        return f"{where}'s records that were kept out for its field {path} come in with {replay}, and no others"
    return (
        f"{where}'s field {path} may say what it says now{ids}. What was kept out comes in with {replay}. If it was "
        f"wrong: kasparro drift reject {drift['id']}, then {replay} --raw"
    )
