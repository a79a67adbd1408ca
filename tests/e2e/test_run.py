"""`kasparro run` and the commands around it: exit codes for cron and scripts, JSON for programs."""

import json
import signal
from pathlib import Path

import psycopg
import pytest
from program import Start, environment, post, run, wait_until

HEADER = "date,symbol,name,price_usd\n"


def write_archive(home: Path, rows: str) -> None:
    folder = home / "archives"
    folder.mkdir(exist_ok=True)
    (folder / "a.csv").write_text(HEADER + rows)


def statuses(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return [status for (status,) in conn.execute("select status from runs order by id")]


def test_run_exits_0_and_prints_one_json_document(home: Path, env: dict[str, str]) -> None:
    """Programs get the counts on stdout; log lines are on the other stream."""
    write_archive(home, "2025-01-01,BTC,Bitcoin,1\n2025-01-02,BTC,Bitcoin,2\n")
    done = run("run", "csv", "--json", env=env)
    assert done.returncode == 0
    (result,) = json.loads(done.stdout)["runs"]
    assert (result["source"], result["status"], result["error"]) == ("csv", "succeeded", None)
    assert (result["counts"]["read"], result["counts"]["inserted"]) == (2, 2)
    assert all(line.startswith("{") for line in done.stderr.splitlines())


def test_run_exits_3_for_a_partial_run_unless_cron_asks(home: Path, env: dict[str, str]) -> None:
    """A bad record is worth an exit code of its own, but no mail from cron."""
    write_archive(home, "2025-01-01,BTC,Bitcoin,1\n2025-01-02,BTC,Bitcoin,free\n")
    assert run("run", "csv", env=env).returncode == 3
    write_archive(home, "2025-01-01,BTC,Bitcoin,1\n2025-01-02,BTC,Bitcoin,gratis\n")
    done = run("run", "--all", "--cron", env=env)
    assert done.returncode == 0
    assert "csv     partial" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_cron_marks_its_runs_and_prunes(home: Path, env: dict[str, str], dsn: str) -> None:
    """Where a cron schedules, runs say so, and old raw records go without another process."""
    env = env | {"KASPARRO_RAW_RETENTION_DAYS": "7"}
    write_archive(home, "2025-01-01,BTC,Bitcoin,1\n")
    assert run("run", "--all", env=env).returncode == 0
    with psycopg.connect(dsn) as conn:
        conn.execute("update raw_records set last_seen_at = now() - interval '8 days'")
    assert run("run", "--all", "--cron", env=env).returncode == 0
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select array_agg(trigger order by id) from runs").fetchone() == (["cli", "cron"],)
        assert conn.execute("select count(*) from raw_records").fetchone() == (0,)


def test_run_is_busy_beside_another_and_interrupted_by_ctrl_c(
    start: Start, env: dict[str, str], dsn: str, upstream: str
) -> None:
    """75 while somebody else is at it, 0 for cron; Ctrl-C is 130, and the run's record says so."""
    post(f"{upstream}/_control/faults", {"upstream": "coinpaprika", "kind": "slow", "seconds": 60})
    env |= {"KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on", "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1"}
    env["KASPARRO_LEASE_SECONDS"] = "2"
    first = start("run", "coinpaprika", env=env)
    wait_until(lambda: statuses(dsn) == ["running"], "a run")
    assert run("run", "coinpaprika", env=env).returncode == 75
    assert run("run", "coinpaprika", "--cron", env=env).returncode == 0
    code, seconds = first.stop(signal.SIGINT)
    assert code == 130
    assert seconds < 10
    assert statuses(dsn) == ["interrupted"]
    assert "Traceback" not in first.text


def test_run_exits_1_when_a_source_fails(env: dict[str, str], upstream: str) -> None:
    """One failed source is a failure, whatever became of the others, and cron is told too."""
    away = {"KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on", "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1/no"}
    done = run("run", "--all", "--cron", env=env | away)
    assert done.returncode == 1
    assert "coinpaprika  failed" in done.stdout
    assert "csv          succeeded" in done.stdout


@pytest.mark.parametrize("command", [("run", "csv"), ("migrate",)])
def test_command_gives_up_on_a_database_that_is_away(home: Path, command: tuple[str, ...]) -> None:
    """One line that says what was tried, exit 1, and no password in it."""
    away = {
        "DATABASE_URL": "postgresql://kasparro:hunter2hunter2@127.0.0.1:1/none",
        "KASPARRO_DB_WAIT_SECONDS": "0.5",
        "KASPARRO_CSV_GLOB": "/none/*.csv",
    }
    done = run(*command, env=environment(home, away))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("kasparro: ")
    assert "127.0.0.1" in line
    assert "hunter2" not in line


def test_status_refuses_an_empty_database_until_migrate_was_there(home: Path, empty_dsn: str) -> None:
    """What to do stands in the error; migrating twice is harmless; status then knows every source."""
    env = environment(home, {"DATABASE_URL": empty_dsn})
    refused = run("status", env=env)
    assert (refused.returncode, "kasparro migrate" in refused.stderr) == (1, True)
    assert run("migrate", env=env).stdout.startswith("applied 0001")
    assert run("migrate", env=env).stdout == "the schema is current\n"
    known = json.loads(run("status", "--json", env=env).stdout)
    assert known["status"] == "ok"
    assert [source["source"] for source in known["sources"]] == ["coingecko", "coinpaprika", "csv"]
