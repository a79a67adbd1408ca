"""What the end-to-end tests share: a home without settings, started programs that are gone afterwards, archives."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import program
import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the test's own."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def reachable_home() -> Iterator[Path]:
    """A folder that the account behind root's PostgreSQL can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="kasparro_e2e_"))
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
    yield folder
    # PostgreSQL outlives its last user for a moment, to stop in good order.
    program.wait_until(lambda: not any(folder.glob("**/postmaster.pid")), "the end of PostgreSQL")
    shutil.rmtree(folder)


@pytest.fixture
def start() -> Iterator[program.Start]:
    """Starts a command that goes on; whatever still runs at the end of the test is ended."""
    started: list[program.Program] = []

    def begin(*args: str, env: Mapping[str, str]) -> program.Program:
        started.append(program.Program(*args, env=env))
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture
def env(home: Path, dsn: str) -> dict[str, str]:
    """An environment with a migrated database and the source csv alone."""
    (home / "archives").mkdir(exist_ok=True)
    settings = {
        "DATABASE_URL": dsn,
        "KASPARRO_CSV_GLOB": str(home / "archives" / "*.csv"),
        "KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "off",
        "KASPARRO_SOURCE_COINGECKO_ENABLED": "off",
        # The stand-ins have no limit, and tests run sources again and again.
        "KASPARRO_SOURCE_COINGECKO_RATE": "off",
        "KASPARRO_SOURCE_COINPAPRIKA_RATE": "off",
    }
    return program.environment(home, settings)


@pytest.fixture
def upstream(home: Path, start: program.Start) -> str:
    """The address of a stand-in with few coins."""
    args = ("upstream", "--port", "0", "--coinpaprika-coins", "50", "--coingecko-coins", "50")
    line = start(*args, env=program.environment(home, {})).wait_line("CoinPaprika")
    return line.split()[-1].removesuffix("/v1")


@pytest.fixture
def second_dsn(databases: Any) -> Iterator[str]:
    """A second database like `dsn`, to compare with."""
    name = databases.clone()
    yield databases.dsn(name)
    databases.drop(name)
