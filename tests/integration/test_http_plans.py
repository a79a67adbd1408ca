"""How Postgres finds pages of a large table: by an index, reading little more than it shows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import api_fixtures as fixtures
import pytest
from psycopg import sql

from kasparro.store import db, quote_filter, quote_keys
from kasparro.store.quote_filter import Filter
from kasparro.store.quote_keys import Key, Window

LISTINGS = 300


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[db.Connection]:
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
        yield conn
    databases.drop(name)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def plan_last_way(conn: db.Connection, chosen: Filter, after: Key | None) -> dict[str, Any]:
    """The plan, with what really happened, of the query that answers in the end."""
    ids = quote_filter.listing_ids(conn, chosen)
    *_, keys = quote_keys.candidates(chosen, ids, Window(wanted=51, after=after))
    explain = sql.SQL("explain (analyze, buffers, format json) {}").format(keys.query)
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
def test_page_is_found_by_an_index(conn: db.Connection, chosen: dict[str, Any], descending: bool, deep: bool) -> None:
    """In both directions, at any depth, wherever in time the rows lie: a page reads a small part of the table."""
    after = Key(fixtures.START + timedelta(hours=50), LISTINGS) if deep else None
    plan = plan_last_way(conn, Filter(**chosen, descending=descending), after)
    scans = [node["Node Type"] for node in nodes(plan) if node.get("Relation Name") == "quotes"]
    assert scans or chosen.get("latest")
    assert all("Index" in scan for scan in scans)
    pages = db.one(conn.execute("select relpages from pg_class where relname = 'quotes'"))[0]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 5 * LISTINGS + pages / 10
