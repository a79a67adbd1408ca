"""A holder that sleeps past its lease and wakes up, a run that hangs, faults as their user meets them, two at once."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from program import Start, get, run, wait_until
from tables import DATA, digests, flaws

HEADER = "symbol,name,date,price\n"
LEASE = {"KASPARRO_LEASE_SECONDS": "1.5"}


@pytest.fixture
def archive(home: Path, env: dict[str, str]) -> Path:
    """A file of three batches, of few listings: matching many would take most of the time."""
    path = Path(env["KASPARRO_CSV_GLOB"]).parent / "coins.csv"
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = (f"C{n % 40},Coin {n % 40},{start + timedelta(minutes=n)},{n + 1}\n" for n in range(12_000))
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


def statuses(dsn: str) -> list[str]:
    """Of every run, oldest first."""
    with psycopg.connect(dsn) as conn:
        return [row[0] for row in conn.execute("select status from runs order by id").fetchall()]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("place", ["copy", "load:after"])
def test_holder_commits_nothing_when_it_wakes_up_after_a_takeover(
    place: str, env: dict[str, str], start: Start, second_dsn: str
) -> None:
    """Stopped inside COPY or between statements: the next one does not hang on it, and it ends as it must."""
    fault = {"KASPARRO_FAULTS": f"csv:{place}:batch=2:slow:seconds=60"}
    sleeper = start("run", "csv", env=env | LEASE | fault)
    sleeper.wait_line("fault injected")
    sleeper.send(signal.SIGSTOP)
    next_one = run("run", "csv", "--json", env=env | LEASE)
    assert next_one.returncode == 0, next_one.stderr
    after = digests(env["DATABASE_URL"])
    sleeper.send(signal.SIGCONT)
    assert sleeper.wait() == 1
    assert statuses(env["DATABASE_URL"]) == ["crashed", "succeeded"]
    assert digests(env["DATABASE_URL"]) == after
    assert flaws(env["DATABASE_URL"]) == []
    assert run("run", "csv", env=env | {"DATABASE_URL": second_dsn}).returncode == 0
    assert digests(second_dsn, DATA) == digests(env["DATABASE_URL"], DATA)


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("place", ["read", "copy:batch=2"])
def test_source_runs_again_in_the_same_process_when_a_run_hangs(place: str, env: dict[str, str], start: Start) -> None:
    """The heartbeat renews only while something moves: a run that hangs loses its lease, the next one takes over."""
    settings = {
        "KASPARRO_FAULTS": f"csv:{place}:hang",
        "KASPARRO_STALL_SECONDS": "1",
        "KASPARRO_PORT": "0",
        "KASPARRO_SOURCE_CSV_SCHEDULE": "every 1s",
    }
    serving = start("serve", env=env | LEASE | settings)
    wait_until(lambda: statuses(env["DATABASE_URL"])[:2] == ["crashed", "succeeded"], "the next run has ended")
    assert serving.stop()[0] == 0
    assert flaws(env["DATABASE_URL"]) == []


@pytest.mark.usefixtures("archive")
def test_fault_fires_once_and_is_on_the_run_when_its_user_starts_again(env: dict[str, str], start: Start) -> None:
    """Set KASPARRO_FAULTS, watch it die, start it again with the same environment."""
    env = env | LEASE | {"KASPARRO_FAULTS": "csv:commit:after:exit"}
    assert run("run", "csv", env=env).returncode == -signal.SIGKILL
    assert run("run", "csv", env=env).returncode == 0
    shown = json.loads(run("faults", "--json", env=env).stdout)
    assert shown["configured"] == ["csv:commit:after:exit"]
    assert [(each["fault"], each["run_id"]) for each in shown["fired"]] == [("csv:commit:after:exit", 1)]
    serving = start("serve", "--no-scheduler", env=env | {"KASPARRO_PORT": "0"})
    listening = json.loads(serving.wait_line("listening"))
    url = f"http://127.0.0.1:{listening['port']}"
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "the service is ready")
    _, record = get(f"{url}/runs/1")
    assert (record["status"], [each["fault"] for each in record["faults"]]) == ("crashed", ["csv:commit:after:exit"])


def test_wrong_fault_is_a_start_up_error(env: dict[str, str]) -> None:
    """With what is possible, and with whatever else is wrong."""
    ended = run("serve", env=env | {"KASPARRO_FAULTS": "csv:lunch:exit", "KASPARRO_PORT": "x"})
    assert ended.returncode == 2
    assert "KASPARRO_FAULTS: 'csv:lunch:exit': there is no stage 'lunch' (claim, fetch" in ended.stderr
    assert "KASPARRO_PORT" in ended.stderr


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("kind", ["db-disconnect", "error"])
def test_run_goes_on_or_fails_visibly_when_a_fault_does_not_kill(kind: str, env: dict[str, str]) -> None:
    """A cut connection is bad luck and tried again; an error is the end of the run, and the next one repairs."""
    env = env | {"KASPARRO_FAULTS": f"csv:load:after:batch=2:{kind}"}
    first = run("run", "csv", "--json", env=env)
    assert first.returncode == (1 if kind == "error" else 0), first.stderr
    assert run("run", "csv", env=env).returncode == 0
    (result,) = json.loads(first.stdout)["runs"]
    assert result["error"] == ({"code": "injected", "message": result["error"]["message"]} if kind == "error" else None)
    assert flaws(env["DATABASE_URL"]) == []
