"""`kasparro runs`: what was run, and how two runs differ, on a terminal and for programs."""

import json
from pathlib import Path
from typing import Any

from program import run

HEADER = "date,symbol,name,price_usd\n"


def ingest(home: Path, env: dict[str, str], *rows: str) -> None:
    """One run of csv over these rows."""
    (home / "archives" / "a.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    assert run("run", "csv", env=env).returncode == 0


def show(env: dict[str, str], *args: str) -> Any:
    """The document that `kasparro runs ... --json` prints."""
    done = run("runs", *args, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_runs_are_listed_shown_and_compared(home: Path, env: dict[str, str]) -> None:
    """Tables for people, and for programs what the API answers."""
    ingest(home, env, "2025-01-01,BTC,Bitcoin,1")
    ingest(home, env, "2025-01-01,BTC,Bitcoin,1", "2025-01-02,BTC,Bitcoin,2", "2025-01-03,BTC,Bitcoin,2")
    assert [each["run_id"] for each in show(env, "list", "--source", "csv")["runs"]] == [2, 1]
    assert show(env, "show", "1")["counts"]["inserted"] == 1
    found = show(env, "compare", "2", "1")
    assert found["counts"]["inserted"] == {"a": 2, "b": 1, "delta": 1, "ratio": 2}
    assert show(env, "compare", "--source", "csv")["a"]["run_id"] == 2
    table = run("runs", "list", env=env).stdout.splitlines()
    assert table[0].split()[:6] == ["run", "source", "slice", "trigger", "status", "started"]
    assert table[1].split()[:5] == ["2", "csv", "-", "cli", "succeeded"]
    lines = run("runs", "compare", "2", "1", env=env).stdout.splitlines()
    assert lines[0].startswith("a: run 2 of csv, succeeded, from 20")
    assert ["inserted", "2", "1", "1", "2"] in [line.split() for line in lines]
    assert ["counts.inserted", "1"] in [line.split() for line in run("runs", "show", "1", env=env).stdout.splitlines()]


def test_runs_that_cannot_be_compared_are_refused(env: dict[str, str]) -> None:
    """What was typed is wrong: 2. What is not there: 1."""
    for args, code, said in (
        (("compare",), 2, "two runs, or --source"), (("compare", "1"), 2, "two runs, or --source"),
        (("compare", "1", "2", "--source", "csv"), 2, "two runs, or --source"), (("compare", "1", "2"), 1, "no run 1"),
        (("compare", "--source", "csv"), 1, "no run of csv has finished"), (("show", "9"), 1, "no run 9"),
    ):  # fmt: skip
        done = run("runs", *args, env=env)
        assert (done.returncode, said in done.stderr, done.stdout) == (code, True, ""), done.stderr
    assert run("runs", "list", env=env).stdout == "no runs\n"
