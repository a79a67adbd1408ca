"""The program as its operator meets it: a process with an environment, exit codes, lines on two streams, a port.

Nothing of the program is imported here or in the tests beside it, but in a process that commands are forked from:
importing takes most of a short command's time. Programs that go on are started from nothing.
"""

import http.client
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

# Seconds. Everything here takes a fraction of it on an idle machine; tests may share theirs. Below the limit of pytest.
PATIENCE_SECONDS = 90.0
# What has imported the commands that tests run, and nothing else.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["program"]
    + [f"kasparro.commands.{name}" for name in ("backfill", "drift", "faults", "replay", "run", "runs", "status")]
)


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """A bare environment: what a shell gives, and these settings; nothing of the machine's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "KASPARRO_HOST": "127.0.0.1",
        "KASPARRO_PORT": "0",
        **settings,
    }


def run(*args: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in a process of its own."""
    with tempfile.NamedTemporaryFile() as stdout, tempfile.NamedTemporaryFile() as stderr:
        process = _FORKS.Process(target=_enter, args=(args, dict(env), [stdout.name, stderr.name]))
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(args, PATIENCE_SECONDS)
        return subprocess.CompletedProcess(args, process.exitcode, *(each.read().decode() for each in (stdout, stderr)))


def _enter(args: Sequence[str], env: Mapping[str, str], streams: Sequence[str]) -> None:
    """Be the program: in the forked process, as if it had been started with these arguments."""
    for number, path in enumerate((os.devnull, *streams)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    os.environ.clear()
    os.environ.update(env)
    os.chdir(env["HOME"])
    sys.exit(importlib.import_module("kasparro.__main__").main(args))


class Program:
    """A command that goes on until told to stop; `lines` are those of both streams so far."""

    def __init__(self, *args: str, env: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "kasparro", *args],
            env=env,
            cwd=env["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self._popen.stdout, self._popen.stderr)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_line(self, wanted: str) -> str:
        """The first line with `wanted` in it, once it is there."""
        with self._news:
            self._news.wait_for(lambda: self._find(wanted) or not self._alive(), PATIENCE_SECONDS)
            line = self._find(wanted)
        assert line is not None, f"no line with {wanted!r} in\n{self.text}"
        return line

    def wait_url(self) -> str:
        """The address the service listens on."""
        port = json.loads(self.wait_line('"listening"'))["port"]
        return f"http://127.0.0.1:{port}"

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it ended and every line was read."""
        code = self._popen.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send the signal; its exit code, and how many seconds it took to end."""
        began = time.monotonic()
        self.send(number)
        code = self.wait()
        return code, time.monotonic() - began

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._alive():
            self._popen.kill()
        self.wait()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def _alive(self) -> bool:
        return self._popen.poll() is None

    def _find(self, wanted: str) -> str | None:
        return next((line for line in self.lines if wanted in line), None)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


# Starts a command that goes on; see the fixture `start`.
Start = Callable[..., Program]


def get(url: str) -> tuple[int, Any]:
    """Status and parsed body of a GET."""
    return _ask("GET", url)


def post(url: str, body: Mapping[str, Any]) -> tuple[int, Any]:
    """Status and parsed body of a POST of a JSON object."""
    return _ask("POST", url, json.dumps(body))


def _ask(method: str, url: str, body: str | None = None) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        response = connection.getresponse()
        return response.status, json.load(response)
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


def write_large_archive(path: Path, *, rows: int) -> None:
    """Write a CSV archive, in a process of its own."""
    script = "import pathlib, sys; from kasparro.upstream import archives; "
    script += "archives.write_large_archive(pathlib.Path(sys.argv[1]), rows=int(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", script, str(path), str(rows)], check=True, timeout=60)
