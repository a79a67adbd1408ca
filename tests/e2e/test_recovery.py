"""kill -9 in the middle of a large file, then a start at once: as if nothing had happened."""

import json
import signal
from pathlib import Path
from typing import Any

import psycopg
from program import Start, run, wait_until, write_large_archive
from tables import digests

ROWS = 200_000


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
