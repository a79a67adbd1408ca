"""kill -9 at every place where a run can die, one after the other: the tables end as after one undisturbed run."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from program import Start, environment, run
from tables import DATA, digests, flaws

# Three pages of the API and three batches of the file, so that there is something before and after each kill.
COINS, ROWS = 600, 12_000
# In the midst of the API's run, which always begins anew; its checkpoint moves with the last batch only. A file is read
# on from where it was left, so each start has fewer batches: there it is always the first.
POINTS = {
    "claim": [""], "fetch": [":page=2"], "read": [":page=2"], "normalise": [":page=3"], "copy": [":batch=2"],
    "load": [":batch=2"], "raw": [":batch=3"], "checkpoint": [""], "commit": [":batch=1", ":batch=2"],
    "identify": [""], "finish": [""],
}  # fmt: skip
SINGLE = ("read", "normalise", "copy")
# The process is started once more than there are places; a start that dies without a fault is a failure of its own.
SPARE_STARTS = 2


def faults_of(source: str) -> list[str]:
    """Every place of a run of this source, in the order of a run, as KASPARRO_FAULTS names it."""
    points = [
        f"{source}:{stage}{moment}{place}:exit"
        for stage, places in POINTS.items()
        for moment in ([""] if stage in SINGLE else [":before", ":after"])
        for place in places
    ]
    if source == "csv":
        points = [re.sub(r"=\d", "=1", point) for point in points if ":fetch:" not in point]
    return list(dict.fromkeys(points))


def write_archive(folder: Path) -> None:
    """A file of three batches; some of its rows have no price."""
    rows = ["symbol,name,date,price"]
    rows += [
        f"C{number % 40},Coin {number % 40},{datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=number)},"
        + ("" if number % 1000 == 7 else f"{number + 1}.5")
        for number in range(ROWS)
    ]
    (folder / "large.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def settings(home: Path, start: Start, env: dict[str, str]) -> dict[str, str]:
    """An environment with both sources, of which nothing moves while the test runs."""
    write_archive(home / "archives")
    args = ("--tick", "500000", "--coinpaprika-coins", "50", "--coingecko-coins", str(COINS))
    line = start("upstream", "--port", "0", *args, env=environment(home, {})).wait_line("CoinGecko")
    return env | {
        "KASPARRO_SOURCE_COINGECKO_URL": line.split()[-1],
        "KASPARRO_SOURCE_COINGECKO_ENABLED": "on",
        "KASPARRO_LEASE_SECONDS": "5",
    }


def test_points_are_all_there_are(env: dict[str, str]) -> None:
    """A stage that can fail and is not killed here would prove nothing."""
    stages = json.loads(run("faults", "--json", env=env).stdout)["stages"]
    assert list(stages) == list(POINTS)
    assert {stage for stage, about in stages.items() if not about["moments"]} == set(SINGLE)


def fired_faults(dsn: str) -> list[str]:
    """Every fault that was remembered to fire."""
    with psycopg.connect(dsn) as conn:
        return sorted(row[0] for row in conn.execute("select fault from faults_fired").fetchall())


def end_lease(dsn: str) -> None:
    """The next start need not wait for the dead one's lease; that it does is another test's matter."""
    with psycopg.connect(dsn) as conn:
        conn.execute("update leases set lease_until = clock_timestamp() where run_id is not null")


def kill_everywhere(source: str, settings: dict[str, str]) -> list[str]:
    """Start the run until it ends by itself; the faults that killed it, in their order."""
    faults = faults_of(source)
    env = settings | {"KASPARRO_FAULTS": ", ".join(faults)}
    killed_by: list[str] = []
    for _ in range(len(faults) + SPARE_STARTS):
        ended = run("run", source, env=env)
        if ended.returncode >= 0:
            assert ended.returncode in (0, 3), f"after {killed_by}: {ended.stderr}"
            break
        fired = re.findall(r'"fault": "([^"]+)"', ended.stderr)
        assert ended.returncode == -9, f"after {killed_by}: {ended.stderr}"
        killed_by += fired
        assert flaws(settings["DATABASE_URL"]) == [], f"after {killed_by}"
        end_lease(settings["DATABASE_URL"])
    return killed_by


@pytest.mark.timeout(240)
def test_tables_are_those_of_an_undisturbed_run_when_it_was_killed_at_every_place(
    settings: dict[str, str], dsn: str, second_dsn: str, databases
) -> None:
    """Natural keys and values, slugs included; every place was reached, and each killed once."""
    targets = {"coingecko": dsn, "csv": second_dsn}
    killed: dict[str, list[str]] = {}

    def work(source: str) -> None:
        killed[source] = kill_everywhere(source, settings | {"DATABASE_URL": targets[source]})

    threads = [threading.Thread(target=work, args=(source,)) for source in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for source, target in targets.items():
        # Two threads of a run may be struck at the same time: then one dies before it can say so.
        assert fired_faults(target) == sorted(faults_of(source)), killed
        undisturbed = databases.clone()
        assert run("run", source, env=settings | {"DATABASE_URL": databases.dsn(undisturbed)}).returncode in (0, 3)
        assert digests(target, DATA) == digests(databases.dsn(undisturbed), DATA), source
        databases.drop(undisturbed)
    with psycopg.connect(dsn) as conn:
        rows = conn.execute("select status, count(*) from runs group by status order by status").fetchall()
    assert dict(rows)["crashed"] > 10
