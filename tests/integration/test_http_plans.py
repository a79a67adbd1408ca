"""How Postgres finds pages of a large table: by an index, reading little more than it shows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import api_fixtures as fixtures
import pytest
from psycopg import sql

from kasparro.clock import SystemClock
from kasparro.store import db, quote_filter, quote_keys
from kasparro.store.bounded import BoundedDatabase
from kasparro.store.quote_filter import Filter
from kasparro.store.quote_keys import Key, Window

LISTINGS = 300
ROWS = 2 * LISTINGS * 100


@pytest.fixture(scope="module")
def database(databases: Any) -> Iterator[BoundedDatabase]:
    """A live source that writes all the time, and an archive that ended long before it began."""
    name = databases.clone()
    with db.connect(databases.dsn(name)) as conn:
        for number in range(LISTINGS):
            for source in ("csv", "coingecko"):
                fixtures.add_listing(conn, source, f"{source}-{number}", symbol=f"s{number}", slug=f"coin-{number}")
        conn.execute(
            """
            insert into quotes (listing_id, observed_at, price_usd, content_hash, run_id, ingested_at)
            select
                l.id,
                case l.source when 'csv' then '2017-01-01Z'::timestamptz else '2024-01-01Z' end + n * interval '1 hour',
                n, gen_random_uuid(), 1, now()
            from listings l, generate_series(1, 100) n
            """
        )
        conn.execute("insert into latest_quotes select listing_id, max(observed_at) from quotes group by listing_id")
        conn.execute("vacuum analyze")
    pool = db.Database(prepare=True, max_size=2)
    pool.open(databases.dsn(name))
    yield BoundedDatabase(pool, SystemClock())
    pool.close()
    databases.drop(name)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def rows_read(scan: dict[str, Any]) -> float:
    return float((scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"])


def plan_last_way(conn: db.Connection, chosen: Filter, after: Key | None) -> dict[str, Any]:
    """The plan, with what really happened, of the query that answers in the end."""
    ids = quote_filter.listing_ids(conn, chosen)
    *_, keys = quote_keys.candidates(chosen, ids, Window(wanted=51, after=after))
    explain = sql.SQL("explain (analyze, format json) {}").format(keys.query)
    plan: dict[str, Any] = db.one(conn.execute(explain, keys.params))[0][0]["Plan"]
    return plan


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"sources": ["csv"]},
        {"sources": ["coingecko"]},
        {"sources": ["csv", "coingecko"]},
        {"asset": "coin-7"},
        {"symbols": ["S7", "s8"]},
        {"external_id": "csv-9"},
        {"since": fixtures.START, "until": fixtures.START + timedelta(days=1)},
        {"latest": True},
        {"latest": True, "sources": ["csv"]},
    ],
)
def test_page_is_found_by_an_index(
    database: BoundedDatabase, chosen: dict[str, Any], descending: bool, deep: bool
) -> None:
    """In both directions, at any depth, wherever in time the rows lie: few are read that are not shown."""
    after = Key(fixtures.START + timedelta(hours=50), LISTINGS) if deep else None
    with database.reading() as conn:
        plan = plan_last_way(conn, Filter(**chosen, descending=descending), after)
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "quotes"]
    assert scans or chosen.get("latest")
    assert not any(scan["Node Type"] == "Seq Scan" for scan in scans)
    assert sum(rows_read(scan) for scan in scans) < ROWS / 10
