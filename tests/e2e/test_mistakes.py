"""Mistakes of the operator: one clear line for each, that names it, exit code 2 and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from program import environment, run


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
