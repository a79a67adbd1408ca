"""Mistakes of the operator: one clear line for each, that names it, exit code 2 and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from program import PATIENCE_SECONDS, environment, run


def complaint(*command: str, env: dict[str, str]) -> str:
    """The only line on stderr of a command that must exit with 2."""
    done = run(*command, env=env)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("kasparro: ")
    return line


def test_malformed_setting_is_named(home: Path) -> None:
    """Whoever reads the line knows which variable to look at."""
    assert "KASPARRO_PORT: " in complaint("serve", env=environment(home, {"KASPARRO_PORT": "eighty"}))


def test_malformed_source_file_is_named_with_its_key(home: Path) -> None:
    """A typo in a TOML file stops the start; file and key are in the line."""
    (home / "desk.toml").write_text('name = "desk"\nkind = "csv_files"\nschedule = "every 5m"\nglub = 1\n[fields]\n')
    line = complaint("serve", env=environment(home, {"KASPARRO_SOURCES_DIR": str(home)}))
    assert "desk.toml" in line
    assert "glub" in line


def test_taken_port_is_named(home: Path) -> None:
    """Somebody else listens there: the line has the setting and the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"KASPARRO_PORT": port, "DATABASE_URL": "postgresql://127.0.0.1:1/none"}
        line = complaint("serve", env=environment(home, settings))
    assert line == f"kasparro: KASPARRO_PORT: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_unknown_source_is_named_before_the_database_is_asked(home: Path) -> None:
    """A typo on the command line does not wait for a database that is away."""
    env = environment(home, {"DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    assert "'bitcoin'" in complaint("run", "bitcoin", env=env)


def test_command_line_without_a_command_shows_the_help(home: Path) -> None:
    """Nothing to do is a usage error, and the help says what there is."""
    done = run(env=environment(home, {}))
    assert done.returncode == 2
    assert "commands:" in done.stderr


def test_pipe_that_closes_early_is_no_error_message(home: Path) -> None:
    """`kasparro sources list | head -0` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kasparro", "sources", "list"]
    done = subprocess.run(
        command, env=environment(home, {}), stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", [["serve"], ["status"], ["migrate"], ["demo"]])
@pytest.mark.parametrize("address", ["postgresql://u:hunter2@h/db?sslmode=hunter2", "host=h password='hunter2"])
def test_malformed_database_address_is_named_at_once(home: Path, command: list[str], address: str) -> None:
    """No command waits for a database that cannot be; the value stays out of the line."""
    line = complaint(*command, env=environment(home, {"DATABASE_URL": address}))
    assert line.startswith("kasparro: DATABASE_URL: ")
    assert "hunter2" not in line


def test_unreachable_database_is_named_with_what_to_do(home: Path) -> None:
    """The setting it came from, how long it was waited for, and libpq's own reason."""
    settings = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "KASPARRO_DB_WAIT_SECONDS": "0.5"}
    done = run("status", env=environment(home, settings))
    assert done.returncode == 1
    assert done.stderr.startswith("kasparro: waited 0.5 s for the database of DATABASE_URL; start it or ")


@pytest.mark.parametrize(("option", "variable"), [(False, "PORT"), (True, "--port")])
def test_taken_port_is_named_as_it_was_chosen(home: Path, option: bool, variable: str) -> None:
    """A second demo says so, and nothing else: no banner, no archives."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = environment(home, {"DATABASE_URL": "postgresql://127.0.0.1:1/none"} | ({} if option else {"PORT": port}))
        del env["KASPARRO_PORT"]
        done = run("demo", *(["--port", port] if option else []), env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"kasparro: {variable}: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert not list(home.rglob("*.csv"))


@pytest.mark.parametrize("command", ["sources list", "sources check --json", "--help"])
@pytest.mark.parametrize(
    ("redirection", "reason"), [("> /dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_output_that_cannot_be_written_is_one_line(home: Path, command: str, redirection: str, reason: str) -> None:
    """A full disk or a closed stdout: exit 1, no traceback of the interpreter's last flush."""
    done = shell(f"{command} {redirection}", home)
    assert (done.returncode, done.stderr) == (1, f"kasparro: cannot write to stdout: {reason}\n")


def test_embedded_database_starts_when_the_standard_streams_are_closed(reachable_home: Path) -> None:
    """A socket of ours must not become the stdout of PostgreSQL."""
    done = shell("migrate <&- >&-", reachable_home)
    assert (done.returncode, done.stderr) == (1, "kasparro: cannot write to stdout: it is closed\n")
    assert shell("migrate", reachable_home).stdout == "the schema is current\n"


def shell(line: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """A command as a shell runs it, with its redirections."""
    return subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m kasparro {line}', sys.executable],
        env=environment(home, {"KASPARRO_DATA_DIR": str(home / "data")}),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
