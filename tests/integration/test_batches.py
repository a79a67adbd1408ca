"""What a batch does to the tables, and how every record of it is counted."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from etl_fixtures import HOUR, NOON, page, record, source

from kasparro.model import RunStatus
from kasparro.store import health
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

FUTURE = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def counts(**changes):
    """Counts that add up to what was read."""
    parts = ("inserted", "updated", "unchanged", "duplicate", "rejected")
    return Counts(read=sum(changes.get(part, 0) for part in parts), **changes)


def test_records_are_inserted_when_they_are_new(etl):
    """One raw record, one quote and one listing each."""
    assert etl.run(page(record("btc"), record("eth", price="2"))).counts == counts(inserted=2, raw_inserted=2)
    assert etl.quotes() == {("btc", NOON): 1, ("eth", NOON): 2}
    assert etl.rows("select source, external_id, symbol, name, symbol_key from listings order by external_id") == [
        ("coinpaprika", "btc", "btc", "Coin btc", "btc"),
        ("coinpaprika", "eth", "eth", "Coin eth", "eth"),
    ]


def test_nothing_is_written_when_the_same_records_come_again(etl):
    """Raw records, quotes, latest quotes, listings, assets and checkpoints stay untouched, dead rows included."""
    given = page(*(record(f"c{number}", price="1.5", rank="3") for number in range(300)))
    empty = etl.writes()
    etl.run(given)
    before = etl.writes()
    assert etl.run(given).counts == counts(unchanged=300)
    assert etl.writes() == before
    assert before["quotes"][0] - empty["quotes"][0] == 300


def test_age_of_the_data_is_known_without_reading_listings(etl):
    """Of however many: a look at the health has less than a second."""
    etl.run(page(record("a", at=NOON + HOUR), record("b"), record("c", at=FUTURE)))
    etl.run(page(record("b", price="2")))
    with psycopg.connect(etl.dsn) as other, etl.conn.transaction():
        other.execute("lock table listings, latest_quotes, quotes in access exclusive mode")
        etl.conn.execute("set local lock_timeout = '5s'")
        found = health.list_sources(etl.conn, ["coinpaprika"])["coinpaprika"]
    assert found.data_age_seconds == pytest.approx((datetime.now(UTC) - NOON - HOUR).total_seconds(), abs=60)


def test_age_of_the_data_is_found_when_it_is_not_noted(etl):
    """Among all quotes, by a look and by the next batch."""
    etl.run(page(record("a", at=NOON + HOUR), record("b")))
    etl.conn.execute("update source_totals set newest_observed_at = null")
    found = health.list_sources(etl.conn, ["coinpaprika"])["coinpaprika"]
    assert found.data_age_seconds == pytest.approx((datetime.now(UTC) - NOON - HOUR).total_seconds(), abs=60)
    etl.run(page(record("b", price="2")))
    assert etl.rows("select newest_observed_at from source_totals") == [(NOON + HOUR,)]


def test_quote_is_updated_when_any_of_its_values_changed(etl):
    """The same key read again: the last read wins, and its record is the lineage."""
    etl.run(page(record(price="1")))
    etl.run(page(record(price="2")))
    result = etl.run(page(record(price="2", cap="7", volume="8", change="-9", rank="1", supply="11")))
    assert result.counts == counts(updated=1, raw_inserted=1)
    row = (
        "select price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank, circulating_supply, run_id from quotes"
    )
    assert etl.rows(row) == [(2, 7, 8, -9, 1, 11, result.run_id)]


def test_quote_is_unchanged_when_only_the_record_differs(etl):
    """It is kept as a raw record; the quote and its lineage stay."""
    first = etl.run(page(record(price="1.50")))
    again = etl.run(page(record(price="1.5", note="x")))
    assert again.counts == counts(unchanged=1, raw_inserted=1)
    assert etl.rows("select price_usd::text, run_id from quotes") == [("1.50", first.run_id)]


def test_last_record_wins_when_a_batch_has_a_key_twice(etl):
    """The others are duplicates, and every record is kept once."""
    result = etl.run(page(record(price="1"), record(price="2"), record(price="3"), record(price="2")))
    assert result.counts == counts(inserted=1, duplicate=3, raw_inserted=3)
    assert etl.quotes() == {("btc", NOON): 2}


FIRST = [["1"], ["2", "1"], ["1", "2"], ["3", "2"]]
SECOND = [["1", "2"], ["2", "1"], ["1", "2", "1"], ["3", "1"], ["2", "3", "1", "2"], ["2", "2"]]


def test_replay_of_raw_ends_where_ingestion_ended_when_prices_go_back_and_forth(etl):
    """The check after the test replays them; here the last one read is what stands."""
    cases = list(itertools.product(FIRST, SECOND))
    for turn in (0, 1, 0, 1, 1):
        etl.run(page(*(record(f"c{number}", price=price) for number, case in enumerate(cases) for price in case[turn])))
    assert etl.quotes() == {(f"c{number}", NOON): Decimal(case[1][-1]) for number, case in enumerate(cases)}


def test_older_observation_never_becomes_the_latest_when_it_comes_late(etl):
    """It is stored all the same."""
    etl.run(page(record(at=NOON)))
    etl.run(page(record(at=NOON - HOUR), record(at=NOON - 2 * HOUR)))
    assert len(etl.quotes()) == 3
    assert etl.rows("select observed_at from latest_quotes") == [(NOON,)]
    etl.run(page(record(at=NOON + HOUR)))
    assert etl.rows("select observed_at from latest_quotes") == [(NOON + HOUR,)]


def test_future_observation_is_stored_but_never_the_latest_when_read(etl):
    """Nor does it move the watermark, nor rename its listing."""
    etl.run(page(record(at=NOON, name="Old")))
    result = etl.run(page(record(at=FUTURE, name="New"), record("fut", at=FUTURE)))
    assert result.counts == counts(inserted=2, raw_inserted=2, future_dated=2)
    assert etl.rows("select observed_at from latest_quotes") == [(NOON,)]
    assert etl.value("select watermark from checkpoints") == NOON
    assert etl.rows("select name from listings order by id") == [("Old",), ("Coin fut",)]


def test_observation_within_tolerance_is_the_latest_but_no_watermark_when_read(etl):
    """Clocks differ by a little; the watermark is capped at the start of the run all the same."""
    soon = datetime.now(UTC) + timedelta(minutes=3)
    assert etl.run(page(record(at=soon))).counts == counts(inserted=1, raw_inserted=1)
    assert etl.value("select count(*) from latest_quotes") == 1
    assert etl.value("select watermark from checkpoints") is None


def test_listing_takes_the_name_of_its_newest_record_when_they_differ(etl):
    """In one batch, in any order, and in later batches; an older record renames nothing."""
    etl.run(page(record(at=NOON, name="B"), record(at=NOON - HOUR, name="A")))
    assert etl.value("select name from listings") == "B"
    etl.run(page(record(at=NOON + HOUR, name="C"), record(at=NOON - 2 * HOUR, name="Z")))
    assert etl.value("select name from listings") == "C"
    etl.run(page(record(at=NOON - 3 * HOUR, name="Y")))
    assert etl.value("select name from listings") == "C"


def test_expected_rejection_has_one_row_for_a_listing_and_code_when_it_comes_every_time(etl):
    """Its records are kept, and the run stays succeeded."""
    for hour in range(3):
        result = etl.run(page(record("a", price=None, at=NOON + hour * HOUR), record("b", price=None)))
        assert result.status is RunStatus.SUCCEEDED
        assert result.counts.rejected == result.counts.rejected_expected == 2
    query = "select code, dedup_key, external_id, expected, attempts from rejections order by dedup_key"
    assert etl.rows(query) == [("price_missing", name, name, True, 1) for name in ("a", "b")]
    assert etl.value("select count(*) from raw_records") == 4


def test_unexpected_rejection_makes_the_run_partial_when_one_record_is_bad(etl):
    """One row a record and code, linked to the raw record, and counted again when it comes again."""
    given = page(record("good"), record("bad", price="dear"))
    first, again = etl.run(given), etl.run(given)
    assert (first.status, again.status) == (RunStatus.PARTIAL, RunStatus.PARTIAL)
    assert first.counts == counts(inserted=1, rejected=1, raw_inserted=2)
    query = """
        select j.code, j.field, j.external_id, j.expected, j.attempts, r.payload::json ->> 'price'
        from rejections j join raw_records r using (source, content_hash)
    """
    assert etl.rows(query) == [("not_a_number", "price_usd", "bad", False, 2, "dear")]


def test_rejection_never_replaces_a_quote_when_the_next_record_is_bad(etl):
    """What is known stays."""
    etl.run(page(record(price="5")))
    etl.run(page(record(price="0"), record(price=None), record(price="x")))
    assert etl.quotes() == {("btc", NOON): 5}
    assert etl.rows("select observed_at from latest_quotes") == [(NOON,)]


SPOILED = ("a\x00b", "a\ud800", "\udfff\ud800", "\x00")


@pytest.mark.parametrize("field", ["external_id", "symbol", "name", "at", "price", "note"])
def test_batch_is_stored_when_a_text_of_its_records_cannot_be(etl, field):
    """Postgres takes neither NUL nor lone surrogates as text; the payload keeps both."""
    odd = [record(**{"external_id": f"odd{number}", field: text}) for number, text in enumerate(SPOILED)]
    result = etl.run(page(record("good"), *odd))
    if field == "note":
        assert result.counts == counts(inserted=5, raw_inserted=5)
    else:
        assert result.counts == counts(inserted=1, rejected=4, raw_inserted=5)


def test_prices_are_exact_when_they_are_at_the_limits(etl):
    """Every digit comes back."""
    prices = ["1e-30", "1e30", "0.1", "1" * 30 + "." + "1" * 119, "123456789." + "0" * 29 + "1", "1.10"]
    etl.run(page(*(record(f"c{number}", price=price) for number, price in enumerate(prices))))
    assert etl.quotes() == {(f"c{number}", NOON): Decimal(price) for number, price in enumerate(prices)}


def test_numbers_are_exact_when_they_are_at_the_limits(etl):
    """1e40 either way, zero, the smallest fraction, and the largest rank."""
    huge, tiny = "1e40", "-0." + "0" * 99 + "1"
    etl.run(page(record(cap=huge, volume="0e-20000", change=tiny, rank="2147483647", supply="0." + "7" * 148)))
    query = "select market_cap_usd, volume_24h_usd, change_24h_pct, rank, circulating_supply from quotes"
    expected = (Decimal(huge), 0, Decimal(tiny), 2147483647, Decimal("0." + "7" * 148))
    assert etl.rows(query) == [expected]


WRONG = {
    "price_usd": ["0", "-1", "9e-31", "1.1e30", "'NaN'", "'Infinity'"],
    "market_cap_usd": ["-1", "'NaN'", "1.1e40"],
    "volume_24h_usd": ["-0.1", "1.1e40"],
    "change_24h_pct": ["-1.1e40", "'-Infinity'", "'NaN'"],
    "circulating_supply": ["'Infinity'", "-1"],
    "rank": ["0", "-1"],
}


def test_schema_refuses_a_number_when_the_code_would_let_it_pass(etl):
    """The CHECK constraints say the same as normalising does."""
    etl.run(page(record()))
    for column, wrong in WRONG.items():
        for value in wrong:
            with pytest.raises(psycopg.errors.CheckViolation, match=f"quotes_{column}_check"):
                etl.conn.execute(f"update quotes set {column} = {value}")


def test_content_is_kept_once_when_two_sources_send_the_same(etl):
    """Each source has its own raw records, its own listing and its own totals."""
    for name in ("coinpaprika", "coingecko"):
        assert etl.run(page(record()), of=source(name)).counts == counts(inserted=1, raw_inserted=1)
    assert etl.value("select count(distinct content_hash) from raw_records") == 1
    assert etl.value("select count(*) from raw_coingecko") == 1
    assert etl.value("select count(*) from listings") == 2


def test_page_is_split_when_it_has_more_records_than_a_batch(etl):
    """Each part commits on its own; the sum is the same."""
    given = page(*(record(f"c{number % 40}", price=str(number + 1)) for number in range(100)))
    result = etl.run(given, batch_records=30)
    assert etl.run_row(result.run_id, "batches") == (4,)
    assert (result.counts.read, result.counts.inserted) == (100, 40)
    assert etl.quotes()["c5", NOON] == 86


def test_constants_are_kept_beside_the_record_when_a_slice_has_some(etl):
    """They are part of what was read, so the same text under other constants is another record."""
    etl.replayable = False
    etl.run(page(record(), constants={"currency": "usd"}))
    etl.run(page(record(), constants={"currency": "eur"}))
    query = "select constants::text from raw_records order by first_seen_at"
    assert etl.rows(query) == [('{"currency": "usd"}',), ('{"currency": "eur"}',)]


@pytest.fixture
def many_open(etl, expected):
    """Tens of thousands of open rejections of other listings, in pages enough that no scan of all is the cheapest."""
    etl.conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, message, external_id, content_hash, expected, run_id,
            first_seen_at, last_seen_at
        )
        select
            'coinpaprika', '', 'price_missing', n::text, 'normalise', repeat('x', 1800), 'other' || n,
            gen_random_uuid(), %s, 0, now(), now()
        from generate_series(1, 30000) n
        """,
        [expected],
    )
    etl.conn.execute("analyze rejections")
    yield
    etl.empty()


@pytest.mark.parametrize("expected", [True, False])
def test_few_rejections_are_looked_at_when_many_are_open(etl, many_open):
    """Only those of the batch's records and listings, and of the run: not all of a source, batch after batch."""
    looked_at = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'rejections'"
    etl.writes()
    before = etl.value(looked_at)
    etl.run(page(*(record(f"c{number}", price=None if number % 2 else "x") for number in range(100))))
    etl.run(page(*(record(f"c{number}") for number in range(100))), batch_records=10)
    etl.writes()
    assert etl.value(looked_at) - before < 5000


def test_few_raw_records_are_looked_at_when_many_are_kept(etl):
    """Also while Postgres has no statistics of them: the first minute of a new source is its busiest."""
    etl.conn.execute(
        """
        insert into raw_records
        select 'coinpaprika', gen_random_uuid(), '', 'other', '{}', null, 0, now(), now()
        from generate_series(1, 20000)
        """
    )
    looked_at = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'raw_coinpaprika'"
    etl.writes()
    before = etl.value(looked_at)
    etl.run(page(*(record(f"c{number}") for number in range(100))), batch_records=10)
    etl.writes()
    assert etl.value(looked_at) - before < 1000
    etl.empty()
