"""The watcher: who keeps the embedded PostgreSQL running while anybody uses it, and stops it after the last one?

A process of its own (python -m kasparro.store.embedded_watch), in its own session, started by embedded.open(). It
never asks who its users are: who holds a shared lock on the users' file is one, and the kernel drops dead ones' locks.
"""

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from kasparro import clock, errors
from kasparro.store import embedded_files as files

# Seconds between two looks at users and postgres: how long it outlives its last user, against waking up for nothing.
_TICK_SECONDS = 0.1
# Starts in a row that may fail: children of a killed postgres need a second or two to notice and to free its memory.
_MAX_FAILURES = 4
_RETRY_SECONDS = 0.5
# A postgres that ran this many seconds was a good start.
_GOOD_SECONDS = 10.0
# How postgres is told to stop, and the seconds it gets each time: the first one writes a checkpoint, the second only
# drops its clients, the third leaves recovery to the next start.
_STOPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
# Seconds users get to finish after the machine asked the watcher itself to end.
_GRACE_SECONDS = 10.0
# Seconds for making a cluster: far above what the slowest disk takes.
_INITDB_SECONDS = 120
# Without the caller's PG* variables, which would change what the programs do.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
}


@frozen(kw_only=True)
class Plan:
    """What a watcher is to run: whose data, with which programs, socket folder and settings of postgres."""

    cluster: files.Cluster
    programs: Path
    socket_dir: Path
    settings: Mapping[str, str]

    def to_text(self) -> str:
        """The plan as one command line argument."""
        account = self.cluster.account
        return json.dumps(
            {
                "folder": str(self.cluster.folder),
                "account": [account.name, account.uid, account.gid] if account else None,
                "programs": str(self.programs),
                "socket_dir": str(self.socket_dir),
                "settings": dict(self.settings),
            }
        )

    @classmethod
    def from_text(cls, text: str) -> "Plan":
        """The plan that to_text() wrote."""
        values = json.loads(text)
        account = None
        if values["account"] is not None:
            name, uid, gid = values["account"]
            account = files.Account(name=name, uid=uid, gid=gid)
        return cls(
            cluster=files.Cluster(folder=Path(values["folder"]), account=account),
            programs=Path(values["programs"]),
            socket_dir=Path(values["socket_dir"]),
            settings=values["settings"],
        )


class Postgres:
    """A running postmaster: started here, or found running because an earlier watcher was killed."""

    def __init__(self, pid: int, data: Path, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self._data = data
        self._child = child

    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return find_postmaster(self._data) == self.pid

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Watcher:
    """Starts, restarts and stops the PostgreSQL of one cluster, for as long as it has users."""

    def __init__(self, plan: Plan, time: clock.Clock) -> None:
        self._plan = plan
        self._time = time
        self._never = threading.Event()
        self._ends_at: float | None = None

    def end_soon(self) -> None:
        """Stop when the users are done, or a little later without them."""
        if self._ends_at is None:
            self._ends_at = self._time.monotonic() + _GRACE_SECONDS

    def run(self) -> None:
        """Watch until the last user is gone, then stop postgres.

        Raises KasparroError when postgres ends again and again.
        """
        data = self._plan.cluster.data
        users = os.open(self._plan.cluster.users_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        pid = find_postmaster(data)
        postgres = None if pid is None else Postgres(pid, data)
        failures, started_at = 0, self._time.monotonic()
        # The lock is kept until this process ends: who starts meanwhile waits for it, and finds postgres stopped.
        while not _lock(users) and not self._overdue():
            if postgres is None:
                postgres, started_at = start(self._plan), self._time.monotonic()
            elif not postgres.alive():
                postgres = None
                failures = 1 if self._time.monotonic() - started_at > _GOOD_SECONDS else failures + 1
                if failures > _MAX_FAILURES:
                    raise files.failure(f"postgres ended {failures} times in a row")
                say("postgres ended by itself, starting it again")
                self._time.wait(self._never, _RETRY_SECONDS)
            self._time.wait(self._never, _TICK_SECONDS)
        if postgres is not None:
            self._stop(postgres)

    def _overdue(self) -> bool:
        return self._ends_at is not None and self._time.monotonic() > self._ends_at

    def _stop(self, postgres: Postgres) -> None:
        for number, seconds in _STOPS:
            postgres.signal(number)
            deadline = self._time.monotonic() + seconds
            while postgres.alive():
                if self._time.monotonic() > deadline:
                    say(f"postgres did not end within {seconds:g} s of signal {number}")
                    break
                self._time.wait(self._never, _TICK_SECONDS / 2)
            else:
                return


def find_postmaster(data: Path) -> int | None:
    """The process id of the postgres that runs on `data`, also when this process did not start it."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")[0])
        # A postgres stands in its data folder; a number that was given to another process meanwhile does not.
        return pid if os.path.samefile(f"/proc/{pid}/cwd", data) else None
    except (OSError, ValueError):
        return None


def start(plan: Plan) -> Postgres:
    """Start postgres on the plan's data, making them first when there are none."""
    data = plan.cluster.data
    if not (data / "PG_VERSION").exists():
        _make_data(plan)
    _forget_the_dead(plan)
    quoted = str(plan.socket_dir).replace('"', '""')
    settings = {**_SETTINGS, "unix_socket_directories": f'"{quoted}"', **plan.settings}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    child = _popen(plan, [str(plan.programs / "postgres"), "-D", str(data), *options])
    return Postgres(child.pid, data, child)


def say(text: str) -> None:
    """One line in postgres' log, which is this process' stderr."""
    sys.stderr.write(f"{clock.SystemClock().now():%Y-%m-%d %H:%M:%S} UTC kasparro: {text}\n")
    sys.stderr.flush()


def _make_data(plan: Plan) -> None:
    """Run initdb beside the data folder, so that a killed one leaves no half-made cluster behind."""
    for left in plan.cluster.folder.glob("data.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    # A name of its own: the initdb of a watcher that was just killed may still be writing to the last one.
    half_made = Path(tempfile.mkdtemp(prefix="data.new-", dir=plan.cluster.folder))
    files.make_folder(half_made, mode=0o700, account=plan.cluster.account)
    # The locale of PostgreSQL itself: the same order and letters on every machine, all of Unicode.
    command = [
        *(str(plan.programs / "initdb"), "-D", str(half_made), "--username=kasparro", "--auth=trust"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *(("--no-sync",) if plan.settings.get("fsync") == "off" else ()),
    ]
    if plan.cluster.account is None and not _has_name(os.geteuid()):
        # initdb wants its user to have a name; in a namespace of its own the user is `nobody`, and owns what it makes.
        command = ["unshare", "--user", "--map-user=65534", "--map-group=65534", *command]
    child = _popen(plan, command, stdout=subprocess.DEVNULL)
    try:
        status = child.wait(timeout=_INITDB_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        raise files.failure(f"initdb took longer than {_INITDB_SECONDS} s") from None
    if status != 0:
        raise files.failure(f"initdb ended with status {status}")
    half_made.rename(plan.cluster.data)


def _forget_the_dead(plan: Plan) -> None:
    """Remove what a killed postgres left and a new one would stumble over."""
    for path in plan.socket_dir.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)
    # Postgres judges its own stale pid file, except when the number belongs to another process by now.
    pid_file = plan.cluster.data / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text(encoding="utf-8", errors="replace").split("\n")[0])
        os.kill(pid, 0)
        if Path("/proc/self").exists() and find_postmaster(plan.cluster.data) is None:
            pid_file.unlink()


def _popen(plan: Plan, command: list[str], stdout: int | None = None) -> "subprocess.Popen[bytes]":
    account = plan.cluster.account
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> int:
    """Detach, then watch as the plan in the first argument says; the watcher's lock is open already, and stays so."""
    if os.fork():
        return 0
    watcher = Watcher(Plan.from_text(sys.argv[1]), clock.SystemClock())
    signal.signal(signal.SIGTERM, lambda *_: watcher.end_soon())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        watcher.run()
    except (errors.KasparroError, OSError) as ex:
        say(str(ex))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
