"""Transactions that end in time, whatever the database or the network does.

Postgres' own statement_timeout ends a slow query, but not a wait for a server that was stopped, or for a host
that vanished: there the client would hang for minutes, and soon every thread of the API with it. So a
watchdog shuts down the socket of whoever waits too long; psycopg then raises, and the pool replaces the connection.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from kasparro import errors
from kasparro.clock import Clock
from kasparro.store import db
from kasparro.watchdog import Watchdog

# Seconds a request waits for a connection: the pool is larger than the API has threads, so it only waits while Postgres
# is away, and every waiting thread is one that cannot answer /health/live.
POOL_WAIT_SECONDS = 2.0
# Seconds one statement may take. Longer, and a few expensive filters would hold all threads of the API.
STATEMENT_SECONDS = 5.0
# Seconds the client waits longer than Postgres' own limit: time for the error to travel.
GRACE_SECONDS = 1.0


class BoundedDatabase:
    """A database whose transactions have a time limit on both sides of the wire."""

    def __init__(self, database: db.Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._watchdog = Watchdog(clock)
        logging.getLogger("psycopg.pool").addFilter(_is_news)

    def stats(self) -> dict[str, int]:
        """The pool's own numbers."""
        return self._database.stats()

    @contextmanager
    def reading(
        self,
        *,
        statement_seconds: float = STATEMENT_SECONDS,
        total_seconds: float | None = None,
        wait_seconds: float = POOL_WAIT_SECONDS,
    ) -> Iterator[db.Connection]:
        """Lend a connection in a read-only transaction.

        `wait_seconds` is for the pool, `statement_seconds` for each statement, `total_seconds` for the whole block
        (by default one statement and a grace). Raises DatabaseUnavailableError: no connection in time, no answer in
        time (code query_timeout when Postgres itself gave up on a statement), or the connection broke.
        """
        with self._limited(statement_seconds, total_seconds, wait_seconds) as conn:
            _set_limits(conn, statement_seconds=statement_seconds, read_only=True)
            yield conn

    @contextmanager
    def writing(self) -> Iterator[db.Connection]:
        """The same for a short write: committed at the end of the block, rolled back on any error."""
        with self._limited(STATEMENT_SECONDS, None, POOL_WAIT_SECONDS) as conn:
            _set_limits(conn, statement_seconds=STATEMENT_SECONDS, read_only=False)
            yield conn

    @contextmanager
    def _limited(
        self, statement_seconds: float, total_seconds: float | None, wait_seconds: float
    ) -> Iterator[db.Connection]:
        seconds = statement_seconds + GRACE_SECONDS if total_seconds is None else total_seconds
        give_up_at = self._clock.monotonic() + wait_seconds + seconds
        left = wait_seconds + seconds
        while True:
            with contextlib.ExitStack() as stack:
                lent = self._database.connection(timeout_seconds=min(wait_seconds, left), patient=True)
                conn = stack.enter_context(lent)
                stack.enter_context(_named_timeout(statement_seconds))
                try:
                    stack.enter_context(self._watchdog.limit(conn, seconds=min(seconds, left)))
                    stack.enter_context(conn.transaction())
                except psycopg.OperationalError:
                    # Postgres was restarted and the pool has not noticed: nothing was done yet, so take the next one.
                    left = give_up_at - self._clock.monotonic()
                    if left > 0:
                        continue
                    raise
                yield conn
                return


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the pool speaks of more than a connection that we closed: that is how a stream ends whose client left."""
    conn = record.args[0] if isinstance(record.args, tuple) and record.args else None
    closed_by_us = isinstance(conn, psycopg.Connection) and conn.closed and not conn.broken
    return not (closed_by_us and record.msg.startswith("discarding closed connection"))


@contextmanager
def _named_timeout(statement_seconds: float) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled as ex:
        message = f"the query took longer than {statement_seconds:g} s; narrow the filter"
        raise errors.DatabaseUnavailableError(message, code="query_timeout") from ex


def _set_limits(conn: db.Connection, *, statement_seconds: float, read_only: bool) -> None:
    """Limits of this transaction alone: nothing outlives it, so a transaction pooler may stand in between.

    Plans are made for the values at hand: a generic one knows neither how many listings a filter names nor how
    small the page is, and was measured ten times slower. Bitmap scans read everything that matches before the first
    row: where the planner takes a listing for shorter than it is, a page would read all of it. Compiling (jit) takes
    longer than any query here, and on tables without statistics it ended the server in the middle of /stats.
    """
    conn.execute(
        """
        select
            set_config('statement_timeout', %(milliseconds)s, true),
            set_config('transaction_read_only', %(read_only)s, true),
            set_config('plan_cache_mode', 'force_custom_plan', true),
            set_config('enable_bitmapscan', 'off', true),
            set_config('jit', 'off', true)
        """,
        {
            "milliseconds": str(max(int(statement_seconds * 1000), 1)),
            "read_only": "on" if read_only else "off",
        },
    )
