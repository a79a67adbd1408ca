"""Migrations: applied once and in order by however many starters, never behind a changed file or an old service."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psycopg
import pytest

from kasparro import __version__, errors
from kasparro.store import db, migrate

# Quotes of two files, of one whose raw record was pruned, and of an API; a contradiction, and a file being read anew.
FILLED = """
insert into assets (slug, symbol, name) values ('x', 'X', 'x');
insert into listings (source, external_id, symbol, name, symbol_key, asset_id)
select case when of = 'd' then 'coingecko' else 'csv' end, of, 'X', 'x', 'x', id
from assets, unnest(array['a', 'b', 'c', 'd', 'e']) of;
insert into raw_records (source, content_hash, slice, payload, run_id, first_seen_at, last_seen_at)
select source, md5(external_id)::uuid, case external_id when 'd' then '' else external_id || '.csv' end, '{}', 1, now(),
    now()
from listings
where external_id <> 'c';
insert into quotes (listing_id, observed_at, price_usd, content_hash, run_id, ingested_at, file)
select id, now(), 1, md5(external_id)::uuid, 1, now(), case external_id when 'a' then 'a.csv' end
from listings
where external_id <> 'e';
insert into rejections (source, slice, code, dedup_key, stage, field, message, external_id, content_hash, expected,
    run_id, first_seen_at, last_seen_at)
values ('csv', 'a.csv', 'ambiguous_key', md5('e'), 'read', 'observed_at',
    'several rows of the file differ for 2026-01-02T12:00:00.000000Z', 'e', md5('e')::uuid, false, 1, now(), now());
insert into checkpoints (source, slice, position, validators, run_id)
values
    ('csv', 'a.csv', '{"offset": 7, "since": "x"}', '{}', 1), ('csv', 'f.csv', '{"offset": 7}', '{}', 1),
    ('coingecko', '', '{}', '{}', 1);
insert into unended_writes (source, slice, kind, key, run_id) values ('csv', 'a.csv', 'quote', '1 1', 1);
insert into latest_quotes select listing_id, observed_at from quotes;
insert into source_totals (source) values ('csv'), ('idle');
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of migrations of the test's own, beginning with a small one."""
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    write(tmp_path, "0001_first.sql", "create table raw_records (source text not null) partition by list (source);")
    return tmp_path


def write(folder: Path, name: str, script: str, min_code: str = "0.1.0") -> None:
    (folder / name).write_text(f"-- min_code: {min_code}\n{script}\n")


def partitions(conn: db.Connection) -> Sequence[str]:
    rows = conn.execute("select inhrelid::regclass::text from pg_inherits where inhparent = 'raw_records'::regclass")
    return sorted(row[0] for row in rows)


def test_apply_brings_an_empty_database_up_to_date(empty_dsn: str) -> None:
    """Afterwards the service may use it, and applying again changes nothing."""
    with db.connect(empty_dsn) as conn:
        assert migrate.state(conn).version is None
        applied = migrate.apply(conn, sources=["csv", "coingecko"])
        assert applied == list(range(1, migrate.state(conn).expected + 1))
        migrate.require_current(conn, code_version=__version__)
        assert partitions(conn) == ["raw_coingecko", "raw_csv"]
        assert migrate.apply(conn, sources=["csv", "coingecko"]) == []


def test_apply_commits_when_the_connection_is_not_in_autocommit(empty_dsn: str) -> None:
    """Each step is a transaction of its own, whoever made the connection."""
    with psycopg.connect(empty_dsn) as conn:
        migrate.apply(conn, sources=["csv"])
        conn.rollback()
        assert partitions(conn) == ["raw_csv"]


def test_apply_migrates_once_when_starters_come_at_once(empty_dsn: str) -> None:
    """Each version is applied by exactly one of them, and nobody fails."""
    barrier = Barrier(4)

    def start(_: int) -> list[int]:
        with db.connect(empty_dsn) as conn:
            barrier.wait(timeout=30)
            return migrate.apply(conn, sources=["csv", "coinpaprika"])

    with ThreadPoolExecutor(4) as pool:
        applied = [version for versions in pool.map(start, range(4)) for version in versions]
    assert sorted(applied) == [migration.version for migration in migrate.load(migrate.FOLDER)]


def test_apply_adds_the_partition_of_a_new_source(conn: db.Connection) -> None:
    """A row of that source has a place, and one of an unknown source has none."""
    migrate.apply(conn, sources=["csv", "fund_prices"])
    insert = """
        insert into raw_records (source, content_hash, slice, payload, run_id, first_seen_at, last_seen_at)
        values (%(source)s, gen_random_uuid(), '', '{}', 1, now(), now())
    """
    conn.execute(insert, {"source": "fund_prices"})
    assert conn.execute("select count(*) from raw_fund_prices").fetchone() == (1,)
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(insert, {"source": "unknown"})


def test_apply_attaches_a_partition_while_a_batch_is_open(conn: db.Connection, dsn: str) -> None:
    """Adding a source does not wait for another source's run."""
    with psycopg.connect(dsn) as batch:
        batch.execute("delete from raw_records where source = 'csv'")
        migrate.apply(conn, sources=["fund_prices"])
        assert "raw_fund_prices" in partitions(conn)


@pytest.mark.parametrize("source", ["records", "Csv", "a b", "x" * 41, 'x"; drop table quotes; --'])
def test_apply_refuses_a_name_that_cannot_be_a_partition(conn: db.Connection, source: str) -> None:
    """raw_records is the parent of them all."""
    with pytest.raises(errors.ConfigError):
        migrate.apply(conn, sources=[source])


def test_apply_refuses_a_changed_file(empty_dsn: str, folder: Path) -> None:
    """What ran once is history; the file is named."""
    with db.connect(empty_dsn) as conn:
        migrate.apply(conn, sources=[])
        write(folder, "0001_first.sql", "create table something_else ();")
        with pytest.raises(errors.SchemaError, match="0001_first was applied"):
            migrate.apply(conn, sources=[])


def test_apply_keeps_what_worked_when_a_later_one_fails(empty_dsn: str, folder: Path) -> None:
    """The error names the migration, and the next try goes on behind the last good one."""
    write(folder, "0002_second.sql", "create table kept (); create table raw_records ();")
    with db.connect(empty_dsn) as conn:
        with pytest.raises(errors.DatabaseError, match=r'0002_second: relation "raw_records" already exists'):
            migrate.apply(conn, sources=[])
        assert migrate.state(conn).version == 1
        write(folder, "0002_second.sql", "create table kept ();")
        assert migrate.apply(conn, sources=[]) == [2]


def test_apply_gives_up_when_a_table_stays_locked(
    empty_dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not queue for ever with everybody else behind it; trying again may work."""
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT", "100ms")
    with db.connect(empty_dsn) as conn, psycopg.connect(empty_dsn) as other:
        migrate.apply(conn, sources=[])
        other.execute("lock table raw_records in access share mode")
        write(folder, "0002_second.sql", "alter table raw_records add column number integer;")
        with pytest.raises(errors.ConflictError, match="0002_second"):
            migrate.apply(conn, sources=[])
        other.rollback()
        assert migrate.apply(conn, sources=[]) == [2]


def test_require_current_refuses_a_schema_that_is_behind(empty_dsn: str, folder: Path) -> None:
    """Empty or old, the message says what to do."""
    with db.connect(empty_dsn) as conn:
        with pytest.raises(errors.SchemaError, match=r"version 0, .* needs 1: run kasparro migrate"):
            migrate.require_current(conn, code_version="0.1.0")
        migrate.apply(conn, sources=[])
        write(folder, "0002_second.sql", "")
        with pytest.raises(errors.SchemaError, match="run kasparro migrate"):
            migrate.require_current(conn, code_version="0.1.0")


def test_require_current_accepts_a_newer_schema_that_serves_this_code(empty_dsn: str, folder: Path) -> None:
    """During a deployment old and new code run beside each other; below min_code the old one refuses."""
    write(folder, "0002_second.sql", "", min_code="1.10.0")
    with db.connect(empty_dsn) as conn:
        migrate.apply(conn, sources=[])
        (folder / "0002_second.sql").unlink()
        migrate.require_current(conn, code_version="1.10")
        migrate.require_current(conn, code_version="1.11.2")
        with pytest.raises(errors.SchemaError, match=r"serves kasparro 1\.10\.0 and newer, this is 1\.9\.9"):
            migrate.require_current(conn, code_version="1.9.9")


def test_quotes_keep_their_files_when_a_filled_database_is_migrated(
    empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a version each; keys that rows of a file contradicted each other in are still known."""
    every = migrate.FOLDER
    for path in sorted(every.glob("*.sql"))[:12]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    with db.connect(empty_dsn) as conn:
        migrate.apply(conn, sources=["csv", "coingecko"])
        conn.execute(FILLED)
        monkeypatch.setattr(migrate, "FOLDER", every)
        migrate.apply(conn, sources=["csv"])
        query = """
            select external_id, v.slice
            from quotes join listings l on l.id = listing_id left join file_versions v on v.id = file_version order by 1
        """
        assert conn.execute(query).fetchall() == [("a", "a.csv"), ("b", "b.csv"), ("c", None), ("d", None)]
        query = """
            select slice, external_id, x.observed_at = j.observed_at
            from also_said x join rejections j using (slice, file_version, content_hash) where contradicted
        """
        assert conn.execute(query).fetchall() == [("a.csv", "e", True)]
        assert conn.execute(
            "select source, newest_observed_at = (select max(observed_at) from quotes) from source_totals order by 1"
        ).fetchall() == [("csv", True), ("idle", None)]
        query = "select position from checkpoints where slice = 'a.csv'"
        assert conn.execute(query).fetchall() == [({"offset": 7},)]
        query = "select slice from file_versions order by 1"
        assert conn.execute(query).fetchall() == [("a.csv",), ("b.csv",), ("f.csv",)]


@pytest.mark.parametrize(
    ("name", "text"),
    [("0001_first.sql", "select 1;"), ("first.sql", "-- min_code: 1.0\n"), ("0002_gap.sql", "-- min_code: 1.0\n")],
)
def test_load_refuses_a_folder_it_cannot_order(tmp_path: Path, name: str, text: str) -> None:
    """A migration without number or min_code is a mistake of ours, found before it runs."""
    (tmp_path / name).write_text(text)
    with pytest.raises(errors.SchemaError):
        migrate.load(tmp_path)


def test_version_key_compares_numbers() -> None:
    """1.10 is newer than 1.9, and a missing part counts as zero."""
    versions = ["2.0", "1.10.0rc1", "1.9.9", "1.0.1", "1", "0.10", "0.9"]
    assert sorted(versions, key=migrate.version_key) == versions[::-1]
    assert migrate.version_key("1.0.0") == migrate.version_key("1")


def test_partitions_are_demanded_when_a_source_was_added(conn: db.Connection) -> None:
    """A service that does not migrate must say so at its start, not fail in every run of the new source."""
    migrate.require_partitions(conn, sources=["csv", "coingecko"])
    with pytest.raises(errors.SchemaError, match="raw_newcomer yet: run `kasparro migrate`"):
        migrate.require_partitions(conn, sources=["csv", "newcomer"])
