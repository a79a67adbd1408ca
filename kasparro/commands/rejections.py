"""`kasparro rejections list`: the records that gave no quote, and why; the newest first."""

import argparse
from collections.abc import Mapping
from typing import Any

from kasparro.app import App
from kasparro.commands import logs
from kasparro.commands.listing import Listing
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.store import rejection_records
from kasparro.store.bounded import BoundedDatabase

_HEADERS = ("id", "source", "slice", "code", "field", "message", "external id", "attempts", "last seen", "resolved")
# Characters of a message in the table: a line stays readable. --json has all of it.
_MESSAGE_CHARACTERS = 80


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Show a page; 0 whatever is on it. Rejections of a source that is no longer configured are shown as well."""
    logs.silence(config)
    chosen = rejection_records.Filter(
        sources=args.source or None, code=args.code, resolved=None if args.all else args.resolved
    )
    with App(config) as app:
        app.open_database(stop, wait_seconds=config.db_wait_seconds, migrate_first=False)
        with BoundedDatabase(app.database, app.clock).reading() as conn:
            app.check_names(conn, args.source)
            page = rejection_records.page(conn, chosen, limit=args.limit)
    nothing = "no rejections" if args.all or args.resolved else "no open rejections"
    return _LISTING.show(page, args, nothing=nothing)


def _row(each: Mapping[str, Any]) -> list[object]:
    message = str(each["message"])
    if len(message) > _MESSAGE_CHARACTERS:
        message = message[: _MESSAGE_CHARACTERS - 1] + "…"
    keys = ("external_id", "attempts", "last_seen_at", "resolved_at")
    found = (str(each["id"]), each["source"], each["slice"] or None, each["code"], each["field"], message)
    return [*found, *(each[key] for key in keys)]


_LISTING = Listing(
    name="rejections", headers=_HEADERS, row=_row, numbers=("id", "attempts"), options="--source and --code"
)
