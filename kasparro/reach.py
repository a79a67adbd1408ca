"""How does the service get to its database? It waits, migrates, and brings its own PostgreSQL where none is named."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path
from typing import TypeVar

from kasparro import __version__, errors
from kasparro.clock import Clock
from kasparro.config import Config
from kasparro.store import db, embedded, embedded_files, migrate

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Seconds between two attempts to reach the database.
_RETRY_SECONDS = 0.5
# Seconds between two looks at whether to stop, while the database is being opened.
_LOOK_SECONDS = 0.05
# The database that the service uses in the embedded PostgreSQL.
EMBEDDED_DATABASE = "kasparro"


class Reach:
    """The way to the database of this process. `trouble` says why it is not open; None once it is."""

    def __init__(self, config: Config, sources: Sequence[str], clock: Clock, *, cluster: str) -> None:
        """`cluster` names the embedded PostgreSQL's data."""
        self._config = config
        self._sources = sources
        self._clock = clock
        self._cluster = cluster
        self._embedded: embedded.Embedded | None = None
        self.trouble: errors.KasparroError | None = errors.DatabaseUnavailableError("the service is starting")

    def require_way(self) -> None:
        """Raise ConfigError when there can be no database, however long one waits: none is named, none is brought."""
        if self._config.database_url is None:
            embedded_files.installed()

    def open(
        self, database: db.Database, stop: threading.Event, *, wait_seconds: float | None, migrate_first: bool
    ) -> None:
        """Reach the database, bring its schema up to date or make sure that it is, and open the pool.

        Waits for a database that cannot be reached; for ever when `wait_seconds` is None. Raises
        DatabaseUnavailableError when that time is over, SchemaError when the schema does not fit, StoppedError when
        told to stop.
        """

        def attempt() -> None:
            dsn, direct = self._addresses(stop)
            if dsn != direct:
                # The pool fills in the background and would not say that there is no way to its address.
                with db.connect(dsn):
                    pass
            with db.connect(direct) as conn:
                if migrate_first:
                    self._migrate(conn)
                migrate.require_current(conn, code_version=__version__)
                migrate.require_partitions(conn, sources=list(self._sources))
            database.open(dsn)
            self.trouble = None

        self._again_and_again(attempt, stop, wait_seconds)

    def migrate(self, stop: threading.Event, *, wait_seconds: float | None) -> list[int]:
        """Bring the schema up to date, with the partitions of all sources; the versions applied.

        Waits, and raises, as `open` does.
        """

        def attempt() -> list[int]:
            _, direct = self._addresses(stop)
            with db.connect(direct) as conn:
                return self._migrate(conn)

        return self._again_and_again(attempt, stop, wait_seconds)

    def close(self) -> None:
        """Let go of the embedded PostgreSQL, if there is one."""
        if self._embedded is not None:
            self._embedded.close()
            self._embedded = None

    def _migrate(self, conn: db.Connection) -> list[int]:
        migrate.require_served(conn, code_version=__version__)
        applied = migrate.apply(conn, sources=list(self._sources))
        logger.info("schema is current", extra={"migrations_applied": applied})
        return applied

    def _again_and_again(self, attempt: Callable[[], T], stop: threading.Event, wait_seconds: float | None) -> T:
        """Do `attempt` until the database answers."""
        began = self._clock.monotonic()
        said = ""
        while True:
            try:
                return _unless_stopped(attempt, stop)
            except (errors.DatabaseUnavailableError, errors.ConflictError) as ex:
                self.trouble = ex
                if wait_seconds is not None and self._clock.monotonic() - began > wait_seconds:
                    raise self._gave_up(ex, wait_seconds) from ex
                if wait_seconds is None and ex.message != said:
                    said = ex.message
                    logger.warning("waiting for the database", extra={"error": said})
            if self._clock.wait(stop, _RETRY_SECONDS):
                raise errors.StoppedError("asked to stop while waiting for the database")

    def _gave_up(self, reason: errors.DatabaseError, wait_seconds: float) -> errors.DatabaseError:
        """Why a command ends without the database, and what to do about it."""
        names = "DATABASE_URL" if self._config.direct_dsn is None else "DATABASE_URL or KASPARRO_DIRECT_DSN"
        advice = f"the database of {names}; start it or correct the setting"
        if self._config.database_url is None:
            advice = "the embedded PostgreSQL, as DATABASE_URL is not set; try again or set it"
        advice = f"waited {wait_seconds:g} s for {advice}, or wait longer with KASPARRO_DB_WAIT_SECONDS"
        return type(reason)(f"{advice}: {reason.message}")

    def _addresses(self, stop: threading.Event) -> tuple[str, str]:
        """The service's address of the database, and the one for migrations."""
        if self._config.database_url is not None:
            dsn = self._config.database_url.reveal()
            return dsn, self._config.direct_dsn.reveal() if self._config.direct_dsn is not None else dsn
        if self._embedded is None:
            base: Path | None = self._config.data_dir
            self._embedded = embedded.open(self._cluster, base_dir=base, clock=self._clock, stop=stop)
        dsn = self._embedded.dsn(EMBEDDED_DATABASE)
        return dsn, dsn


def _unless_stopped(attempt: Callable[[], T], stop: threading.Event) -> T:
    """Do `attempt` in a thread of its own, and leave it there when asked to stop: Postgres rolls back what it was at.

    Little of it can be interrupted (a migration, a name to resolve, a loaded machine that starts programs), and a
    process has ten seconds to end.
    """
    done: futures.Future[T] = futures.Future()

    def work() -> None:
        try:
            done.set_result(attempt())
        except BaseException as ex:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(ex)

    if not stop.is_set():
        threading.Thread(target=work, name="reach", daemon=True).start()
    while not stop.is_set():
        if futures.wait([done], timeout=_LOOK_SECONDS).done:
            return done.result()
    raise errors.StoppedError("asked to stop while the database was being opened")
