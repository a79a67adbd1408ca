"""Ties, overlaps, versions and pages that shift: read inclusively and written by key, nothing is lost or doubled."""

import itertools
from datetime import timedelta

import pytest
from etl_fixtures import HOUR, NOON, page, record, source

from kasparro.etl.source import Order
from kasparro.model import RunStatus

pytest_plugins = ("etl_checks",)


@pytest.mark.parametrize("order", list(Order))
def test_ties_are_all_there_when_a_page_ends_between_them(etl, order):
    """What is as old as the last record of a page stands on the next one, or comes with the next run."""
    asked = source(order=order)
    first = etl.run(page(record("a"), record("b"), last=False), page(record("b"), record("c")), of=asked)
    assert (first.counts.inserted, first.counts.unchanged) == (3, 1)
    again = etl.run(page(record("c"), record("d")), of=asked)
    assert (again.counts.inserted, again.counts.unchanged) == (1, 1)
    assert set(etl.quotes()) == {(name, NOON) for name in "abcd"}
    assert etl.value("select watermark from checkpoints") == NOON


def test_coin_is_counted_once_as_new_when_the_ranking_moves_under_the_pages(etl):
    """It slides from the first page to the second while they are read, and stands on both."""
    result = etl.run(
        page(record("a"), record("b", rank="2"), last=False),
        page(record("b", rank="3"), record("c")),
    )
    assert (result.counts.read, result.counts.inserted, result.counts.updated) == (4, 3, 1)
    assert etl.value("select rank from quotes q join listings l on l.id = listing_id where external_id = 'b'") == 3


def test_coin_is_there_after_the_next_run_when_it_slid_between_two_pages(etl):
    """From the second to the first, which had been read: this run does not see it, and takes nothing away."""
    etl.run(page(record("a"), record("b"), last=False), page(record("c"), record("d")))
    later = NOON + HOUR
    etl.run(page(record("a", at=later), record("b", at=later), last=False), page(record("d", at=later)))
    assert etl.value("select count(*) from latest_quotes") == 4
    etl.run(page(record("a", at=later), record("c", at=later), last=False), page(record("b", at=later)))
    assert {name for name, at in etl.quotes() if at == later} == set("abcd")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_versions_end_as_quotes_of_their_own_times_when_they_come_in_any_order(etl, order):
    """An upstream's nodes disagree: what is older is stored beside, never instead, and never the latest."""
    versions = [record(at=NOON + timedelta(minutes=number), price=str(number + 1)) for number in range(3)]
    for number in order:
        assert etl.run(page(versions[number])).status is RunStatus.SUCCEEDED
    assert etl.quotes() == {("btc", NOON + timedelta(minutes=number)): number + 1 for number in range(3)}
    assert etl.value("select observed_at from latest_quotes") == NOON + timedelta(minutes=2)
    assert etl.value("select watermark from checkpoints") == NOON + timedelta(minutes=2)
