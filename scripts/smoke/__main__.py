"""The end-to-end demonstration: `make smoke`, or `make smoke URL=https://...` for the part that only reads.

In containers where there is an engine, else as processes of this machine; on free ports, with data of its own that are
removed at the end. A checklist with figures; the first thing that is not so ends it with exit code 1.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NoReturn
from urllib.parse import urlsplit

import checks
import drifts
import reading
from client import Client, Failed
from compose import ComposeStack
from local import LocalStack
from stack import Stack


def main() -> int:
    """0 when everything held."""
    parser = argparse.ArgumentParser(
        prog="make smoke", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--url", type=_address, help="only read from the service at this address; its key: KASPARRO_SMOKE_KEY"
    )
    parser.add_argument(
        "--cron-since", type=_moment, metavar="TIME", help="with --url: wait for what its cron ingests after this time"
    )
    parser.add_argument("--local", action="store_true", help="processes, even where there is a container engine")
    args = parser.parse_args()
    # A terminal that is closed, a job that is cancelled: what was started goes before we do.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    began = time.monotonic()
    try:
        if args.url:
            held = _remote(args.url, cron_since=args.cron_since)
        else:
            held = _whole(LocalStack if args.local or not _has_engine() else ComposeStack)
    except KeyboardInterrupt:
        return 130
    except Failed as ex:
        print(f"FAIL  clean up: {ex}", file=sys.stderr)
        return 1
    print(f"{'everything held' if held else 'FAILED'}, {time.monotonic() - began:.0f} s")
    return 0 if held else 1


def _remote(url: str, *, cron_since: datetime | None) -> bool:
    """What a deployed service can be asked without changing anything."""
    key = os.environ.get("KASPARRO_SMOKE_KEY") or _first_key(os.environ.get("KASPARRO_API_KEYS", ""))
    client = Client(url, key)
    ran = cron_since is None or _show("cron", lambda: reading.see_cron(client, cron_since))
    return ran and _show("API", lambda: reading.read_api(client))


def _whole(make: Callable[[str], Stack]) -> bool:
    stack = make(secrets.token_hex(16))
    print(f"Kasparro, shown on {stack.kind} of its own", flush=True)
    steps: list[tuple[str, Callable[[], str]]] = [
        ("three sources", lambda: checks.ingest(stack)),
        ("API", lambda: reading.read_api(stack.client, least_pages=reading.PAGES)),
        ("second run", lambda: checks.run_again(stack)),
        ("compare", lambda: checks.compare_runs(stack)),
        ("metrics", lambda: checks.read_metrics(stack.client)),
        ("kill -9", lambda: checks.survive(stack)),
        ("limits", lambda: checks.keep_limits(stack)),
        ("drift", lambda: drifts.see_drift(stack)),
        ("stop", lambda: checks.stop(stack)),
    ]
    held = False
    try:
        held = _show("start", partial(_open, stack))
        for name, step in steps:
            held = held and _show(name, step)
        if not held:
            print(f"--- the service's last words\n{stack.last_words()}", file=sys.stderr)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stack.close()
    return held


def _open(stack: Stack) -> str:
    stack.open()
    return "database and stand-in upstreams are up"


def _show(name: str, step: Callable[[], str]) -> bool:
    began = time.monotonic()
    try:
        said, mark = step(), "ok  "
    except Failed as ex:
        said, mark = str(ex), "FAIL"
    except Exception as ex:  # noqa: BLE001 - an answer of another shape than ours, an engine that hangs: a failure like others
        said, mark = f"{type(ex).__name__}: {ex}", "FAIL"
    print(f"{mark}  {name:<14} {time.monotonic() - began:5.1f} s  {said}", flush=True)
    return mark == "ok  "


def _has_engine() -> bool:
    try:
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=20, check=False)
        answered = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and answered.returncode == 0


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _address(text: str) -> str:
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query or found.fragment:
        raise argparse.ArgumentTypeError(f"must be http(s)://host, got {text!r}")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"must say its time zone, got {text!r}")
    return moment


def _first_key(entries: str) -> str | None:
    first = entries.replace("\n", ",").split(",")[0]
    return first.partition(":")[2].strip() or None


if __name__ == "__main__":
    sys.exit(main())
