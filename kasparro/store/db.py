"""Connections and transactions: the pool, transaction(), and psycopg's errors as ours, in this one place.

The service must run behind PgBouncer in transaction mode: no session state, no start-up options, only
`set local`; and no prepared statements when KASPARRO_PREPARE is off.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from attrs import frozen
from psycopg import errors as pg
from psycopg.abc import RV, Buffer, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.datetime import TimestamptzLoader
from psycopg_pool import ConnectionPool, PoolTimeout

from kasparro import errors
from kasparro.watchdog import Watchdog

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]

# Seconds. A connection older than this is replaced: proxies in front of managed Postgres cut older ones.
MAX_LIFETIME_SECONDS = 600.0
# Seconds. An idle connection above min_size is closed after this, below the idle limits of such proxies.
MAX_IDLE_SECONDS = 300.0
# Seconds of ever longer pauses after which the pool begins anew with short ones: with its own 300 the service would be
# back as much as ten seconds after Postgres is (measured).
RECONNECT_SECONDS = 2.0
# Seconds for one TCP connection attempt; without it a dead host hangs a thread for minutes.
CONNECT_TIMEOUT_SECONDS = 5


class _UtcLoader(TimestamptzLoader):
    """Times in UTC whatever the session's time zone: arithmetic within another zone would follow its wall clock."""

    def load(self, data: Buffer) -> datetime:
        return super().load(data).astimezone(UTC)


def _in_utc(conn: Connection) -> None:
    conn.adapters.register_loader("timestamptz", _UtcLoader)


# What Postgres says when it cannot be reached or goes away; a later attempt may succeed.
_UNAVAILABLE = (
    pg.OperationalError,
    pg.InterfaceError,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.IdleInTransactionSessionTimeout,
    PoolTimeout,
)
# The transaction lost a race and may simply be done again. A row that another one refers to is gone: so was it a race.
_CONFLICT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.UniqueViolation,
    pg.ForeignKeyViolation,
    pg.LockNotAvailable,
)


@frozen(kw_only=True)
class Patience:
    """How long one wait for an answer of the server may take: no timeout of Postgres ends the wait for a silent one."""

    watchdog: Watchdog
    seconds: float


class _Watched(psycopg.Connection[Row]):
    """A connection that waits for its server no longer than its patience, if it has some."""

    patience: Patience | None = None

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        if self.patience is None:
            return super().wait(gen, *args, **options)
        with self.patience.watchdog.limit(self, seconds=self.patience.seconds):
            return super().wait(gen, *args, **options)


class Database:
    """A pool of connections to one database, which may become known only after the service listens.

    `prepare` False turns off prepared statements, for PgBouncer before 1.22 in transaction mode. `patience` is that
    with every answer, None waits for ever.
    """

    def __init__(self, *, prepare: bool, max_size: int, patience: Patience | None = None) -> None:
        self._prepare = prepare
        self._max_size = max_size
        self._patience = patience
        self._pool: ConnectionPool[_Watched] | None = None
        self._dsn: str | None = None

    def open(self, dsn: str) -> None:
        """Start filling the pool; does not wait for Postgres."""
        pool: ConnectionPool[_Watched] = ConnectionPool(
            dsn,
            connection_class=_Watched,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "prepare_threshold": 5 if self._prepare else None,
                "application_name": "kasparro",
            },
            min_size=1,
            max_size=self._max_size,
            max_lifetime=MAX_LIFETIME_SECONDS,
            max_idle=MAX_IDLE_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            configure=_in_utc,
            open=False,
            name="kasparro",
        )
        pool.open(wait=False)
        self._pool = pool
        self._dsn = dsn

    def close(self) -> None:
        """Close the pool and its connections; those lent out are closed when they come back."""
        if self._pool is not None:
            self._pool.close(timeout=0.5)

    @contextmanager
    def connection(self, *, timeout_seconds: float = 5.0, patient: bool = False) -> Iterator[Connection]:
        """Lend an autocommit connection. With `patient` its waits have no limit but what the caller sees to.

        Raises DatabaseUnavailableError when none is to be had within `timeout_seconds`, and our errors for whatever
        psycopg raises inside the block.
        """
        if self._pool is None:
            raise errors.DatabaseUnavailableError("the database is still being started")
        with translated(), self._pool.connection(timeout=timeout_seconds) as conn:
            conn.patience = None if patient else self._patience
            yield conn

    @contextmanager
    def transaction(self, *, timeout_seconds: float = 5.0) -> Iterator[Connection]:
        """Lend a connection inside one transaction: committed at the end of the block, rolled back on any error."""
        with self.connection(timeout_seconds=timeout_seconds) as conn, conn.transaction():
            yield conn

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """A new autocommit connection that is none of the pool's, whatever becomes of those."""
        if self._dsn is None:
            raise errors.DatabaseUnavailableError("the database is still being started")
        with connect(self._dsn) as conn:
            yield conn

    def stats(self) -> dict[str, int]:
        """The pool's own numbers (psycopg_pool's names)."""
        return dict(self._pool.get_stats()) if self._pool is not None else {}


def check_dsn(name: str, dsn: str) -> None:
    """Raise ConfigError when libpq cannot use the connection string of setting `name`; its value is not shown.

    Asks no server.
    """
    try:
        given = conninfo_to_dict(dsn)
        # A host that is no folder of sockets: libpq checks every option, then fails at once without a network.
        local = make_conninfo(dsn, host="/dev/null", hostaddr="", port="5432", connect_timeout=CONNECT_TIMEOUT_SECONDS)
    except psycopg.ProgrammingError:
        raise errors.ConfigError([f"{name}: is not a connection string that libpq can read"]) from None
    ports = str(given.get("port") or "").split(",")
    if any(port.strip() and not (port.strip().isdecimal() and 1 <= int(port) <= 65535) for port in ports):
        raise errors.ConfigError([f"{name}: its port must be a number from 1 to 65535"])
    attempt = psycopg.pq.PGconn.connect_start(local.encode())
    message = attempt.error_message.decode(errors="replace").strip()
    attempt.finish()
    if message and not message.startswith("connection to server"):
        # What is wrong stands before the value, which is quoted.
        reason = re.split(r"[:\"]", message)[0].strip()
        raise errors.ConfigError([f"{name}: libpq refuses it: {reason}"])


@contextmanager
def connect(dsn: str) -> Iterator[Connection]:
    """A single autocommit connection outside the pool: for migrations and one-shot checks."""
    with (
        translated(),
        psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            prepare_threshold=None,
            application_name="kasparro",
        ) as conn,
    ):
        _in_utc(conn)
        yield conn


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """A part of a transaction that may fail alone: on any error it is rolled back, and what was before stays."""
    with translated(), conn.transaction():
        yield


def one(cursor: psycopg.Cursor[Row]) -> Row:
    """The only row of a query that always gives one."""
    row = cursor.fetchone()
    if row is None:
        raise errors.DatabaseError("a query that always gives a row gave none")
    return row


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into ours; the message is Postgres' primary message, which holds no row values."""
    try:
        yield
    except pg.DiskFull as ex:
        raise errors.DatabaseError(_message(ex), code="disk_full") from ex
    except pg.QueryCanceled as ex:
        raise errors.DatabaseUnavailableError(_message(ex), code="query_timeout") from ex
    except _CONFLICT as ex:
        raise errors.ConflictError(_message(ex)) from ex
    except _UNAVAILABLE as ex:
        raise errors.DatabaseUnavailableError(_message(ex)) from ex
    except psycopg.Error as ex:
        raise errors.DatabaseError(_message(ex)) from ex


def _message(ex: Exception) -> str:
    if isinstance(ex, psycopg.Error) and ex.diag.message_primary:
        return ex.diag.message_primary
    return str(ex).strip().splitlines()[0] if str(ex).strip() else type(ex).__name__
