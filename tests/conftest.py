"""Where do tests get a real PostgreSQL, and a database of their own in it?

From the embedded cluster "test" (fsync off, in memory where there is enough), or from KASPARRO_TEST_DSN. One template
is migrated per session and cloned per test. Sessions may run at the same time, and a later one removes what a killed
one left.
"""

import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kasparro.clock import SystemClock
from kasparro.errors import KasparroError
from kasparro.store import db, embedded, migrate

SOURCES = ("coinpaprika", "coingecko", "csv")
# Every database made here is called this, a session's token and a number; nothing else is ever dropped.
PREFIX = "kasparro_test_"
USAGE_ERROR = 2
# What a test never needs: surviving a power cut, and a vacuum in the middle of a measurement.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    # In memory it would be in the way.
    "max_wal_size": "128MB",
}
# A file system in memory, and the bytes that must be free in it: several times what tests ever write there.
MEMORY = Path("/dev/shm")
LEAST_FREE_BYTES = 2 * 1024**3


# How long an example takes is the machine's affair, not the code's: it may be busy. The examples are the same in every
# run, but where their number is given, to look for others.
hypothesis.settings.register_profile("patient", deadline=None, derandomize="KASPARRO_EXAMPLES" not in os.environ)
hypothesis.settings.load_profile("patient")


def pytest_configure() -> None:
    """Refuse a database that does not say that it is for tests, before anything touches it."""
    dsn = os.environ.get("KASPARRO_TEST_DSN")
    if not dsn:
        return
    try:
        name = str(conninfo_to_dict(dsn).get("dbname", ""))
    except psycopg.ProgrammingError as ex:
        pytest.exit(f"KASPARRO_TEST_DSN is not a connection string: {ex}", returncode=USAGE_ERROR)
    if "test" not in name:
        pytest.exit(
            f"KASPARRO_TEST_DSN names the database {name!r}; tests only use one whose name contains 'test'",
            returncode=USAGE_ERROR,
        )


class Databases:
    """Makes and drops databases on one server. Its own connection, by its name, says that the session is alive."""

    def __init__(self, admin_dsn: str) -> None:
        self._admin_dsn = admin_dsn
        self._token = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        application = f"{PREFIX}{self._token}"
        self._conn = psycopg.connect(make_conninfo(admin_dsn, application_name=application), autocommit=True)
        self._drop_stale()
        self._template = self.create()
        with db.connect(self.dsn(self._template)) as conn:
            migrate.apply(conn, sources=SOURCES)

    def create(self, template: str = "template0") -> str:
        """Make a database like `template` and return its name."""
        name = f"{PREFIX}{self._token}_{next(self._numbers)}"
        # On a server without fsync copying files takes half the time of copying through the write-ahead log.
        command = sql.SQL("create database {} template {} strategy file_copy")
        self._conn.execute(command.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def clone(self) -> str:
        """Make a migrated database and return its name."""
        return self.create(self._template)

    def drop(self, name: str) -> None:
        self._conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def dsn(self, name: str) -> str:
        return make_conninfo(self._admin_dsn, dbname=name)

    def close(self) -> None:
        self.drop(self._template)
        self._conn.close()

    def _drop_stale(self) -> None:
        """Drop databases whose session is gone: no connection carries their first part as its name."""
        rows = self._conn.execute(
            """
            select datname
            from pg_database
            where datname ~ %(made_here)s
                and not exists (
                    select
                    from pg_stat_activity
                    where starts_with(application_name, %(prefix)s)
                        and starts_with(pg_database.datname, application_name || '_')
                )
            order by datname
            """,
            {"prefix": PREFIX, "made_here": f"^{PREFIX}[0-9a-f]{{8}}_[0-9]+$"},
        )
        for (name,) in rows.fetchall():
            self.drop(name)


def base_dir() -> Path | None:
    """Where the cluster is kept. To clone a database means to copy a thousand files, which takes a tenth in memory."""
    if data_dir := os.environ.get("KASPARRO_DATA_DIR"):
        return Path(data_dir)
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > LEAST_FREE_BYTES:
        return MEMORY / f"kasparro-tests-{os.geteuid()}"
    return None


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The server of this session."""
    dsn = os.environ.get("KASPARRO_TEST_DSN")
    cluster = None
    try:
        if not dsn:
            cluster = embedded.open("test", base_dir=base_dir(), clock=SystemClock(), settings=SETTINGS)
            dsn = cluster.dsn("postgres")
        made = Databases(dsn)
    except (KasparroError, psycopg.Error) as ex:
        pytest.exit(f"no PostgreSQL for the tests: {ex}", returncode=USAGE_ERROR)
    yield made
    made.close()
    if cluster is not None:
        cluster.close()


@pytest.fixture
def dsn(databases: Databases) -> Iterator[str]:
    """A fresh, migrated database with the partitions of the built-in sources."""
    name = databases.clone()
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """A fresh database that nothing has migrated yet."""
    name = databases.create()
    yield databases.dsn(name)
    databases.drop(name)
