"""`kasparro serve` from outside: what it answers before there is a database, and how it ends."""

import json
import signal
from pathlib import Path

import psycopg
from program import Start, environment, get, post, run, wait_until, write_large_archive

# Docker kills what has not ended by then.
STOP_SECONDS = 10.0
NO_DATABASE = "postgresql://kasparro@127.0.0.1:1/none"
SOURCE = """
name = "desk"
kind = "csv_files"
schedule = "every 1h"

[files]
glob = "desk/*.csv"

[fields]
external_id = "id"
symbol = "ticker"
name = "ticker"
observed_at = "at"
price_usd = "price"
"""


def run_row(dsn: str, source: str) -> tuple[str, int] | None:
    """Status and batches of the source's last run."""
    with psycopg.connect(dsn) as conn:
        return conn.execute(
            "select status, batches from runs where source = %s order by id desc limit 1", (source,)
        ).fetchone()


def test_serve_answers_before_the_database_is_there(home: Path, start: Start) -> None:
    """The process is alive at once; that it cannot serve yet is a 503, not a closed port."""
    serve = start("serve", env=environment(home, {"DATABASE_URL": NO_DATABASE}))
    url = serve.wait_url()
    assert get(f"{url}/health/live")[0] == 200
    assert get(f"{url}/health/ready")[0] == 503
    status, body = get(f"{url}/health")
    assert (status, body["status"]) == (503, "down")
    code, seconds = serve.stop()
    assert code == 0
    assert seconds < STOP_SECONDS


def test_serve_ends_quietly_when_signals_come_in_a_row(start: Start, env: dict[str, str]) -> None:
    """However often somebody presses Ctrl-C: exit 0, no traceback."""
    serve = start("serve", env=env)
    serve.wait_url()
    for _ in range(5):
        serve.send(signal.SIGINT)
    assert serve.stop(signal.SIGTERM)[0] == 0
    assert "Traceback" not in serve.text


def test_serve_prints_log_lines_alone_and_no_secrets(start: Start, env: dict[str, str]) -> None:
    """What machines read is JSON, line by line; an unknown setting is named, a key never."""
    secret = "sk-very-secret-key"
    serve = start("serve", env={**env, "KASPARRO_API_KEYS": f"desk:{secret}", "KASPARRO_HSOT": "typo"})
    assert get(f"{serve.wait_url()}/data")[0] == 401
    serve.stop()
    assert all(line.startswith("{") for line in serve.lines)
    assert any("unknown setting" in line and "KASPARRO_HSOT" in line for line in serve.lines)
    assert secret not in serve.text


def test_sigterm_interrupts_a_run_between_batches(home: Path, start: Start, env: dict[str, str], dsn: str) -> None:
    """The batch at hand is finished, the run says that it was interrupted, and the exit code is 0."""
    write_large_archive(home / "archives" / "large.csv", rows=60_000)
    serve = start("serve", env=env)
    wait_until(lambda: (run_row(dsn, "csv") or ("", 0))[1] > 0, "a first batch")
    code, seconds = serve.stop()
    assert code == 0
    assert seconds < STOP_SECONDS
    status, batches = run_row(dsn, "csv") or ("", 0)
    assert status == "interrupted"
    assert 0 < batches < 12


def test_sigterm_interrupts_a_run_that_waits_for_its_upstream(
    start: Start, env: dict[str, str], dsn: str, upstream: str
) -> None:
    """A run that hangs in a slow answer is closed from outside, within the time that Docker gives."""
    post(f"{upstream}/_control/faults", {"upstream": "coinpaprika", "kind": "slow", "seconds": 60})
    slow = {"KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on", "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1"}
    serve = start("serve", env=env | slow)
    wait_until(lambda: run_row(dsn, "coinpaprika") is not None, "a run")
    code, seconds = serve.stop()
    assert code == 0
    assert seconds < STOP_SECONDS
    assert run_row(dsn, "coinpaprika") == ("interrupted", 0)


def test_source_file_in_the_operators_folder_is_served(home: Path, start: Start, env: dict[str, str]) -> None:
    """A new source is a TOML file: no code, and the rows are there."""
    folder = home / "sources"
    (folder / "desk").mkdir(parents=True)
    (folder / "desk.toml").write_text(SOURCE)
    (folder / "desk" / "a.csv").write_text("id,ticker,at,price\nx1,XYZ,2025-03-01,1.50\n")
    serve = start("serve", env=env | {"KASPARRO_SOURCES_DIR": str(folder)})
    url = serve.wait_url()
    wait_until(lambda: get(f"{url}/data?source=desk")[1].get("data"), "rows of the new source")
    (row,) = get(f"{url}/data?source=desk")[1]["data"]
    assert (row["external_id"], row["observed_at"], row["price_usd"]) == ("x1", "2025-03-01T00:00:00Z", 1.5)


def test_old_raw_records_are_pruned_while_serving(home: Path, start: Start, env: dict[str, str], dsn: str) -> None:
    """Once a day where that is set; the command does it at once."""
    (home / "archives" / "a.csv").write_text("symbol,name,date,price\nXYZ,Xyz,2024-03-01,1.50\n")
    assert [run("run", "csv", env=env).returncode for _ in range(2)] == [0, 0]

    def count(query: str) -> int:
        with psycopg.connect(dsn) as conn:
            return int(conn.execute(query).fetchone()[0])  # type: ignore[arg-type,index]

    with psycopg.connect(dsn) as conn:
        conn.execute("update raw_records set last_seen_at = now() - interval '8 days'")
    start("serve", "--no-migrate", env=env | {"KASPARRO_RAW_RETENTION_DAYS": "7"})
    wait_until(lambda: count("select count(*) from raw_records") == 0, "the old record is gone")
    pruned = run("prune", "--runs", "1", "--raw-days", "1", "--json", env=env)
    assert json.loads(pruned.stdout)["pruned"]["csv"] == {"raw_records": 0, "rejections": 0, "drifts": 0, "runs": 1}
    assert count("select count(*) from quotes") == 1


def test_healthcheck_tells_ready_from_not(start: Start, env: dict[str, str]) -> None:
    """0 and 1, with one line each: what Docker understands."""
    serve = start("serve", env=env)
    url = serve.wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "readiness")
    there = {**env, "KASPARRO_PORT": url.rpartition(":")[2]}
    ready = run("healthcheck", env=there)
    assert (ready.returncode, ready.stdout) == (0, "ready\n")
    serve.stop()
    gone = run("healthcheck", env=there)
    assert (gone.returncode, len(gone.stdout.splitlines()), gone.stderr) == (1, 1, "")
