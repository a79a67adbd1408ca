"""The embedded PostgreSQL's life: shared by processes, stopped after the last one, back after any kill."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from kasparro.clock import SystemClock
from kasparro.errors import KasparroError, StoppedError
from kasparro.store import embedded, embedded_watch

CLOCK = SystemClock()
SETTINGS = {"fsync": "off"}
# A process that uses the cluster until its stdin ends, and says when it can.
USER = """
import sys
from pathlib import Path
from kasparro.clock import SystemClock
from kasparro.errors import KasparroError, StoppedError
from kasparro.store import embedded
with embedded.open("test", base_dir=Path(sys.argv[1]), clock=SystemClock(), settings={"fsync": "off"}) as cluster:
    print(cluster.dsn("things"), flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that postgres' account can reach also when root runs the tests, empty of processes afterwards."""
    with TemporaryDirectory(prefix="kasparro-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        # Every user is gone, so they end by themselves; those of a failed test may need help.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: watchers(path) == [])
        for process in watchers(path):
            process.kill()
        pid = postmaster(path)
        if pid is not None:
            psutil.Process(pid).kill()
        wait_until(lambda: postmaster(path) is None)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder with a cluster that has been stopped: making one takes longer than most of these tests."""
    with empty_folder() as path:
        use(path).close()
        wait_until(lambda: watchers(path) == [])
        yield path


@pytest.fixture
def base_dir(made: Path) -> Iterator[Path]:
    """A folder with a cluster of the test's own."""
    with empty_folder() as path:
        subprocess.run(["cp", "-a", made / "test", path], check=True)
        yield path


@pytest.fixture
def start_user(base_dir: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts processes that use the cluster; ends those that are left."""
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", USER, str(base_dir)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = CLOCK.monotonic() + seconds
    while not condition():
        assert CLOCK.monotonic() < deadline, "waited too long"
        CLOCK.wait(threading.Event(), 0.02)


def postmaster(base_dir: Path) -> int | None:
    return embedded_watch.find_postmaster(base_dir / "test" / "data")


def watchers(base_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if embedded_watch.__name__ in command and str(base_dir) in command:
            found.append(process)
    return found


def use(base_dir: Path, **options: object) -> embedded.Embedded:
    return embedded.open("test", base_dir=base_dir, clock=CLOCK, settings=SETTINGS, **options)  # type: ignore[arg-type]


def put(dsn: str, number: int) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute("create table if not exists things (number integer)")
        conn.execute("insert into things values (%(number)s)", {"number": number})


def numbers(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as conn:
        return [row[0] for row in conn.execute("select number from things order by number")]


def ready(user: "subprocess.Popen[str]") -> str:
    assert user.stdout is not None
    dsn = user.stdout.readline().strip()
    assert dsn
    return dsn


def test_postgres_stops_when_its_last_user_closes(base_dir: Path) -> None:
    """Nothing is left running, and the data are there for the next one."""
    with use(base_dir) as cluster:
        put(cluster.dsn("things"), 1)
    wait_until(lambda: postmaster(base_dir) is None)
    with use(base_dir) as cluster:
        assert numbers(cluster.dsn("things")) == [1]


def test_postgres_listens_on_no_port(base_dir: Path) -> None:
    """Only who may enter the private socket folder gets in."""
    with use(base_dir) as cluster, psycopg.connect(cluster.dsn("things")) as conn:
        row = conn.execute(
            """
            select current_setting('listen_addresses'), current_setting('server_encoding'), lower('Ä'), 'a' < 'B'
            """
        ).fetchone()
        assert row == ("", "UTF8", "ä", False)
        assert Path(conn.info.host).stat().st_mode & 0o777 == 0o700


def test_postgres_stops_when_its_last_user_is_killed(
    base_dir: Path, start_user: Callable[[], "subprocess.Popen[str]"]
) -> None:
    """The kernel drops the lock of a killed process, so nobody has to say goodbye."""
    first, second = start_user(), start_user()
    ready(first)
    dsn = ready(second)
    first.kill()
    first.wait()
    put(dsn, 1)
    second.kill()
    wait_until(lambda: postmaster(base_dir) is None)
    wait_until(lambda: watchers(base_dir) == [])


def test_starters_at_once_share_one_postgres(base_dir: Path, start_user: Callable[[], "subprocess.Popen[str]"]) -> None:
    """Also on a folder that does not exist yet, and all of them creating the same database."""
    shutil.rmtree(base_dir / "test")
    users = [start_user() for _ in range(4)]
    assert len({ready(user) for user in users}) == 1
    assert len(watchers(base_dir)) == 1


def test_data_are_there_after_everything_was_killed(
    base_dir: Path, start_user: Callable[[], "subprocess.Popen[str]"]
) -> None:
    """Stale pid file, socket and locks included, as after a power cut."""
    user = start_user()
    put(ready(user), 1)
    pid = postmaster(base_dir)
    assert pid is not None
    postgres = psutil.Process(pid)
    doomed = [*watchers(base_dir), postgres, *postgres.children(), psutil.Process(user.pid)]
    for process in doomed:
        process.kill()
    user.wait()
    with use(base_dir) as cluster:
        assert numbers(cluster.dsn("things")) == [1]


def test_orphan_is_adopted_when_its_watcher_was_killed(base_dir: Path) -> None:
    """The postgres that still runs goes on, and is stopped like any other."""
    with use(base_dir) as first:
        put(first.dsn("things"), 1)
        pid = postmaster(base_dir)
        watchers(base_dir)[0].kill()
        wait_until(lambda: watchers(base_dir) == [])
        with use(base_dir) as second:
            assert numbers(second.dsn("things")) == [1]
            assert postmaster(base_dir) == pid
    wait_until(lambda: postmaster(base_dir) is None)


def test_close_stops_postgres_when_its_watcher_was_killed(base_dir: Path) -> None:
    """The last user leaves nothing behind."""
    with use(base_dir):
        watchers(base_dir)[0].kill()
        wait_until(lambda: watchers(base_dir) == [])
    wait_until(lambda: postmaster(base_dir) is None)


def test_postgres_comes_back_when_it_was_killed_in_use(base_dir: Path) -> None:
    """A service with a pool only has to connect again."""
    with use(base_dir) as cluster:
        dsn = cluster.dsn("things")
        put(dsn, 1)
        pid = postmaster(base_dir)
        assert pid is not None
        psutil.Process(pid).kill()
        wait_until(lambda: postmaster(base_dir) not in (None, pid))
        with use(base_dir):
            assert numbers(dsn) == [1]


def test_starter_waits_when_the_watcher_is_stopping(base_dir: Path) -> None:
    """Whoever comes a moment too late gets a new postgres, not the end of the old one."""
    for number in range(5):
        with use(base_dir) as cluster:
            put(cluster.dsn("things"), number)
        # Not a wait for something: it puts the next start into another moment of the shutdown each time.
        CLOCK.wait(threading.Event(), 0.06 * number)
    with use(base_dir) as cluster:
        assert numbers(cluster.dsn("things")) == [0, 1, 2, 3, 4]


def test_watcher_ends_when_the_machine_asks_it_to(base_dir: Path) -> None:
    """SIGTERM, as at shutdown: users get a moment, and postgres is stopped properly."""
    cluster = use(base_dir)
    watchers(base_dir)[0].terminate()
    cluster.close()
    wait_until(lambda: watchers(base_dir) == [])
    assert postmaster(base_dir) is None
    assert "database system is shut down" in (cluster.folder / "postgres.log").read_text()


def test_pid_file_of_another_process_is_no_obstacle(base_dir: Path) -> None:
    """After a power cut the number in the pid file may belong to anybody, this process for one."""
    use(base_dir).close()
    wait_until(lambda: watchers(base_dir) == [])
    (base_dir / "test" / "data" / "postmaster.pid").write_text(f"{psutil.Process().pid}\n/nowhere\n0\n5432\n/nowhere\n")
    with use(base_dir) as cluster:
        assert cluster.dsn("things")


def test_database_is_created_once_when_many_ask_at_once(base_dir: Path) -> None:
    """Losing the race is no error."""
    with use(base_dir) as cluster, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(cluster.dsn, ["things"] * 16))) == 1


def test_opening_fails_with_the_log_when_postgres_does_not_start(base_dir: Path) -> None:
    """Whoever has to help sees what postgres said."""
    with pytest.raises(KasparroError, match=r"did not start: [\s\S]*invalid value for parameter"):
        embedded.open("test", base_dir=base_dir, clock=CLOCK, settings={"fsync": "off", "work_mem": "plenty"})
    use(base_dir).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the data to another account")
def test_opening_fails_when_the_account_cannot_reach_the_folder(tmp_path: Path) -> None:
    """No foreign folder is opened to it; the message names the setting that helps."""
    tmp_path.chmod(0o700)
    with pytest.raises(KasparroError, match="KASPARRO_DATA_DIR"):
        use(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_opening_ends_when_asked_to_stop(base_dir: Path) -> None:
    """Ctrl-C during a long start is not ignored."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        use(base_dir, stop=stop)
