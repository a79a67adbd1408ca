"""What is asked over and over reads few rows, however many runs, windows of the past and findings one source has."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import api_fixtures as fixtures
import pytest

from kasparro import errors, model
from kasparro.store import db, measures, metrics, run_comparisons, run_records, runs, stats

# Enough that Postgres prefers an index to all of them; a year of every five minutes is five times as many.
RUNS = 20_000
# The statistics take the durations of a hundred runs of every source, and count a thousand rejections of a code.
FEW = 2_000
# One that runs all the time, one that seldom did and long ago, one of which only the past was read, one that never ran.
SOURCES = [fixtures.source(name) for name in ("busy", "rare", "past", "unknown")]


@pytest.fixture(scope="module")
def database(databases: Any) -> Iterator[str]:
    """A database in which one source has nearly all the runs."""
    name = databases.clone()
    with db.connect(databases.dsn(name)) as conn:
        for number in range(20):
            fixtures.add_run(conn, "rare", "deferred", reading="full", measures="{}")
            fixtures.add_run(conn, "past", slice=f"backfill:{number}", trigger="backfill")
        conn.execute(
            """
            insert into runs (
                source, status, trigger, code_version, config_fingerprint, started_at, finished_at, reading, measures
            )
            select 'busy', 'succeeded', 'schedule', '0', 'f', now(), now(), 'full', '{}' from generate_series(1, %s)
            """,
            (RUNS,),
        )
        for info in SOURCES[:3]:
            fixtures.add_run(conn, info.name, "running")
        conn.execute(
            "insert into run_totals select distinct source, status, 1, 1.0 from runs where status <> 'running'"
        )
        conn.execute(
            """
            insert into checkpoints (source, slice, watermark, run_id)
            select 'past', 'backfill:' || n, now(), 1 from generate_series(1, %s) n
            """,
            (RUNS,),
        )
        conn.execute(
            """
            insert into drifts (source, path, kind, action, status, closed_at, first_run_id, last_run_id)
            select 'busy', n, 'added', 'warned', 'resolved', now(), 1, 1 from generate_series(1, %s) n
            """,
            (RUNS,),
        )
        conn.execute(
            """
            insert into rejections (
                source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at,
                last_seen_at
            )
            select
                'busy', '', 'price_missing', n, 'normalise', '', gen_random_uuid(), n > 20, 1, now(), now()
            from generate_series(1, %s) n
            """,
            (RUNS,),
        )
        conn.execute("vacuum analyze")
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
def reader(database: str, request: pytest.FixtureRequest) -> Iterator[db.Connection]:
    """A connection in a transaction, with queries planned for any values, or for these."""
    with db.connect(database) as conn, conn.transaction(force_rollback=True):
        conn.prepare_threshold = 0
        conn.execute(f"set local plan_cache_mode = {request.param}")
        yield conn


def count_read(conn: db.Connection) -> int:
    """How many rows of these tables this transaction has read."""
    row = conn.execute(
        """
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))
        from pg_stat_xact_user_tables
        where relname in ('runs', 'checkpoints', 'drifts', 'rejections')
        """
    )
    return int(db.one(row)[0])


def list_live(conn: db.Connection) -> list[model.Run]:
    rows = conn.execute("select id, source, started_at from runs where status = 'running'").fetchall()
    kind = {"status": model.RunStatus.RUNNING, "trigger": model.Trigger.SCHEDULE}
    return [model.Run(id=id_, source=source, started_at=started, **kind) for id_, source, started in rows]


def start(conn: db.Connection, info: model.SourceInfo) -> None:
    """Start a run like those of what the source has now, where none is live."""
    conn.execute(
        "update runs set status = 'failed', finished_at = now() where source = %s and status = 'running'", (info.name,)
    )
    new = {"slice": "", "trigger": model.Trigger.SCHEDULE, "config_fingerprint": "f", "epoch": 1, "holder": "h"}
    runs.start(conn, runs.NewRun(source=info.name, **new))


def get_last(conn: db.Connection, info: model.SourceInfo) -> None:
    with contextlib.suppress(errors.NotFoundError):
        run_comparisons.get_last(conn, info.name)


def list_history(conn: db.Connection, run: model.Run) -> None:
    measures.list_history(conn, run, model.Reading.FULL)


def list_page(conn: db.Connection, sources: list[str] | None, status: str | None = None) -> None:
    for before_id in (None, 30):
        run_records.page(conn, sources=sources, status=status, limit=20, before_id=before_id)


READS: dict[str, Callable[[db.Connection], object]] = {
    "scrape": lambda conn: list(metrics.list_samples(conn, SOURCES)),
    "statistics": lambda conn: stats.get(conn, SOURCES),
    "statistics of one": lambda conn: [stats.get(conn, SOURCES, named=[info.name]) for info in SOURCES],
    "start": lambda conn: [start(conn, info) for info in SOURCES],
    "facts": lambda conn: [measures.get_facts(conn, run.id) for run in list_live(conn)],
    "history": lambda conn: [list_history(conn, run) for run in list_live(conn)],
    "page": lambda conn: [list_page(conn, [info.name]) for info in SOURCES],
    "pages of several": lambda conn: [list_page(conn, names) for names in (["rare", "unknown"], ["busy", "rare"])],
    "pages of a status": lambda conn: [
        list_page(conn, names, status)
        for names in (None, ["busy"], ["rare"], ["busy", "rare"])
        for status in ("succeeded", "deferred", "crashed")
    ],
    "last two": lambda conn: [get_last(conn, info) for info in SOURCES],
}


@pytest.mark.parametrize("name", READS)
def test_few_rows_are_read_where_a_source_has_nearly_all_of_them(reader: db.Connection, name: str) -> None:
    """However rarely a source ran, nobody reads through what another has to find its last runs."""
    before = count_read(reader)
    READS[name](reader)
    assert count_read(reader) - before < FEW
