"""A column is renamed under a source, killed in between; an operator looks at it and decides."""

import json
from pathlib import Path

import psycopg
import pytest
from program import run
from tables import flaws

ROWS = 400
MAP = """
name = "mine"
kind = "csv_files"
schedule = "every 1h"

[files]
glob = "archives/*.csv"

[fields]
symbol = "symbol"
name = "name"
observed_at = "date"
price_usd = "price"
market_cap_usd = "cap"
"""


@pytest.fixture
def env_of_mine(home: Path, env: dict[str, str]) -> dict[str, str]:
    """Settings under which there is one source, a file of its own."""
    (home / "archives").mkdir(exist_ok=True)
    (home / "mine.toml").write_text(MAP, encoding="utf-8")
    write_file(home, "cap")
    more = {"KASPARRO_SOURCES_DIR": str(home), "KASPARRO_SOURCE_CSV_ENABLED": "off", "KASPARRO_LEASE_SECONDS": "1"}
    return env | more


def write_file(folder: Path, column: str) -> None:
    lines = [f"symbol,name,date,price,{column}"]
    lines += [
        f"C{number % 40},Coin,2024-01-{1 + number // 40:02},{number + 1},{number + 1}000" for number in range(ROWS)
    ]
    (folder / "archives" / "a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def drifts(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select path, renamed_to, action, status from drifts order by id").fetchall()


@pytest.mark.parametrize("place", ["commit", "commit:after"])
def test_renamed_column_is_written_down_once_whenever_the_run_is_killed(
    home: Path, env_of_mine: dict[str, str], place: str
) -> None:
    """And its values stay what they were: the drift commits with the batch that is read by it."""
    env = env_of_mine
    assert run("run", "mine", env=env).returncode == 0
    write_file(home, "market_cap")
    killed = run("run", "mine", env=env | {"KASPARRO_FAULTS": f"mine:{place}:exit"})
    assert killed.returncode == -9, killed.stderr
    assert len(drifts(env["DATABASE_URL"])) == (place == "commit:after")
    ended = run("run", "mine", "--json", env=env)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["runs"][0]["counts"]["updated"] == 0
    assert drifts(env["DATABASE_URL"]) == [("cap", "market_cap", "mapped", "open")]
    assert flaws(env["DATABASE_URL"]) == []


def test_operator_lists_accepts_and_rejects_drifts(home: Path, env_of_mine: dict[str, str]) -> None:
    """The list says what happened, each decision what follows from it; what cannot be decided is exit 1."""
    env = env_of_mine
    assert run("drift", "list", env=env | {"KASPARRO_DB_WAIT_SECONDS": "5"}).returncode == 1
    assert run("run", "mine", env=env).returncode == 0
    assert run("drift", "list", env=env).stdout == "no open drifts, and no renames in force\n"
    write_file(home, "market_cap")
    assert run("run", "mine", env=env).returncode == 0
    (listed,) = json.loads(run("drift", "list", "--json", env=env).stdout)["drifts"]
    assert (listed["id"], listed["path"], listed["details"]["fields"]) == (1, "cap", ["market_cap_usd"])
    assert "renamed  cap    market_cap" in run("drift", "list", "--source", "mine", "--kind", "renamed", env=env).stdout
    assert "drift 1 is rejected" in run("drift", "reject", "1", env=env).stdout
    assert json.loads(run("drift", "accept", "1", "--json", env=env).stdout)["status"] == "accepted"
    refused = run("drift", "accept", "7", env=env)
    assert (refused.returncode, refused.stderr) == (1, "kasparro: there is no drift 7\n")
