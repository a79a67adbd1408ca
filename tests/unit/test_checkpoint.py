"""How far a slice has been read: which pages can be resumed from, and what moves the watermark."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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


MOMENTS = st.none() | st.datetimes(OLD.replace(tzinfo=None), (START + timedelta(days=1)).replace(tzinfo=None)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
PAGES = st.lists(st.lists(MOMENTS, max_size=4), min_size=1, max_size=6)


def read(pages, start, *, moves, in_order, until):
    """The checkpoint after reading on from `start` through at most `until` pages, as a run does it page by page.

    Input that `moves` has no place to resume from: it is read from its first page again.
    """
    now = start
    newest = checkpoint.pending(start)
    begin = 0 if moves else start.position.get("page", 0)
    for number in range(begin, min(len(pages), begin + until)):
        position = {} if moves else {"page": number + 1}
        newest = checkpoint.newest([item(moment) for moment in pages[number]], newest, started_at=START)
        reached = checkpoint.reached(page(position=position, last=number + 1 == len(pages)), newest, in_order=in_order)
        if reached is not None:
            # As the table does it: a watermark never goes back.
            known = [each for each in (now.watermark, reached.watermark) if each is not None]
            now = evolve(reached, watermark=max(known, default=None))
    return now


@given(
    pages=PAGES,
    stops=st.lists(st.integers(0, 3), max_size=6),
    moves=st.booleans(),
    in_order=st.booleans(),
    known=st.none() | st.just(OLD - timedelta(days=1)),
)
def test_checkpoint_is_that_of_an_undisturbed_read_when_it_was_interrupted_anywhere(
    pages, stops, moves, in_order, known
):
    """However often, and whatever the pages hold; on the way the watermark neither goes back nor runs ahead."""
    if in_order:
        moments = sorted((each for page_ in pages for each in page_ if each), key=lambda each: each.timestamp())
        pages = [[each] for each in moments] or [[]]
    begin = Checkpoint(slice="a.csv", watermark=known)
    undisturbed = read(pages, begin, moves=moves, in_order=in_order, until=len(pages))
    now = begin
    for until in stops:
        after = read(pages, now, moves=moves, in_order=in_order, until=until)
        assert known is None or after.watermark >= now.watermark >= known
        assert after.watermark is None or after.watermark <= START
        if not in_order and len(pages) > (0 if moves else now.position.get("page", 0)) + until:
            assert after.watermark == now.watermark
        now = after
        if not moves and now.position.get("page") == len(pages):
            break
    assert read(pages, now, moves=moves, in_order=in_order, until=len(pages)) == undisturbed
