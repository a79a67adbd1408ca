"""kill -9 in the middle of a large file, then a start at once: as if nothing had happened."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psycopg
from program import Start, environment, run, wait_until, write_large_archive
from tables import digests, flaws

ROWS = 50_000


def runs_of(dsn: str) -> list[tuple[Any, ...]]:
    """(id, status, batches, records read, resumed_from, offset after) of every run, oldest first."""
    with psycopg.connect(dsn) as conn:
        return conn.execute(
            """
            select id, status, batches, records_read, resumed_from,
                (checkpoint_after #>> '{latest,large.csv,position,offset}')::bigint
            from runs
            order by id
            """
        ).fetchall()


def test_killed_run_resumes_at_its_offset_and_leaves_the_same_tables(
    home: Path, start: Start, env: dict[str, str], dsn: str, second_dsn: str
) -> None:
    """The crashed run is closed where it stood, the next one goes on from there, and nothing tells them apart."""
    archive = home / "archives" / "large.csv"
    write_large_archive(archive, rows=ROWS)
    undisturbed = start("run", "csv", "--json", env=env | {"DATABASE_URL": second_dsn})
    # The next start waits for the dead one's lease; its own is long, for a machine that is busy.
    killed = start("run", "csv", env=env | {"KASPARRO_LEASE_SECONDS": "2"})
    wait_until(lambda: any(batches >= 3 for _, _, batches, *_ in runs_of(dsn)), "three batches")
    assert killed.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    again = run("run", "csv", "--json", env=env)
    assert again.returncode == 0, again.stderr
    (first_id, first_status, _, first_read, _, offset), (_, status, _, _, resumed_from, end) = runs_of(dsn)
    assert (first_status, status, resumed_from) == ("crashed", "succeeded", first_id)
    assert 0 < offset < end == archive.stat().st_size
    (result,) = json.loads(again.stdout)["runs"]
    assert first_read > 0
    assert result["counts"]["read"] == ROWS - first_read
    assert undisturbed.wait() == 0
    assert digests(dsn) == digests(second_dsn)


def test_run_goes_on_when_postgres_restarts_in_the_middle(reachable_home: Path, start: Start, second_dsn: str) -> None:
    """The whole server goes, in good order and as it crashes, and comes back: the open batch is done again, once."""
    archive = reachable_home / "large.csv"
    write_large_archive(archive, rows=20_000)
    folder = reachable_home / "data" / "default"
    settings = {"KASPARRO_DATA_DIR": str(folder.parent), "KASPARRO_CSV_GLOB": str(archive)}
    # In the middle of a transaction; what the pause is for has happened long before it ends.
    faults = [f"csv:load:after:batch={batch}:slow:seconds=2" for batch in (2, 3)]
    running = start(
        "run", "csv", "--json", env=environment(reachable_home, settings | {"KASPARRO_FAULTS": ",".join(faults)})
    )
    for count, (fault, number) in enumerate(zip(faults, (signal.SIGINT, signal.SIGQUIT), strict=True), 1):
        running.wait_line(f'"{fault}"')
        killed = postmaster(folder)
        assert killed is not None
        os.kill(killed, number)
        wait_until(
            lambda count=count: running.text.count("transaction tried again") >= count, "the batch is done again"
        )
    assert running.wait() == 0, running.text
    # Whoever asks next: the server ends with its last user.
    keeper = start("serve", "--no-scheduler", env=environment(reachable_home, settings))
    keeper.wait_url()
    dsn = f"host={folder / 'socket'} port=5432 user=kasparro dbname=kasparro"
    wait_until(lambda: answers(dsn), "the server answers")
    plain = environment(reachable_home, {"DATABASE_URL": second_dsn, "KASPARRO_CSV_GLOB": str(archive)})
    assert run("run", "csv", env=plain).returncode == 0
    assert runs_of(dsn) == runs_of(second_dsn)
    assert (digests(dsn), flaws(dsn)) == (digests(second_dsn), [])
    keeper.stop()


def postmaster(folder: Path) -> int | None:
    """The process id of the server on this cluster, while it runs."""
    try:
        return int((folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    except (OSError, IndexError, ValueError):
        return None


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True
