"""The service as processes of this machine, on the embedded PostgreSQL: for a machine without a container engine."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from client import Client, Failed, wait_until
from stack import SETTINGS, TICK, UPSTREAM_KEYS, free_port

# Seconds that a process gets to end after a signal, like Docker's.
_GRACE_SECONDS = 10.0
# Seconds for the same at the very end: perhaps it is just making its PostgreSQL, on a machine that is busy.
_PATIENCE_SECONDS = 30.0
_DAYS_OF_ARCHIVES = 365


class LocalStack:
    """Every database is an embedded PostgreSQL in a folder of its own."""

    kind = "processes"

    def __init__(self, key: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kasparro-smoke-"))
        # As root the embedded PostgreSQL runs as another user, who has to get at its folder.
        self._folder.chmod(0o755)
        self._key = key
        self._port = free_port()
        self._upstream_port = free_port()
        self.client = Client(f"http://127.0.0.1:{self._port}", key)
        self.upstream = Client(f"http://127.0.0.1:{self._upstream_port}")
        self._upstream: _Kept | None = None
        self._service: _Kept | None = None
        self._environ: dict[str, str] = {}
        self._log: deque[str] = deque(maxlen=30)

    def open(self) -> None:
        archives = self._folder / "archives"
        self._sources.mkdir()
        script = (
            "import pathlib, sys; from kasparro.upstream import archives; "
            "archives.write_archives(pathlib.Path(sys.argv[1]), days=int(sys.argv[2]))"
        )
        arguments = [sys.executable, "-c", script, str(archives), str(_DAYS_OF_ARCHIVES)]
        subprocess.run(arguments, check=True, env=self._base_environ(), timeout=60)
        keys = [f"--{name.split('_')[0].lower()}-key={key}" for name, key in UPSTREAM_KEYS.items()]
        arguments = ["upstream", "--port", str(self._upstream_port), "--tick", str(TICK), "--require-keys", *keys]
        self._upstream = _Kept(arguments, self._base_environ(), self._log)
        self._upstream.start()
        wait_until(lambda: self.upstream.get("/_control/tick"), "the stand-in upstreams")

    def serve(self, database: str, settings: Mapping[str, str]) -> None:
        self.stop()
        data = self._folder / database
        data.mkdir(exist_ok=True)
        url = self.upstream.url
        self._environ = (
            self._base_environ()
            | SETTINGS
            | {
                "KASPARRO_DATA_DIR": str(data),
                "KASPARRO_PORT": str(self._port),
                "KASPARRO_API_KEYS": f"smoke:{self._key}",
                "KASPARRO_SOURCES_DIR": str(self._sources),
                "KASPARRO_CSV_GLOB": str(self._folder / "archives" / "*.csv"),
                "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{url}/v1",
                "KASPARRO_SOURCE_COINGECKO_URL": f"{url}/api/v3",
                **settings,
            }
        )
        self._service = _Kept(["serve"], self._environ, self._log)
        self._service.start()
        wait_until(lambda: self.client.ask("/health/ready").status == 200, "the service to be ready")

    def once(self, arguments: Sequence[str], settings: Mapping[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "kasparro", *arguments],
            env=self._environ | dict(settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def python(self, script: str, argument: str) -> tuple[int, str, str]:
        command = [sys.executable, "-c", script, argument]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def restarts(self) -> int:
        return self._service.starts - 1 if self._service is not None else 0

    def stop(self) -> tuple[int, float]:
        began = time.monotonic()
        code = self._service.stop(_GRACE_SECONDS) if self._service is not None else 0
        return code, time.monotonic() - began

    def add_source(self, name: str, text: str) -> None:
        (self._sources / f"{name}.toml").write_text(text.replace("{upstream}", self.upstream.url), encoding="utf-8")

    def last_words(self) -> str:
        return "\n".join(self._log)

    def close(self) -> None:
        with contextlib.ExitStack() as last:
            last.callback(wait_until, self._remove, "the end of PostgreSQL")
            for kept in (self._upstream, self._service):
                if kept is not None:
                    last.callback(kept.stop, _PATIENCE_SECONDS)

    def _remove(self) -> bool:
        """Whether the folder is gone. PostgreSQL outlives the service for a moment; one just being made writes on."""
        if any("postmaster.pid" in files for _, _, files in os.walk(self._folder)):
            return False
        shutil.rmtree(self._folder, ignore_errors=True)
        return not self._folder.exists()

    @property
    def _sources(self) -> Path:
        return self._folder / "sources"

    def _base_environ(self) -> dict[str, str]:
        """Nothing of the caller's settings: the demonstration is the same everywhere."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KASPARRO_", "COINGECKO_", "COINPAPRIKA_", "DATABASE_URL", "PORT"))
        }


class _Kept:
    """A process that is started again when it dies, as `restart: unless-stopped` does for a container.

    Its thread alone starts it: one whose start is cut short by a signal to us would be lost.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], log: deque[str]) -> None:
        self.starts = 0
        self._command = [sys.executable, "-m", "kasparro", *arguments]
        self._environ = dict(environ)
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._wanted = True
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> int:
        """Its exit code. Raises Failed when it does not end in time."""
        self._wanted = False
        if self._thread.ident is not None:
            self._thread.join()
        return 0 if self._process is None else _end(self._process, seconds)

    def _keep(self) -> None:
        while self._wanted:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environ,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
                self.starts += 1
                threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
            time.sleep(0.1)

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._log.append(line.rstrip())


def _end(process: subprocess.Popen[str], seconds: float) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{process.args!r} did not end within {seconds:.0f} s of SIGTERM") from None
