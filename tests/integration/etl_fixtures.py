"""What the ETL tests are made of: made-up sources and records, readers of them, and pipelines on a database.

The fixture `etl` that opens them, and the checks after every test, are in etl_checks.py.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field
from psycopg import sql

from kasparro.clock import SystemClock
from kasparro.etl import catalogue, fetch, pipeline, schedule, tenure
from kasparro.etl.readers import BATCH_RECORDS, Reader, csv_files, json_api, json_text
from kasparro.etl.source import FIELD_TYPES, FieldMap, Http, Kind, Source
from kasparro.model import Checkpoint, Page, Record, RunResult, Trigger
from kasparro.store import db

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Seconds. No wait of a test lasts that long unless something is broken.
LONG = 20.0
PATHS = ("id", "symbol", "name", "at", "price", "cap", "volume", "change", "rank", "supply")


def source(name: str = "coinpaprika", **changes: Any) -> Source:
    """A source whose records look as `record` makes them."""
    maps = {
        name: FieldMap(paths=(path,), type=FIELD_TYPES[name]) for name, path in zip(FIELD_TYPES, PATHS, strict=True)
    }
    made = Source(
        name=name,
        kind=Kind.JSON_API,
        schedule=schedule.parse("every 1h"),
        fields=maps,
        http=Http(url="http://127.0.0.1:1", path="/", max_retries=0),
        expected=frozenset({"price_missing"}),
    )
    return evolve(made, **changes)


def record(
    external_id: str | None = "btc", *, at: datetime | str | None = NOON, price: Any = "1", **more: Any
) -> Record:
    """A record; its symbol and name follow from its id unless given, None leaves a field out."""
    when = at.isoformat() if isinstance(at, datetime) else at
    named = {"symbol": external_id, "name": f"Coin {external_id}"} if external_id else {}
    fields = {"id": external_id, **named, "at": when, "price": price, **more}
    text = json.dumps([{key: value for key, value in fields.items() if value is not None}])
    return next(json_text.records(text, ""))


def page(*records: Record, slice_name: str = "", last: bool = True, **more: Any) -> Page:
    """A page of these records; it completes its slice unless told otherwise."""
    return Page(slice=slice_name, records=records, last=last, **more)


def serve(httpserver: Any, *answers: tuple[str, dict[str, Any]]) -> Source:
    """A source whose upstream gives these answers at /prices, one after the other."""
    for body, options in answers:
        httpserver.expect_ordered_request("/prices").respond_with_data(body, **options)
    return source(http=Http(url=httpserver.url_for("/"), path="prices", max_retries=0))


class ListReader:
    """Gives the pages it was made of; an exception among them is raised, a function is called and its result given."""

    def __init__(self, slices: Mapping[str, Sequence[Any]]) -> None:
        self._slices = slices
        self.starts: list[Checkpoint] = []

    def slices(self) -> list[str]:
        return list(self._slices)

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        self.starts.append(checkpoint)
        for each in self._slices[slice_name]:
            given = each() if callable(each) else each
            if isinstance(given, Exception):
                raise given
            if given is not None:
                yield given


@define
class Etl:
    """Runs pipelines on one fresh database. `replayable` False: raw records alone do not say what the quotes are."""

    dsn: str
    conn: db.Connection
    database: db.Database
    clock: SystemClock = field(factory=SystemClock)
    http: fetch.Http = field(default=None)
    sources: dict[str, Source] = field(factory=dict)
    replayable: bool = True

    def build(self, reader: Reader | None = None, *, holder: str = "me", **settings: Any) -> pipeline.Pipeline:
        """A pipeline that reads from `reader`, or as the source says; `settings` are those of tenure and of a batch."""
        batch = {key: settings.pop(key) for key in ("batch_records",) if key in settings}
        faults = settings.pop("faults", None)
        held = tenure.Settings(**{"holder": holder, "lease_seconds": 10.0, "stall_seconds": 60.0, **settings})

        def open_reader(given: Source, get: json_api.Get) -> Reader:
            self.sources[given.name] = given
            return reader or self._open(given, get, **batch)

        return pipeline.Pipeline(
            database=self.database,
            clock=self.clock,
            http=self.http,
            open_reader=open_reader,
            settings=pipeline.Settings(tenure=held, **batch),
            faults=faults,
        )

    def run(self, *pages: Any, of: Source | None = None, **settings: Any) -> RunResult:
        """One run of a source (the made-up one) over these pages, or over what the source itself says."""
        reader = ListReader({pages[0].slice if isinstance(pages[0], Page) else "": pages}) if pages else None
        return self.start(self.build(reader, **settings), of=of)

    def start(
        self,
        runner: pipeline.Pipeline,
        *,
        of: Source | None = None,
        trigger: Trigger = Trigger.CLI,
        stop: threading.Event | None = None,
    ) -> RunResult:
        """One run of this pipeline to its end."""
        result = runner.run(of or source(), trigger=trigger, stop=stop or threading.Event())
        assert result is not None
        return result

    def empty(self) -> None:
        """Empty every table but the schema's own, and begin to number anew.

        The few rows of a test are deleted ten times faster than their tables are truncated, for that makes new files of
        all tables and indexes. In one statement, at whose end no row is left that another one refers to.
        """
        tables = self.rows(
            """
            select relname, pg_relation_size(oid) > 1000000
            from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_version'
            """
        )
        names = [sql.Identifier(name) for name, _ in tables]
        if any(is_large for _, is_large in tables):
            self.conn.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(names)))
        else:
            deletes = [sql.SQL("d{} as (delete from {})").format(number, name) for number, name in enumerate(names)]
            self.conn.execute(sql.SQL("with {} select").format(sql.SQL(", ").join(deletes)))
        self.rows("select setval(seqrelid::regclass, seqstart, false) from pg_sequence")

    def after(self, batches: int, action: Callable[[], Any]) -> Callable[[], None]:
        """For a reader: do this when so many batches of the run are committed, and give no page for it.

        Reading is ahead of loading, so without the wait nobody knows what is committed by then.
        """

        def do() -> None:
            committed = "select coalesce(sum(batches), 0) from runs where status = 'running'"
            wait_until(lambda: self.value(committed) >= batches, what=f"{batches} batches are committed")
            action()

        return do

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """What this query gives."""
        return self.conn.execute(query, params).fetchall()  # type: ignore[arg-type]

    def value(self, query: str, *params: Any) -> Any:
        """The only value that this query gives."""
        ((value,),) = self.rows(query, *params)
        return value

    def quotes(self) -> dict[tuple[str, datetime], Any]:
        """The price of every quote, by external_id and time."""
        query = "select external_id, observed_at, price_usd from quotes join listings l on l.id = listing_id"
        return {(external_id, at): price for external_id, at, price in self.rows(query)}

    def outcome(self) -> list[list[tuple[Any, ...]]]:
        """What is in the tables, apart from times of writing, attempts and the numbers of runs and rows."""
        values = "price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank, circulating_supply, content_hash"
        listing = "join listings l on l.id = listing_id"
        return [
            self.rows(f"select source, external_id, observed_at, {values} from quotes {listing} order by 1, 2, 3"),
            self.rows(f"select source, external_id, observed_at from latest_quotes {listing} order by 1, 2"),
            self.rows(
                "select source, slug, external_id from listings l join assets a on a.id = asset_id order by 1, 3"
            ),
            self.rows("select source, content_hash, slice, external_id from raw_records order by 1, 2"),
            self.rows("select source, code, dedup_key, field, message from rejections order by 1, 2, 3"),
            self.rows("select source, slice, position, watermark, validators from checkpoints order by 1, 2"),
            self.rows("select * from symbols_to_match order by 1, 2"),
        ]

    def run_row(self, run_id: int, *columns: str) -> tuple[Any, ...]:
        """These columns of a run."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        (row,) = self.conn.execute(sql.SQL("select {} from runs where id = %s").format(names), [run_id]).fetchall()
        return row

    def writes(self) -> dict[str, tuple[int, int, int]]:
        """Rows ever inserted, updated and deleted, rolled back or not, of every table that the same input leaves alone.

        Closes the pool: counters are only complete when the writing connections have ended. This one says its own now.
        """
        self.rows("select pg_stat_force_next_flush()")
        self.database.close()
        others = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        wait_until(lambda: not self.rows(others), what="the pool's backends have ended")
        self.database.open(self.dsn)
        query = """
            select relname, n_tup_ins, n_tup_upd, n_tup_del
            from pg_stat_user_tables
            where starts_with(relname, 'raw')
            or relname in ('quotes', 'latest_quotes', 'listings', 'assets', 'checkpoints')
        """
        return {name: tuple(counts) for name, *counts in self.rows(query)}  # type: ignore[misc]

    def _open(self, given: Source, get: json_api.Get, batch_records: int = BATCH_RECORDS) -> Reader:
        if given.kind is Kind.CSV_FILES:
            return csv_files.CsvFilesReader(given, page_records=batch_records)
        return json_api.JsonApiReader(given, catalogue.Endpoint(url=given.http.url), get)


def wait_until(done: Callable[[], Any], *, what: str) -> None:
    """Look until `done` gives something true; fail with `what` when it never does."""
    clock, never = SystemClock(), threading.Event()
    deadline = clock.monotonic() + LONG
    while not done():
        assert clock.monotonic() < deadline, f"never: {what}"
        clock.wait(never, 0.01)
