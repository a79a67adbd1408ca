"""What do the tables hold, whichever ids, runs and times there were? Asked of the database, not of the API."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from client import Failed
from stack import ROOT, Stack

# The tests' own queries: what databases with the same history have in common, and what none may have.
sys.path.append(str(ROOT / "tests" / "e2e"))
import tables

# Run where the service runs, with its settings.
_SCRIPT = """
import json, os, sys, threading
from kasparro.app import App
from kasparro.config import Config

wanted, never = json.loads(sys.argv[1])
digest = "select count(*), sum(hashtextextended(t::text, 0))::text from ({}) t"
with App(Config.from_env(os.environ)) as app:
    app.open_database(threading.Event(), wait_seconds=30, migrate_first=False)
    with app.database.connection() as conn:
        conn.execute("set timezone = 'UTC'")
        digests = {name: conn.execute(digest.format(query)).fetchone() for name, query in wanted.items()}
        flaws = [name for name, query in never.items() if conn.execute(query).fetchone() is not None]
print(json.dumps([digests, flaws]))
"""

Digests = Mapping[str, Any]


def digests(stack: Stack) -> Digests:
    """Rows and digest by table. Raises Failed when there is what must never be, such as a quote without its record."""
    wanted = {name: tables.TABLES[name] for name in tables.DATA}
    code, stdout, stderr = stack.python(_SCRIPT, json.dumps([wanted, tables.NEVER]))
    if code != 0:
        raise Failed(f"the tables cannot be read: {stderr[-500:]}")
    found, flaws = json.loads(stdout)
    if flaws:
        raise Failed(f"the database has {', '.join(flaws)}")
    return dict(found)


def differences(one: Digests, other: Digests) -> list[str]:
    """The tables that differ, each with its rows in both."""
    return [f"{name} ({one[name][0]} and {other[name][0]} rows)" for name in one if one[name] != other[name]]
