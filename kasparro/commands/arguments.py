"""Which commands are there, and what arguments does each take? `COMMANDS` is the table of contents of the command line.

What a command does is in the file of its name beside this one.
"""

import argparse
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path

from attrs import frozen

from kasparro import setting_values
from kasparro.fields import REJECTION_CODES, DriftKind
from kasparro.model import RunStatus

# Characters of a wrong number in its error.
_SHOWN_CHARACTERS = 40


@frozen(kw_only=True)
class Command:
    """One command. One that `winds_up` is asked to stop by a signal; the others end at once."""

    help: str
    winds_up: bool = False
    reads_sources: bool = True
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def _of(read: Callable[[str], int]) -> Callable[[str], int]:
    """An argument that is read as settings are."""

    def parse(text: str) -> int:
        try:
            return read(text)
        except ValueError as ex:
            raise argparse.ArgumentTypeError(f"{ex}, got {text[:_SHOWN_CHARACTERS]!r}") from None

    return parse


def _whole(most: int) -> Callable[[str], int]:
    """An argument that is a whole number from 1."""
    return _of(partial(setting_values.whole, least=1, most=most))


# Postgres' bigint: no id is larger.
_ID = _whole(2**63 - 1)
# Rows that are shown at most: what Postgres renders, and a person reads, in one go.
_ROWS = _whole(10_000)
# Listings of a source, runs that are kept, requests a minute: above what any have, and within Postgres' integer.
_COUNT = _whole(1_000_000_000)
_CODES = sorted(REJECTION_CODES)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_accept_rejections(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-rejections", action="store_true", help="load batches of which too many records are rejected"
    )


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-scheduler", action="store_true", help="only serve, run no sources")
    parser.add_argument("--no-migrate", action="store_true", help="refuse to start while the schema is behind")


def _add_run(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("source", nargs="*", default=[], metavar="SOURCE", help="the source's name")
    which.add_argument("--all", action="store_true", help="every enabled source")
    parser.add_argument("--cron", action="store_true", help="exit 0 for partial, busy and deferred runs too")
    _add_accept_rejections(parser)
    _add_json(parser)


def _add_backfill(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", help="the source's name")
    add("--from", type=_day, required=True, dest="first", metavar="DAY", help="first day, such as 2025-01-31 (UTC)")
    add("--to", type=_day, dest="last", metavar="DAY", help="last day (yesterday)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--top", type=_COUNT, default=100, metavar="N", help="the N first by rank (%(default)s)")
    which.add_argument("--ids", nargs="+", metavar="ID", help="listings with these ids of the source")
    which.add_argument("--all", action="store_true", help="every listing of the source")
    add("--again", action="store_true", help="ask for slices that are complete, too")
    _add_accept_rejections(parser)
    _add_json(parser)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|compare")
    several = actions.add_parser("list", help="the newest first")
    several.add_argument("--source", action="append", default=[], metavar="SOURCE", help="only this source; repeatable")
    several.add_argument("--status", choices=[status.value for status in RunStatus], help="only runs of this status")
    several.add_argument("--limit", type=_ROWS, default=20, metavar="N", help="at most so many (%(default)s)")
    show = actions.add_parser("show", help="one run, with its verdicts")
    show.add_argument("run_id", type=_ID, metavar="ID", help="the run's number")
    compare = actions.add_parser("compare", help="two runs of a source beside each other, and what differs")
    compare.add_argument("run_ids", type=_ID, nargs="*", metavar="ID", help="run A and, usually before it, run B")
    compare.add_argument("--source", metavar="SOURCE", help="instead: its last finished run and the one before")
    for action in (several, show, compare):
        _add_json(action)


def _add_rejections(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list")
    show = actions.add_parser("list", help="the newest first; open ones unless told otherwise")
    show.add_argument("--source", action="append", default=[], metavar="SOURCE", help="only this source; repeatable")
    show.add_argument("--code", choices=_CODES, metavar="CODE", help="only this code")
    which = show.add_mutually_exclusive_group()
    which.add_argument("--resolved", action="store_true", help="those whose records gave a quote since")
    which.add_argument("--all", action="store_true", help="open and resolved ones")
    show.add_argument("--limit", type=_ROWS, default=50, metavar="N", help="at most so many (%(default)s)")
    _add_json(show)


def _add_drift(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|accept|reject")
    show = actions.add_parser("list", help="the newest first; open ones unless told otherwise")
    show.add_argument("--source", action="append", default=[], metavar="SOURCE", help="only this source; repeatable")
    show.add_argument("--kind", choices=[kind.value for kind in DriftKind], help="only this kind")
    show.add_argument("--all", action="store_true", help="open and closed ones")
    show.add_argument("--limit", type=_ROWS, default=50, metavar="N", help="at most so many (%(default)s)")
    _add_json(show)
    for name, what in (
        ("accept", "take it for the new usual; a renamed field is read by its new name from now on"),
        ("reject", "undo that; a rename is not proposed again"),
    ):
        decide = actions.add_parser(name, help=what, description=what)
        decide.add_argument("drift", type=_ID, metavar="ID", help="its number in the list")
        _add_json(decide)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, metavar="SOURCE", help="the source's name")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--code", choices=_CODES, metavar="CODE", help="only records rejected with this code")
    which.add_argument("--run", type=_ID, dest="run_id", metavar="ID", help="only records that this run rejected")
    which.add_argument("--raw", action="store_true", help="every kept record, not only rejected ones")
    _add_json(parser)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|check|guess|try")
    _add_json(actions.add_parser("list", help="names, schedules and files"))
    _add_json(actions.add_parser("check", help="validate files and settings; fail above an upstream's budget"))
    guess = actions.add_parser("guess", help="a source file for CSV files, made of what is in them")
    guess.add_argument("file", nargs="+", type=Path, metavar="FILE", help="a CSV file; several share one map")
    said = "what letters are written in, such as cp1251, where the file does not tell"
    guess.add_argument("--encoding", default="", metavar="NAME", help=said)
    _add_json(guess)
    attempt = actions.add_parser("try", help="what a source file makes of CSV files, without a database")
    attempt.add_argument("map", type=Path, metavar="MAP", help="the source file (TOML)")
    attempt.add_argument("file", nargs="+", type=Path, metavar="FILE", help="a CSV file; its glob need not name it")
    attempt.add_argument("--limit", type=_ROWS, default=5, metavar="N", help="show N quotes a file (%(default)s)")
    _add_json(attempt)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--raw-days", type=_of(setting_values.days), metavar="N", help="raw records that changed no quote for N days"
    )
    parser.add_argument("--runs", type=_COUNT, metavar="N", help="all but the newest N ended runs of each source")
    _add_json(parser)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_of(setting_values.port), help="the port to listen on (KASPARRO_PORT)")


def _add_upstream(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=_of(setting_values.port), default=8001, help="port to listen on, 0 for a free one (%(default)s)")
    add("--seed", type=int, default=1, help="which market is made up (%(default)s)")
    add("--tick", type=int, help="pin the prices to this tick; otherwise they follow the clock")
    add("--tick-seconds", type=int, default=60, help="seconds a tick (%(default)s)")
    add("--coinpaprika-coins", type=int, default=2000, metavar="N", help="coins listed (%(default)s)")
    add("--coingecko-coins", type=int, default=3010, metavar="N", help="coins listed (%(default)s)")
    add("--coinpaprika-key", action="append", default=[], metavar="KEY", help="accept only this key; repeatable")
    add("--coingecko-key", action="append", default=[], metavar="KEY", help="accept only this key; repeatable")
    add("--coingecko-plan", choices=("demo", "pro"), default="demo", help="whose host to be (%(default)s)")
    add("--require-keys", action="store_true", help="refuse requests without a key")
    add("--requests-per-minute", type=_COUNT, metavar="N", help="answer 429 above this, for each upstream")


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day such as 2025-01-31, got {text!r}") from None


COMMANDS = {
    "serve": Command(help="answer the API and run due sources", winds_up=True, add_arguments=_add_serve),
    "run": Command(help="ingest sources once", winds_up=True, add_arguments=_add_run),
    "status": Command(help="show how every source fares", add_arguments=_add_json),
    "sources": Command(
        help="list or check the sources, guess one for CSV files, or try it", add_arguments=_add_sources
    ),
    "migrate": Command(help="bring the database's schema up to date"),
    "healthcheck": Command(help="exit 0 when the service is ready (for Docker)", reads_sources=False),
    "backfill": Command(help="ingest the past of listings, slice by slice", winds_up=True, add_arguments=_add_backfill),
    "runs": Command(help="what was run and how it went, and two runs compared", add_arguments=_add_runs),
    "rejections": Command(help="the records that gave no quote, and why", add_arguments=_add_rejections),
    "drift": Command(help="how fields of sources changed, and what you say to it", add_arguments=_add_drift),
    "replay": Command(
        help="normalise rejected records, or all kept ones, again", winds_up=True, add_arguments=_add_replay
    ),
    "prune": Command(help="forget raw records and runs that are old", winds_up=True, add_arguments=_add_prune),
    "faults": Command(help="the failures that can be injected, and those that fired", add_arguments=_add_json),
    "demo": Command(help="everything on this machine, with made-up data", winds_up=True, add_arguments=_add_demo),
    "upstream": Command(
        help="the stand-in upstreams alone", winds_up=True, reads_sources=False, add_arguments=_add_upstream
    ),
}
