"""How much memory does a large CSV file take? Reads one in a process of its own, and prints records a second and RSS.

`.venv/bin/python scripts/large.py 1024` writes a gigabyte and reads and normalises it; with `--load` it goes through
the database too.
"""

import argparse
import multiprocessing
import resource
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from kasparro import app, config
from kasparro.clock import SystemClock
from kasparro.etl import catalogue, normalise
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.model import Checkpoint, Trigger
from kasparro.store import embedded
from kasparro.upstream import archives

# What a row of the archives takes on average, in bytes: near enough to name a size.
ROW_BYTES = 74
MEBIBYTE = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mebibytes", type=int, nargs="?", default=1024, help="size of the file (%(default)s)")
    parser.add_argument("--load", action="store_true", help="load it into a database, not only read it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kasparro-large-") as folder:
        Path(folder).chmod(0o755)
        for size in sorted({1, given.mebibytes}):
            path = Path(folder) / str(size) / "large.csv"
            archives.write_large_archive(path, rows=size * MEBIBYTE // ROW_BYTES)
            # A process each: the peak of a process is never forgotten.
            work = multiprocessing.get_context("spawn").Process(target=load if given.load else read, args=(path,))
            work.start()
            work.join()
            assert work.exitcode == 0


def read(path: Path) -> None:
    """Read and normalise, as a run does before it loads."""
    source = catalogue.load_all(config.Config(csv_glob=str(path)))["csv"]
    normaliser = normalise.compile_source(source)
    started, records, quotes = time.perf_counter(), 0, 0
    for page in CsvFilesReader(source).read(path.name, Checkpoint(slice=path.name)):
        items = [normaliser(record, page.constants) for record in page.records]
        records += len(items)
        quotes += sum(item.quote is not None for item in items)
    assert records == quotes
    report(path, records, started)


def load(path: Path) -> None:
    """A run, on a PostgreSQL of its own."""
    with embedded.open("large", base_dir=path.parent / "pg", clock=SystemClock()) as cluster:
        settings = config.Config(database_url=config.Secret(cluster.dsn("large")), csv_glob=str(path))
        with app.App(settings) as service:
            service.open_database(threading.Event(), wait_seconds=30, migrate_first=True)
            started = time.perf_counter()
            result = service.pipeline.run(service.sources["csv"], trigger=Trigger.CLI, stop=threading.Event())
            assert result is not None
            assert result.counts.inserted == result.counts.read, result
            report(path, result.counts.read, started)


def report(path: Path, records: int, started: float) -> None:
    rate = records / (time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / MEBIBYTE
    print(
        f"{size:>8,.1f} MiB {records:>12,} records {rate:>10,.0f} records/s {peak:>8,.0f} MiB RSS at most", flush=True
    )


if __name__ == "__main__":
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    main()
