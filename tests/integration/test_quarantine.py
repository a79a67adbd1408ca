"""Records that give no quote: a batch with too many of them is not loaded, and what is mended counts as resolved."""

import threading

import pytest
from attrs import evolve
from etl_fixtures import HOUR, NOON, ListReader, page, record, source

from kasparro import errors
from kasparro.etl.pipeline import Task
from kasparro.model import RunStatus, Trigger

pytest_plugins = ("etl_checks",)


def batch(good, bad, slice_name="", **more):
    """A page of so many records that give a quote, and so many that give none."""
    records = [record(f"good{number}") for number in range(good)]
    records += [record(f"bad{number}", price="much") for number in range(bad)]
    return page(*records, slice_name=slice_name, **more)


def accept(etl, reader, **changes):
    """A run for which no share of rejections is too large."""
    task = Task(accept_rejections=True)
    pipeline = etl.build(reader)
    return pipeline.run(source(**changes), trigger=Trigger.CLI, stop=threading.Event(), task=task)


@pytest.mark.parametrize(
    ("good", "bad", "share", "loaded"),
    [
        (50, 50, None, True),
        (49, 51, None, False),
        (48, 51, None, True),  # of 99 records nobody judges
        (99, 1, 0.0, False),
        (0, 100, 1.0, True),
    ],
)
def test_batch_is_loaded_when_its_share_of_rejections_is_allowed(etl, good, bad, share, loaded):
    """Half of them for an API unless the source says otherwise, from a hundred records on."""
    result = etl.run(batch(good, bad), of=source(max_rejected_share=share))
    assert len(etl.quotes()) == (good if loaded else 0)
    assert result.error_code == ("rejections" if loaded else "too_many_rejections")
    assert result.status is (RunStatus.PARTIAL if loaded and good else RunStatus.FAILED)
    assert etl.value("select count(*) from rejections") == bad


def test_expected_rejections_are_not_judged_when_they_are_many(etl):
    """What the source calls normal says nothing about its fields."""
    records = [record(f"c{number}", price=None) for number in range(200)]
    assert etl.run(page(*records)).status is RunStatus.SUCCEEDED


def test_only_rejections_are_kept_when_a_batch_has_too_many(etl):
    """With their raw records; nothing of the batch is counted, and the slice stays where it was."""
    etl.run(page(record("good0", at=NOON - HOUR)))
    before = etl.rows("select slice, position, watermark from checkpoints")
    result = etl.run(batch(10, 190))
    assert (result.counts.read, result.counts.raw_inserted) == (0, 190)
    assert etl.rows("select slice, position, watermark from checkpoints") == before
    assert etl.value("select count(*) from rejections where resolved_at is null and code = 'not_a_number'") == 190
    assert etl.value("select count(*) from raw_records") == 191
    assert etl.value("select failures from schedules") == 1
    assert "190 of 200 records" in result.error_message
    assert "--accept-rejections" in result.error_message


def test_other_slices_go_on_when_one_has_too_many_rejections(etl):
    """And the run is failed all the same, with this error rather than another slice's."""
    slices = {
        "a": [errors.SliceError("broken", code="bad_header")],
        "b": [batch(0, 100, "b", position={"offset": 5})],
        "c": [page(record("btc"), slice_name="c", position={"offset": 7})],
    }
    result = etl.start(etl.build(ListReader(slices)))
    assert (result.status, result.error_code) == (RunStatus.FAILED, "too_many_rejections")
    assert set(etl.quotes()) == {("btc", NOON)}
    assert etl.rows("select slice from checkpoints") == [("c",)]


def test_earlier_batches_stay_when_a_later_one_has_too_many(etl):
    """The next run begins behind them."""
    pages = [
        page(record("btc"), slice_name="x", last=False, position={"offset": 5}),
        batch(0, 100, "x", position={"offset": 9}),
    ]
    etl.start(etl.build(ListReader({"x": pages})))
    assert etl.rows("select slice, position ->> 'offset' from checkpoints") == [("x", "5")]
    assert set(etl.quotes()) == {("btc", NOON)}


def test_batch_is_loaded_when_rejections_are_accepted(etl):
    """Somebody looked at them: the rest is loaded, the rejections count, the slice moves on."""
    etl.run(batch(10, 190))
    result = accept(etl, ListReader({"": [batch(10, 190)]}))
    assert (result.status, result.counts.inserted, result.counts.rejected) == (RunStatus.PARTIAL, 10, 190)
    assert etl.value("select count(*) from checkpoints") == 1
    assert etl.value("select max(attempts) from rejections") == 2


def test_rejection_is_resolved_when_its_record_gives_a_quote(etl):
    """The field map was mended, the upstream said the same again."""
    etl.run(page(record("btc", price=None, cost="7")), of=source(expected=frozenset()))
    mended = source(expected=frozenset())
    fields = {**mended.fields, "price_usd": evolve(mended.fields["price_usd"], paths=("cost",))}
    etl.run(page(record("btc", price=None, cost="7")), of=evolve(mended, fields=fields))
    assert etl.rows("select code, resolved_at is null from rejections") == [("price_missing", False)]
    etl.run(page(record("btc", price=None, cost="7")), of=mended)
    assert etl.rows("select code, resolved_at is null, attempts from rejections") == [("price_missing", True, 2)]
    etl.replayable = False


def test_rejection_is_resolved_when_its_record_is_rejected_for_another_reason(etl):
    """A record has one reason at a time."""
    wrong = record("btc", price="much", at="never")
    etl.run(page(wrong))
    plain = source()
    fields = dict(sorted(plain.fields.items(), key=lambda item: item[0] != "price_usd"))
    etl.run(page(wrong), of=evolve(plain, fields=fields))
    found = etl.rows("select code, resolved_at is null from rejections order by 1")
    assert found == [("not_a_number", True), ("not_a_time", False)]


def test_expected_rejection_is_resolved_when_its_listing_has_a_quote(etl):
    """A coin without a price today has one tomorrow."""
    etl.run(page(record("btc", price=None), record("eth", price=None)))
    etl.run(page(record("btc", price="3", at=NOON + HOUR)))
    found = etl.rows("select external_id, resolved_at is null from rejections order by 1")
    assert found == [("btc", False), ("eth", True)]
