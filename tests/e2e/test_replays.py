"""A field map was wrong and is mended: what is kept is normalised again, killed in between, as an operator does it."""

import json
from pathlib import Path

import pytest
from program import run
from tables import DATA, digests, flaws

ROWS = 3000
MAP = """
name = "mine"
kind = "csv_files"
schedule = "every 1h"

[files]
glob = "archives/*.csv"

[fields]
symbol = "symbol"
name = "name"
observed_at = "{time}"
price_usd = "{price}"
"""


@pytest.fixture
def folder(home: Path) -> Path:
    """A folder with a file of which one price in a hundred stands in another column."""
    (home / "archives").mkdir(exist_ok=True)
    lines = ["symbol,name,opened,closed,open,close"]
    for number in range(ROWS):
        at = f"2024-01-{1 + number // 1000:02}T{number % 1000 // 60:02}:{number % 60:02}:"
        lines.append(f"C{number % 40},Coin,{at}00Z,{at}30Z,{number + 1},{'' if number % 100 == 3 else 2 * number + 1}")
    (home / "archives" / "a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_map(home)
    return home


def write_map(folder: Path, *, time: str = "closed", price: str = "close") -> None:
    (folder / "mine.toml").write_text(MAP.format(time=time, price=price), encoding="utf-8")


def test_tables_follow_the_map_when_all_is_replayed_and_killed_meanwhile(
    folder: Path, env: dict[str, str], second_dsn: str
) -> None:
    """They end as if the file had been read with the mended map in the first place."""
    env |= {"KASPARRO_SOURCES_DIR": str(folder), "KASPARRO_SOURCE_CSV_ENABLED": "off", "KASPARRO_LEASE_SECONDS": "1"}
    assert run("run", "mine", env=env).returncode == 3
    write_map(folder, time="opened", price="open")
    for place in ("batch=1", "batch=3", "batch=5"):
        killed = run("replay", "--source", "mine", "--raw", env=env | {"KASPARRO_FAULTS": f"mine:commit:{place}:exit"})
        assert killed.returncode == -9, killed.stderr
    ended = run("replay", "--source", "mine", "--raw", "--json", env=env)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["counts"]["removed"] > 0
    assert flaws(env["DATABASE_URL"]) == []
    assert run("run", "mine", env=env | {"DATABASE_URL": second_dsn}).returncode == 0
    tables = [name for name in DATA if name not in ("rejections", "checkpoints", "written")]
    assert digests(env["DATABASE_URL"], tables) == digests(second_dsn, tables)


def test_rejections_are_listed_and_replayed(folder: Path, env: dict[str, str]) -> None:
    """What the operator sees: which, why, and that they are gone once the map is mended."""
    env |= {"KASPARRO_SOURCES_DIR": str(folder), "KASPARRO_SOURCE_CSV_ENABLED": "off"}
    assert run("run", "mine", env=env).returncode == 3
    listed = run("rejections", "list", "--source", "mine", "--limit", "2", env=env).stdout
    assert "price_missing" in listed
    assert "there are more than 2" in listed
    assert run("replay", "--source", "mine", "--code", "price_missing", env=env).returncode == 3
    mine = folder / "mine.toml"
    mine.write_text(mine.read_text(encoding="utf-8").replace('"close"', '{ paths = ["close", "open"] }'))
    replayed = run("replay", "--source", "mine", env=env)
    assert replayed.returncode == 0, replayed.stderr
    assert "30" in replayed.stdout
    assert run("rejections", "list", env=env).stdout == "no open rejections\n"
    resolved = json.loads(run("rejections", "list", "--resolved", "--json", "--limit", "100", env=env).stdout)
    assert (len(resolved["rejections"]), resolved["has_more"]) == (30, False)


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["replay", "--source", "nobody"], "there is no source 'nobody'"),
        (["replay", "--source", "csv", "--raw", "--code", "too_long"], "not allowed with"),
        (["replay", "--source", "csv", "--run", "0"], "must be a whole number from 1"),
        (["rejections", "list", "--limit", "0"], "must be a whole number from 1"),
    ],
)
def test_mistake_is_named(env: dict[str, str], argv: list[str], complaint: str) -> None:
    """Exit 2, and what was wrong with it."""
    ended = run(*argv, env=env)
    assert (ended.returncode, complaint in ended.stderr) == (2, True), ended.stderr
