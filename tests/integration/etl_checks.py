"""The fixture `etl`, and what must hold after every test that ran a pipeline.

Runs add up, references lead somewhere, and the raw records replayed by hand give the quotes.
A test module asks for it with `pytest_plugins = ("etl_checks",)`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from attrs import fields_dict
from etl_fixtures import Etl
from psycopg import sql

from kasparro.etl import fetch, normalise
from kasparro.etl.readers import json_text
from kasparro.store import db
from kasparro.tallies import Counts, Traffic

# Counters of a run that source_totals sums up, as the columns are called.
TALLIES = [{"read": "records_read"}.get(name, name) for name in (*fields_dict(Counts), *fields_dict(Traffic))]


@pytest.fixture(scope="session")
def etl_dsn(databases: Any) -> Iterator[str]:
    """A migrated database for all these tests: emptying it is ten times faster than making one."""
    name = databases.clone()
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def etl(etl_dsn: str) -> Iterator[Etl]:
    """Pipelines on an empty database; afterwards everything that any of them did must add up."""
    database = db.Database(prepare=True, max_size=16)
    with db.connect(etl_dsn) as conn:
        database.open(etl_dsn)
        made = Etl(dsn=etl_dsn, conn=conn, database=database)
        made.http = fetch.Http(made.clock)
        made.empty()
        yield made
        made.http.close()
        database.close()
        check_counts(made)
        check_references(made)
        if made.replayable:
            check_replay(made)


def check_counts(etl: Etl) -> None:
    """Every run adds up, and a source's totals are the sums over its runs."""
    wrong = "select id from runs where records_read <> inserted + updated + unchanged + duplicate + rejected"
    assert etl.rows(wrong) == []
    sums = sql.SQL(", ").join(sql.SQL("sum({0}) as {0}").format(sql.Identifier(name)) for name in TALLIES)
    totals = sql.SQL(", ").join(map(sql.Identifier, TALLIES))
    from_runs = sql.SQL("select source, {} from runs group by source having sum(batches) > 0 order by source")
    from_totals = sql.SQL("select source, {} from source_totals where records_read > 0 order by source")
    summed = etl.conn.execute(from_runs.format(sums)).fetchall()
    assert [row for row in summed if row[1]] == etl.conn.execute(from_totals.format(totals)).fetchall()
    replayed = (
        "select source, sum(unchanged), sum(rejected) from runs where slice = 'replay' and batches > 0 group by 1"
    )
    assert etl.rows(f"{replayed} order by 1") == etl.rows(
        "select source, unchanged, rejected from replay_totals order by 1"
    )
    ended = "select source, status, count(*) from runs where finished_at is not null group by 1, 2 order by 1, 2"
    assert etl.rows(ended) == etl.rows("select source, status, runs from run_totals order by 1, 2")


def check_references(etl: Etl) -> None:
    """Every quote leads to its raw record, every rejection to its own, and latest quotes are there."""
    no_raw = """
        select q.content_hash from quotes q join listings l on l.id = q.listing_id
        where not exists (select from raw_records r where r.source = l.source and r.content_hash = q.content_hash)
    """
    assert etl.rows(no_raw) == []
    no_rejected = """
        select j.id from rejections j
        where not exists (select from raw_records r where r.source = j.source and r.content_hash = j.content_hash)
    """
    assert etl.rows(no_rejected) == []
    no_latest = "select listing_id, observed_at from latest_quotes except select listing_id, observed_at from quotes"
    assert etl.rows(no_latest) == []
    other_newest = """
        select t.source from source_totals t
        where newest_observed_at is not null and newest_observed_at is distinct from (
            select max(n.observed_at) from latest_quotes n join listings l on l.id = n.listing_id
            where l.source = t.source
        )
    """
    assert etl.rows(other_newest) == []


def check_replay(etl: Etl) -> None:
    """Raw records in the order in which they were last seen to change something, end where ingestion ended."""
    for name, each in etl.sources.items():
        normaliser = normalise.compile_source(each)
        replayed: dict[tuple[str | None, datetime], Any] = {}
        query = """
            select payload::text, constants
            from raw_records r
            where source = %s
            and not exists (
                select from rejections j
                where j.source = r.source and j.content_hash = r.content_hash and j.stage = 'read'
                and resolved_at is null
            )
            order by last_seen_at
        """
        for payload, constants in etl.rows(query, name):
            item = normaliser(next(json_text.records(f"[{payload}]", "")), constants or {})
            if item.quote is not None:
                replayed[item.external_id, item.quote.observed_at] = item.quote.price_usd
        query = """
            select external_id, observed_at, price_usd
            from quotes join listings l on l.id = listing_id
            where l.source = %s
        """
        assert {(external_id, at): price for external_id, at, price in etl.rows(query, name)} == replayed
