"""Kept records normalised again: rejected ones, or all of a source after its field map was mended."""

import threading
from datetime import timedelta

import pytest
from attrs import evolve
from etl_fixtures import HOUR, NOON, ListReader, page, record, source

from kasparro import errors
from kasparro.etl.pipeline import Task
from kasparro.etl.replay import Replay
from kasparro.model import REPLAY, RunStatus, Trigger
from kasparro.store.replays import Wanted

pytest_plugins = ("etl_checks",)

TOMORROW = NOON + timedelta(days=1)


def mapped(**paths):
    """The made-up source with other paths for some fields."""
    plain = source()
    fields = {name: evolve(plain.fields[name], paths=(path,)) for name, path in paths.items()}
    return evolve(plain, fields={**plain.fields, **fields})


def replay(etl, of=None, *, rejected=False, code=None, run_id=None):
    """One replay run, as the command does it."""
    given = of or source()
    etl.sources[given.name] = given
    pipeline = etl.build()
    wanted = Wanted(source=given.name, rejected=rejected, code=code, run_id=run_id)
    work = Replay(etl.database, pipeline.committer, wanted)
    task = Task(slice=REPLAY, work=work.work)
    result = pipeline.run(given, trigger=Trigger.REPLAY, stop=threading.Event(), task=task)
    return result, work.not_replayed


def tables(etl):
    """What a replay may change."""
    return [*etl.outcome()[:3], etl.rows("select source, external_id, symbol, name from listings order by 1, 2")]


def test_rejected_records_give_quotes_when_the_map_is_mended(etl):
    """Without asking anybody; and the run says what it did."""
    etl.run(page(record("btc", price="x", cost="7"), record("eth", price="2")))
    result, left = replay(etl, mapped(price_usd="cost"), rejected=True)
    assert (result.status, result.counts.read, result.counts.inserted) == (RunStatus.SUCCEEDED, 1, 1)
    assert etl.quotes() == {("btc", NOON): 7, ("eth", NOON): 2}
    assert etl.run_row(result.run_id, "trigger", "slice", "requests") == ("replay", "replay", 0)
    assert etl.value("select count(*) from rejections where resolved_at is null") == 0
    assert etl.value("select count(*) from latest_quotes") == 2
    assert left == 0
    etl.replayable = False


def test_rejection_stays_open_when_the_record_is_still_wrong(etl):
    """Tried once more, and the run is partial."""
    etl.run(page(record("btc", price="x")))
    result, _ = replay(etl, rejected=True)
    assert (result.status, result.counts.rejected) == (RunStatus.PARTIAL, 1)
    assert etl.rows("select attempts, resolved_at, run_id from rejections") == [(2, None, result.run_id)]


def test_only_the_wanted_rejections_are_replayed_when_a_code_or_run_is_named(etl):
    """Those of one code, or those that one run saw last."""
    first = etl.run(page(record("a", price="x", cost="1"), record("b", at="never", cost="1")))
    etl.run(page(record("c", price="x", cost="1")))
    mended = mapped(price_usd="cost")
    assert replay(etl, mended, rejected=True, code="not_a_time")[0].counts.read == 1
    assert replay(etl, mended, rejected=True, run_id=first.run_id)[0].counts.read == 1
    assert set(etl.quotes()) == {("a", NOON)}
    etl.replayable = False


def test_records_that_could_not_be_read_are_counted_when_others_are_replayed(etl):
    """No field map makes a list of numbers an object, and of what was pruned nothing is left."""
    etl.run(page(record("a", price="x"), record("b", price="x")))
    etl.conn.execute("update rejections set stage = 'read' where external_id = 'a'")
    etl.conn.execute("delete from raw_records where external_id = 'b'")
    result, left = replay(etl, rejected=True)
    assert (result.counts.read, left) == (0, 2)
    assert replay(etl)[0].counts.read == 0
    etl.conn.execute("delete from rejections")


def test_a_quote_seen_later_stays_when_an_older_rejected_record_is_replayed(etl):
    """The upstream corrected itself since: what it said before changes nothing."""
    etl.run(page(record("btc", price="x", cost="7")))
    etl.run(page(record("btc", price="9")))
    fields = {**source().fields, "price_usd": evolve(source().fields["price_usd"], paths=("cost", "price"))}
    result, _ = replay(etl, evolve(source(), fields=fields), rejected=True)
    assert (result.counts.read, result.counts.duplicate) == (1, 1)
    assert etl.quotes() == {("btc", NOON): 9}
    assert etl.value("select count(*) from rejections where resolved_at is null") == 0


@pytest.mark.parametrize(
    ("pages", "price"),
    [
        ([page(record("btc", price="x", cost="7")), page(record("btc", price="9"))], 9),
        ([page(record("btc", price="x", cost="7"), record("btc", price="9"))], 9),
        ([page(record("btc", price="9")), page(record("btc", price="x", cost="7"))], 7),
    ],
)
@pytest.mark.parametrize("rejected", [True, False])
def test_the_later_one_counts_when_the_record_of_a_quote_was_pruned(etl, pages, price, rejected):
    """The rejected record is still kept; the quote says by itself when it was written."""
    for each in pages:
        etl.run(each)
    etl.conn.execute("delete from raw_records where payload ->> 'price' = '9'")
    fields = {**source().fields, "price_usd": evolve(source().fields["price_usd"], paths=("cost", "price"))}
    replay(etl, evolve(source(), fields=fields), rejected=rejected)
    assert etl.quotes() == {("btc", NOON): price}
    assert etl.value("select count(*) from rejections where resolved_at is null") == 0
    etl.empty()


def test_nothing_is_written_when_the_map_is_the_same(etl):
    """A replay of everything is free of effects, however often, whatever order records came in."""
    etl.run(page(record("btc", price="1"), record("eth", price="2"), record("btc", price="3")))
    etl.run(page(record("btc", price="1"), record("doge", price=None), record("eth", price="5", at=NOON + HOUR)))
    before = etl.writes()
    for _ in range(2):
        result, _ = replay(etl)
        assert result.counts.inserted == result.counts.updated == result.counts.removed == 0
    assert etl.writes() == before


def test_quotes_change_when_a_value_is_mapped_elsewhere(etl):
    """And end as if the records had been read with that map in the first place."""
    pages = [page(record("btc", price="1", cost="10")), page(record("btc", price="2", cost="20"), record("eth"))]
    for each in pages:
        etl.run(each)
    fields = {**source().fields, "price_usd": evolve(source().fields["price_usd"], paths=("cost", "price"))}
    mended = evolve(source(), fields=fields)
    assert replay(etl, mended)[0].counts.updated == 1
    replayed = tables(etl)
    etl.empty()
    for each in pages:
        etl.run(each, of=mended)
    assert tables(etl) == replayed


@pytest.mark.parametrize(
    ("first", "second", "removed"),
    [
        (NOON - HOUR, NOON, 1),
        (TOMORROW, NOON - HOUR, 2),  # the second one's quote, seen later, is in the way until it goes
        (NOON, TOMORROW, 0),
        ("never", "never", 2),
    ],
)
def test_quotes_move_when_the_time_is_mapped_elsewhere(etl, first, second, removed):
    """A quote whose record no longer yields its key goes, and the latest of its listing is found anew."""
    at = [each if isinstance(each, str) else each.isoformat() for each in (first, second)]
    pages = [
        page(record("btc", price="1", at2=at[0]), record("eth", price="2")),
        page(record("btc", price="3", at=TOMORROW, at2=at[1])),
    ]
    for each in pages:
        etl.run(each)
    fields = {**source().fields, "observed_at": evolve(source().fields["observed_at"], paths=("at2", "at"))}
    mended = evolve(source(), fields=fields)
    assert replay(etl, mended)[0].counts.removed == removed
    replayed = tables(etl)
    etl.empty()
    for each in pages:
        etl.run(each, of=mended)
    assert tables(etl) == replayed


def test_listings_and_assets_go_when_the_id_is_mapped_elsewhere(etl):
    """No asset without a quote is left behind; raw records keep their hashes."""
    etl.run(page(record("btc", code="bitcoin"), record("eth", code="ethereum")))
    hashes = etl.rows("select content_hash from raw_records order by 1")
    result, _ = replay(etl, mapped(external_id="code"))
    assert (result.counts.inserted, result.counts.removed) == (2, 2)
    assert set(etl.quotes()) == {("bitcoin", NOON), ("ethereum", NOON)}
    assert etl.rows("select external_id from listings order by 1") == [("bitcoin",), ("ethereum",)]
    assert etl.value("select count(*) from assets") == 2
    assert etl.value("select count(*) from symbols_to_match") == 0
    assert etl.rows("select content_hash from raw_records order by 1") == hashes


def test_quote_stays_when_its_raw_record_was_pruned(etl):
    """Nothing says that it is wrong."""
    etl.run(page(record("btc"), record("eth")))
    etl.conn.execute("delete from raw_records where external_id = 'btc'")
    replay(etl, mapped(price_usd="rank"))
    assert set(etl.quotes()) == {("btc", NOON)}
    etl.empty()


def test_checkpoint_and_schedule_stay_when_a_source_is_replayed(etl):
    """A replay is no reading: the live stream goes on where and when it would have."""
    etl.run(page(record("btc"), validators={"etag": "1"}))
    query = "select c.*, s.* from checkpoints c, schedules s"
    before = etl.rows(query)
    replay(etl)
    replay(etl, rejected=True)
    assert etl.rows(query) == before


def test_replay_waits_for_its_turn_when_a_run_is_under_way(etl):
    """Two writers of one source would take each other's keys: it holds the source's own lease."""

    def replay_too():
        with pytest.raises(errors.BusyError):
            replay(etl)

    pages = [page(record("a"), last=False), replay_too, page(record("b"))]
    etl.start(etl.build(ListReader({"": pages}), lease_seconds=2.0))
    assert set(etl.quotes()) == {("a", NOON), ("b", NOON)}
