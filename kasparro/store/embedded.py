"""How does a process get a real PostgreSQL on a machine that has none?

open() holds a shared lock for as long as the process lives, makes sure that a watcher keeps postgres running for
everybody who holds one (embedded_watch.py), and waits until it answers. Where things lie: embedded_files.py.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from kasparro import errors
from kasparro.clock import Clock
from kasparro.store import embedded_files as files
from kasparro.store import embedded_watch as watch

# Seconds for everything that open() waits for: a predecessor's shutdown, initdb, recovery after a power cut.
OPEN_SECONDS = 120.0
_TICK_SECONDS = 0.05
# Watchers one open() starts before it gives up: one may be killed from outside, two in a row failed by themselves.
_MAX_WATCHERS = 2
# Seconds for python to start and detach; far above what a loaded machine takes.
_SPAWN_SECONDS = 60
# Bytes after which the log is put aside at the next start; one older log is kept.
_MAX_LOG_BYTES = 4_000_000
# Lines of postgres' log that an error shows.
_TAIL_LINES = 8


class Embedded:
    """A running cluster that this process uses until close(), or until it ends in whatever way."""

    def __init__(self, plan: watch.Plan, users: int, socket_dir: str) -> None:
        self._plan = plan
        self._users: int | None = users
        self._socket_dir = socket_dir

    @property
    def folder(self) -> Path:
        """Where the cluster keeps data and log."""
        return self._plan.cluster.folder

    def dsn(self, database: str) -> str:
        """A libpq connection string for `database`, which is created when it is missing (two at once are safe).

        Raises KasparroError when postgres does not answer or refuses to create it.
        """
        try:
            with psycopg.connect(_dsn(self._socket_dir, "postgres"), autocommit=True, connect_timeout=10) as conn:
                _create_database(conn, database)
        except psycopg.Error as ex:
            raise files.failure(f"cannot create the database {database!r}: {ex}") from ex
        return _dsn(self._socket_dir, database)

    def close(self) -> None:
        """Give the cluster up; its watcher stops postgres when this was the last user. May be called again."""
        if self._users is None:
            return
        # Somebody has to stop postgres: if the watcher was killed, another one takes over.
        with contextlib.suppress(errors.KasparroError):
            _ensure_watcher(self._plan)
        os.close(self._users)
        self._users = None

    def __enter__(self) -> "Embedded":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open(
    name: str,
    *,
    base_dir: Path | None,
    clock: Clock,
    settings: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> Embedded:
    """Use the cluster `name`, starting or joining it; returns when it answers.

    `base_dir` holds a folder per cluster (None: the default). `settings` are postgres' own and count for who starts it.
    Raises ConfigError when no PostgreSQL is installed, StoppedError when `stop` is set meanwhile, and KasparroError
    when its folder cannot be used or it did not start in time (with the last lines of its log).
    """
    files.installed()
    cluster = files.prepare(name, base_dir)
    plan = watch.Plan(
        cluster=cluster,
        programs=files.programs(cluster),
        socket_dir=files.socket_dir(cluster),
        settings=settings or {},
    )
    waiting = _Waiting(plan, clock, stop or threading.Event())
    users = _open_lock(cluster.users_lock, cluster)
    try:
        waiting.until_shared(users)
        return Embedded(plan, users, waiting.until_answers())
    except BaseException:
        os.close(users)
        raise


class _Waiting:
    """The two waits of open(), under one deadline."""

    def __init__(self, plan: watch.Plan, clock: Clock, stop: threading.Event) -> None:
        self._plan = plan
        self._clock = clock
        self._stop = stop
        self._deadline = clock.monotonic() + OPEN_SECONDS

    def until_shared(self, users: int) -> None:
        """Wait for the shared lock: a watcher that is stopping postgres holds it exclusively."""
        while not _lock(users, fcntl.LOCK_SH):
            self._tick("the one before it did not stop")

    def until_answers(self) -> str:
        """Start a watcher where there is none, wait until postgres answers, and return its socket folder."""
        watchers = 0
        while True:
            if _ensure_watcher(self._plan, start=watchers < _MAX_WATCHERS):
                watchers += 1
                if watchers > _MAX_WATCHERS:
                    raise self._failed("it ended by itself")
            else:
                found = _answering_socket_dir(self._plan.cluster)
                if found is not None:
                    return found
            self._tick("it does not answer")

    def _tick(self, problem: str) -> None:
        if self._clock.monotonic() > self._deadline:
            raise self._failed(f"{problem} within {OPEN_SECONDS:g} s")
        if self._clock.wait(self._stop, _TICK_SECONDS):
            raise errors.StoppedError("asked to stop while the embedded PostgreSQL was starting")

    def _failed(self, problem: str) -> errors.KasparroError:
        log = self._plan.cluster.log
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError as ex:
            lines = [f"no log: {ex.strerror}"]
        return files.failure("\n  ".join([f"the embedded PostgreSQL did not start: {problem}; end of {log}:", *lines]))


def _ensure_watcher(plan: watch.Plan, *, start: bool = True) -> bool:
    """True when nobody watched the cluster; then, if `start`, a watcher was started."""
    descriptor = _open_lock(plan.cluster.watcher_lock, plan.cluster)
    try:
        if not _lock(descriptor, fcntl.LOCK_EX):
            return False
        if start:
            _spawn(plan, descriptor)
        return True
    finally:
        os.close(descriptor)


def _spawn(plan: watch.Plan, descriptor: int) -> None:
    """Start the watcher. It inherits the locked descriptor, so there is no moment without a lock, and never two.

    One that fails leaves the lock free and its reason in the log: that, not its status, is what callers look at.
    """
    log = plan.cluster.log
    package_parent = str(Path(errors.__file__).parents[1])
    python_path = os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")]))
    try:
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            subprocess.run(
                [sys.executable, "-P", "-m", watch.__name__, plan.to_text()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={**os.environ, "PYTHONPATH": python_path},
                pass_fds=[descriptor],
                start_new_session=True,
                timeout=_SPAWN_SECONDS,
                check=False,
            )
        finally:
            os.close(output)
    except OSError as ex:
        raise files.unusable(ex, plan.cluster.folder) from ex
    except subprocess.TimeoutExpired as ex:
        raise files.failure(f"the watcher of the embedded PostgreSQL did not start; see {log}") from ex


def _answering_socket_dir(cluster: files.Cluster) -> str | None:
    """The socket folder that postgres itself names in its pid file (line 5), once it accepts connections there."""
    try:
        lines = (cluster.data / "postmaster.pid").read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        folder = lines[4]
        psycopg.connect(_dsn(folder, "postgres"), connect_timeout=5).close()
    except (OSError, IndexError, psycopg.Error):
        return None
    return folder


def _dsn(socket_dir: str, database: str) -> str:
    return make_conninfo(host=socket_dir, port=5432, user="kasparro", dbname=database)


def _create_database(conn: "psycopg.Connection[tuple[object, ...]]", database: str) -> None:
    found = conn.execute("select 1 from pg_database where datname = %(name)s", {"name": database}).fetchone()
    if found is None:
        with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            conn.execute(sql.SQL("create database {} template template0").format(sql.Identifier(database)))


def _open_lock(path: Path, cluster: files.Cluster) -> int:
    """Open a lock file. A descriptor, not a file object: only close() or the end of the process may drop its lock."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as ex:
        raise files.unusable(ex, cluster.folder) from ex


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
