"""How close is the service to what Postgres itself can do? Prints ratios taken in one run, for machines are noisy.

The floor is the same records brought into the same tables by hand-written SQL alone: a COPY of ready-made rows, no
reading, no normalising, no fence, no counting.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from falcon import testing

from kasparro import app, config
from kasparro.clock import SystemClock
from kasparro.etl import normalise
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.model import Checkpoint, Normalised, Trigger
from kasparro.store import batches, db, embedded
from kasparro.upstream import archives

PAGES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=200_000, help="records to load (%(default)s)")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
        Path(folder).chmod(0o755)
        archive = archives.write_large_archive(Path(folder) / "files" / "large.csv", rows=rows)
        with embedded.open("bench", base_dir=Path(folder) / "pg", clock=SystemClock()) as cluster:
            bench(rows, archive, cluster)


def bench(rows: int, archive: Path, cluster: embedded.Embedded) -> None:
    settings = config.Config(database_url=config.Secret(cluster.dsn("bench")), csv_glob=str(archive.parent / "*.csv"))
    with app.App(settings) as service:
        service.open_database(threading.Event(), wait_seconds=30, migrate_first=True)
        items = prepare(service, archive)
        print(f"{rows:,} records, {archive.stat().st_size / 1e6:.1f} MB, batches of 5,000")
        empty(service.database)
        floor = measure("floor: the same rows by SQL alone", rows, lambda: load_by_hand(service.database, items))
        empty(service.database)
        first = measure("kasparro run csv, everything new", rows, lambda: run(service, rows))
        print(f"    {first / floor:.0%} of the floor")
        forget(service.database)
        again = measure("kasparro run csv, everything known", rows, lambda: run(service, rows))
        print(f"    {again / floor:.0%} of the floor; {wal_of(service.database, lambda: replay(service, rows))}")
        unchanged = timed(lambda: run(service, 0))
        print(f"{'unchanged file':<42}{unchanged * 1000:>10.0f} ms")
        pages(service)


def prepare(service: app.App, archive: Path) -> list[Normalised]:
    source = service.sources["csv"]
    normaliser = normalise.compile_source(source)
    read = CsvFilesReader(source).read(archive.name, Checkpoint(slice=archive.name))
    return [normaliser(record, {}) for page in read for record in page.records]


def load_by_hand(database: db.Database, items: list[Normalised]) -> None:
    """What the batches write, without anything that makes it safe."""
    for start in range(0, len(items), 5000):
        with database.transaction() as conn:
            batches.stage(conn, items[start : start + 5000], midway=lambda: None)
            conn.execute(
                "insert into listings (source, external_id, symbol, name, symbol_key, asset_id) "
                "select 'csv', b.external_id, max(b.symbol), max(b.name), max(b.symbol_key), 0 from batch b "
                "where not exists (select from listings l where l.external_id = b.external_id) group by b.external_id"
            )
            conn.execute(
                "insert into raw_records select 'csv', content_hash, '', external_id, payload, null, 1, now(), now() "
                "from batch"
            )
            conn.execute(
                "insert into quotes select l.id, b.observed_at, b.price_usd, b.market_cap_usd, b.volume_24h_usd, "
                "b.change_24h_pct, b.rank, b.circulating_supply, b.content_hash, 1, now() "
                "from batch b join listings l on l.external_id = b.external_id"
            )


def run(service: app.App, expected: int) -> None:
    result = service.pipeline.run(service.sources["csv"], trigger=Trigger.CLI, stop=threading.Event())
    assert result is not None
    assert result.counts.read == expected, result


def replay(service: app.App, rows: int) -> None:
    forget(service.database)
    run(service, rows)


def empty(database: db.Database) -> None:
    with database.connection() as conn:
        conn.execute("truncate also_said, latest_quotes, quotes, raw_records, listings")
        conn.execute(
            "insert into assets (id, slug, symbol, name) overriding system value values (0, 'bench', 'B', 'B') "
            "on conflict do nothing"
        )


def forget(database: db.Database) -> None:
    """Let the next run read everything again."""
    with database.connection() as conn:
        conn.execute("delete from checkpoints")


def wal_of(database: db.Database, work: Callable[[], None]) -> str:
    with database.connection() as conn:
        before = db.one(conn.execute("select pg_current_wal_lsn()"))[0]
    work()
    with database.connection() as conn:
        size = db.one(conn.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), %(b)s)", {"b": before}))[0]
    return f"{float(size) / 1e6:.2f} MB of WAL"


def pages(service: app.App) -> None:
    """The median time of a page of /data, through the whole WSGI application, beside the bare query."""
    client = testing.TestClient(service.wsgi())
    with service.database.connection() as conn:
        query = "select * from quotes order by observed_at desc, listing_id desc limit 100"
        bare = statistics.median(timed(lambda: conn.execute(query).fetchall()) for _ in range(PAGES))
    assert client.simulate_get("/data?limit=100").status_code == 200
    page = statistics.median(timed(lambda: client.simulate_get("/data?limit=100")) for _ in range(PAGES))
    print(f"{'GET /data, 100 quotes, median':<42}{page * 1000:>10.2f} ms, {page / bare:.1f} times the bare query")


def measure(name: str, rows: int, work: Callable[[], None]) -> float:
    rate = rows / timed(work)
    print(f"{name:<42}{rate:>10,.0f} records/s")
    return rate


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    main()
