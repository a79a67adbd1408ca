"""The API on a real database, without a server in between, and rows to read through it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from attrs import define, field
from falcon import testing

from kasparro import errors, model
from kasparro.clock import SystemClock
from kasparro.config import Secret
from kasparro.http import app
from kasparro.store import db

POOL_SIZE = 8
START = datetime(2024, 1, 1, tzinfo=UTC)
# Every table that tests write, those that refer to others first.
TABLES = (
    "latest_quotes", "quotes", "listings", "assets", "anomalies", "runs", "checkpoints", "schedules", "source_totals",
    "run_totals", "replay_totals", "anomaly_totals", "drift_totals", "drifts", "rejections", "buckets",
)  # fmt: skip
KEYS = {"ann": Secret("key-of-ann-123"), "bob": Secret("key-of-bob-456")}
ANN = {"X-API-Key": "key-of-ann-123"}


def source(name: str, **changes: Any) -> model.SourceInfo:
    """A configured source: every five minutes, no limit on the age of its data."""
    settings: dict[str, Any] = {
        "name": name,
        "enabled": True,
        "interval_seconds": 300.0,
        "freshness_seconds": None,
        "monthly_requests": None,
        "config_fingerprint": f"fingerprint of {name}",
    }
    return model.SourceInfo(**settings | changes)


# A bucket that two sources share.
SHARED = {"bucket": "shared", "burst": 20, "tokens_per_second": 0.5, "monthly_requests": 500}
SOURCES = {
    "coinpaprika": source("coinpaprika", freshness_seconds=1800.0, **SHARED),
    "coingecko": source("coingecko", freshness_seconds=7200.0, monthly_requests=10_000),
    "csv": source("csv"),
    "retired": source("retired", enabled=False, **SHARED),
}


@define
class Api:
    """A client of the API, a connection beside it, and what the service around it says and hears."""

    dsn: str
    conn: db.Connection
    database: db.Database
    client: testing.TestClient = field(default=None)
    scheduler: model.SchedulerState = field(factory=lambda: model.SchedulerState(enabled=True, alive=True))
    trouble: errors.KasparroError | None = None
    wake_ups: int = 0

    def get(self, path: str, query: str = "", headers: Mapping[str, str] | None = None) -> testing.Result:
        return self.client.simulate_get(path, query_string=query, headers=headers)

    def rows(self, path: str, query: str = "") -> list[dict[str, Any]]:
        """The rows of a page, numbers as text, so that no digit is lost."""
        result = self.get(path, query)
        assert result.status_code == 200, result.text
        return parse(result.text)["data"]

    def walk(self, path: str, query: str = "") -> list[dict[str, Any]]:
        """All rows, page by page, by following the Link headers."""
        rows: list[dict[str, Any]] = []
        target = f"{path}?{query}"
        while target:
            result = self.client.simulate_get(target)
            assert result.status_code == 200, result.text
            rows += parse(result.text)["data"]
            target = next_link(result)
        return rows

    def post_run(self, body: Any, headers: Mapping[str, str] | None = None) -> testing.Result:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.simulate_post(
            "/runs", body=text, headers={"Content-Type": "application/json", **ANN, **(headers or {})}
        )

    def emptied(self) -> "Api":
        """The same API without any rows, and nothing heard yet."""
        for table in TABLES:
            self.conn.execute(f"delete from {table}")
        self.scheduler = model.SchedulerState(enabled=True, alive=True)
        self.trouble = None
        self.wake_ups = 0
        return self

    def _wake(self) -> None:
        self.wake_ups += 1


@contextmanager
def serve(dsn: str, *, api_keys: Mapping[str, Secret] | None = None, through: str | None = None) -> Iterator[Api]:
    """The API on the database `dsn`, which it reaches by the address `through`."""
    database = db.Database(prepare=True, max_size=POOL_SIZE)
    database.open(through or dsn)
    with db.connect(dsn) as conn:
        api = Api(dsn, conn, database)
        api.client = testing.TestClient(
            app.create(
                database=database,
                clock=SystemClock(),
                sources=SOURCES,
                api_keys=api_keys or {},
                scheduler_state=lambda: api.scheduler,
                wake_scheduler=api._wake,
                ready=lambda: api.trouble,
            )
        )
        yield api
    database.close()


@contextmanager
def serve_clone(databases: Any, **settings: Any) -> Iterator[Api]:
    """The API on a database of its own, for the tests of a whole module."""
    name = databases.clone()
    with serve(databases.dsn(name), **settings) as api:
        yield api
    databases.drop(name)


def parse(text: str) -> Any:
    """JSON with numbers as the text that was sent."""
    return json.loads(text, parse_float=str, parse_int=str)


def next_link(result: testing.Result) -> str:
    """The address of the next page, or nothing."""
    link = result.headers.get("Link", "")
    return link[1 : link.index(">")] if link else ""


def add_listing(
    conn: db.Connection, source_name: str, external_id: str, *, symbol: str = "BTC", slug: str | None = None
) -> int:
    """A listing; `slug` shares an asset, without it the listing has one of its own."""
    slug = slug or f"{source_name}.{external_id}"
    conn.execute(
        "insert into assets (slug, symbol, name) values (%s, %s, %s) on conflict do nothing",
        (slug, symbol.upper(), f"Name of {slug}"),
    )
    row = conn.execute(
        """
        insert into listings (source, external_id, symbol, name, symbol_key, asset_id)
        select %s, %s, %s, %s, %s, id from assets where slug = %s
        returning id
        """,
        (source_name, external_id, symbol, f"Name of {external_id}", symbol.lower(), slug),
    )
    return int(db.one(row)[0])


def add_quote(conn: db.Connection, listing_id: int, observed_at: datetime, price: str = "1", **values: Any) -> None:
    """A quote, and the latest of its listing where it is newer."""
    columns = ("market_cap_usd", "volume_24h_usd", "change_24h_pct", "rank", "circulating_supply")
    conn.execute(
        """
        insert into quotes (
            listing_id, observed_at, price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank,
            circulating_supply, content_hash, run_id, ingested_at
        )
        values (%s, %s, %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s, %s::numeric, %s, 1, %s)
        """,
        (listing_id, observed_at, price, *(values.get(name) for name in columns), uuid4(), START),
    )
    conn.execute(
        """
        insert into latest_quotes (listing_id, observed_at)
        values (%s, %s)
        on conflict (listing_id) do update
        set observed_at = greatest(latest_quotes.observed_at, excluded.observed_at)
        """,
        (listing_id, observed_at),
    )


def add_series(conn: db.Connection, listing_id: int, count: int, *, step: timedelta, start: datetime = START) -> None:
    """`count` quotes of a listing, one every `step`, at prices 1, 2, 3 ..."""
    for number in range(count):
        add_quote(conn, listing_id, start + number * step, str(number + 1))


def add_run(conn: db.Connection, source_name: str, status: str = "succeeded", **values: Any) -> int:
    """A run that took ten seconds, or is still queued or running."""
    started = None if status == "queued" else values.pop("started_at", START)
    finished = None if status in ("queued", "running") else values.pop("finished_at", START + timedelta(seconds=10))
    row = {
        "source": source_name,
        "status": status,
        "trigger": "schedule",
        "code_version": "0",
        "config_fingerprint": "f",
        "started_at": started,
        "finished_at": finished,
        **values,
    }
    names = ", ".join(row)
    marks = ", ".join(f"%({name})s" for name in row)
    return int(db.one(conn.execute(f"insert into runs ({names}) values ({marks}) returning id", row))[0])
