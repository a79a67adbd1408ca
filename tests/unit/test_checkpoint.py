"""How far a slice has been read: which pages can be resumed from, and what moves the watermark."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kasparro.etl import checkpoint
from kasparro.model import Checkpoint, Normalised, Page, Quote

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD = START - timedelta(days=1)


def item(observed_at):
    """A record observed then; a rejected one for None."""
    quote = None if observed_at is None else Quote(observed_at=observed_at, price_usd=Decimal(1))
    return Normalised(
        content_hash="0" * 32,
        payload="{}",
        external_id="a",
        symbol="A",
        symbol_key="a",
        name="A",
        quote=quote,
        rejection=None,
    )


def page(**changes):
    """A page of the slice 'a.csv' without records."""
    return Page(slice="a.csv", records=[], **changes)


@pytest.mark.parametrize(
    ("moments", "known", "expected"),
    [
        ([], None, None),
        ([None], None, None),
        ([None], OLD, OLD),
        ([OLD], None, OLD),
        ([OLD, START - timedelta(hours=1), OLD], None, START - timedelta(hours=1)),
        ([OLD], START, START),
        ([START], OLD, START),
        ([START + timedelta(microseconds=1)], OLD, OLD),
        ([START + timedelta(days=9)], None, None),
    ],
)
def test_candidate_is_the_newest_observation_when_it_is_not_ahead_of_the_start(moments, known, expected):
    """Rejections and observations from the future do not count; what is known never gets older."""
    assert checkpoint.newest([item(each) for each in moments], known, started_at=START) == expected


def test_watermark_moves_when_the_last_page_is_reached():
    """The page that completes the slice carries position, validators and the candidate."""
    found = checkpoint.reached(page(position={"offset": 5}, validators={"prefix": "x"}, last=True), OLD)
    assert found == Checkpoint(slice="a.csv", position={"offset": 5}, watermark=OLD, validators={"prefix": "x"})


def test_candidate_waits_in_the_position_when_more_pages_follow():
    """Until the slice is complete the watermark stays; whoever resumes finds the candidate again."""
    found = checkpoint.reached(page(position={"offset": 5}, validators={"prefix": "x"}), OLD)
    assert found is not None
    assert found.watermark is None
    assert checkpoint.pending(found) == OLD
    assert found.position["offset"] == 5


def test_nothing_is_reached_when_a_live_page_is_not_the_last():
    """A page of a moving list is no place to resume from."""
    assert checkpoint.reached(page(validators={"etag": "x"}), OLD) is None


@pytest.mark.parametrize("position", [{}, {"offset": 5}])
def test_nothing_is_pending_when_the_last_read_was_complete(position):
    """Only an interrupted read leaves a candidate behind."""
    assert checkpoint.pending(Checkpoint(slice="", position=position, watermark=OLD)) is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Checkpoint(slice="", position={"offset": 5}, validators={"prefix": "x"}, watermark=OLD), True),
        (Checkpoint(slice="", position={"offset": 6}, validators={"prefix": "x"}), False),
        (Checkpoint(slice="", position={"offset": 5}, validators={"prefix": "y"}), False),
    ],
)
def test_checkpoints_stand_at_the_same_place_when_position_and_validators_agree(other, same):
    """The watermark says nothing about the place."""
    one = Checkpoint(slice="", position={"offset": 5}, validators={"prefix": "x"})
    assert checkpoint.same_place(one, other) is same


def test_watermark_moves_with_every_page_when_the_source_is_sorted():
    """Records in order of time leave nothing older to come."""
    assert checkpoint.reached(page(), OLD, in_order=True) == Checkpoint(slice="a.csv", watermark=OLD)
