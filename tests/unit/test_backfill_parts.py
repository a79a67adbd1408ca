"""The past of listings in slices: which windows, what they are called, what their records become."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro import errors
from kasparro.config import Config
from kasparro.etl import backfill, catalogue, fetch
from kasparro.etl.backfill import Part, Window
from kasparro.etl.readers import json_text
from kasparro.etl.readers.json_history import JsonHistoryReader
from kasparro.model import Checkpoint, Listing, Quote

SOURCES = catalogue.load_all(Config())
ODD = Listing(external_id="a/b [x]:y", symbol="AB", name="A: B")
WEEK = Window(first=date(2026, 1, 1), last=date(2026, 1, 7))
PART = Part(listing=ODD, window=WEEK)
DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(first=DAYS, length=st.integers(0, 5000), days=st.integers(1, 400))
def test_windows_hold_every_day_once_when_a_range_is_split(first, length, days):
    """None is longer than it may be, the newest comes first, and between two there is one second."""
    whole = Window(first=first, last=min(first + timedelta(days=length), date(2100, 1, 1)))
    found = list(backfill.windows(whole, days=days))
    assert (found[-1].first, found[0].last) == (whole.first, whole.last)
    assert all(0 <= (each.last - each.first).days < days for each in found)
    for later, earlier in pairwise(found):
        assert later.begin - earlier.end == timedelta(seconds=1)


def test_parts_go_window_by_window_when_there_are_several_listings():
    """So that the newest days of all come before the older ones of any."""
    listings = [Listing(external_id=id_, symbol=id_, name=id_) for id_ in "ab"]
    names = [part.slice for part in backfill.parts(listings, WEEK, days=4)]
    assert names == [
        "backfill:2026-01-05..2026-01-07:a",
        "backfill:2026-01-05..2026-01-07:b",
        "backfill:2026-01-01..2026-01-04:a",
        "backfill:2026-01-01..2026-01-04:b",
    ]


class Upstream:
    """Gives one answer and remembers what it was asked."""

    def __init__(self, text):
        self.text = text
        self.asked = []

    def get(self, url, params, headers, validators):
        self.asked.append((url, params, headers, validators))
        return fetch.Answer(text=self.text, validators={}, not_modified=False, bytes_read=0)


def read(name, text, *, again=False, **position):
    """The pages of PART at this source, and what the upstream was asked."""
    upstream = Upstream(text)
    reader = JsonHistoryReader(SOURCES[name], catalogue.Endpoint(url="http://x"), upstream.get, part=PART, again=again)
    (slice_name,) = reader.slices()
    return list(reader.read(slice_name, Checkpoint(slice=slice_name, position=position))), upstream.asked


@pytest.mark.parametrize(
    ("name", "path", "bounds"),
    [
        ("coinpaprika", "/tickers/{}/historical", ("start", "end")),
        ("coingecko", "/coins/{}/market_chart/range", ("from", "to")),
    ],
)
def test_upstream_is_asked_for_the_window_when_a_slice_is_new(name, path, bounds):
    """From its first to its last second; an id may hold what an address may not."""
    text = "[]" if name == "coinpaprika" else '{"prices": [], "market_caps": [], "total_volumes": []}'
    (page,), ((url, params, headers, validators),) = read(name, text)
    assert url == "http://x" + path.format("a%2Fb%20%5Bx%5D%3Ay")
    begin, end = (int(datetime(2026, 1, day, tzinfo=UTC).timestamp()) for day in (1, 8))
    assert [params[bound] for bound in bounds] == [str(begin), str(end - 1)]
    assert (headers, validators, page.last, page.position) == ({}, {}, True, {"complete": True})


@pytest.mark.parametrize("again", [False, True])
def test_nobody_is_asked_when_the_slice_is_complete(again):
    """Unless the operator wants it again."""
    pages, asked = read("coinpaprika", "[]", again=again, complete=True)
    assert (len(pages), len(asked)) == (int(again), int(again))


def test_slice_fails_when_its_answer_was_cut_off():
    """As many records as an answer may hold means that some are missing: better none than some."""
    with pytest.raises(errors.SliceError, match="window_days shorter") as caught:
        read("coinpaprika", json.dumps([{}] * 5000))
    assert caught.value.code == "cut_off"


POINT = {"timestamp": "2026-01-02T00:00:00Z", "price": 1.5, "volume_24h": 7, "market_cap": 0}


def test_record_becomes_the_listings_quote_when_it_does_not_say_whose_it_is():
    """Columns of the past are those of any quote; the payload stays what the upstream sent."""
    (page,), _ = read("coinpaprika", json.dumps([POINT]))
    (record,) = page.records
    item = backfill.compile_source(SOURCES["coinpaprika"])(record, page.constants)
    assert (item.external_id, item.symbol, item.name) == (ODD.external_id, "AB", "A: B")
    assert item.payload == json.dumps(POINT)
    assert item.quote == Quote(
        observed_at=datetime(2026, 1, 2, tzinfo=UTC), price_usd=Decimal("1.5"), volume_24h_usd=Decimal(7)
    )


def test_same_record_of_two_listings_has_two_hashes():
    """Two coins may have had the same price at the same time: each keeps its own raw record."""
    normaliser = backfill.compile_source(SOURCES["coinpaprika"])
    (record,) = json_text.records(json.dumps([POINT]), "")
    others = {**PART.constants, "external_id": "other"}
    assert normaliser(record, PART.constants).content_hash != normaliser(record, others).content_hash


def test_lists_of_pairs_become_a_record_a_time_when_they_are_joined():
    """A list may lack a time, or hold what is no pair; digits stay as they came."""
    text = '{"prices": [[2, 1.50], [1, 3e-7], "x"], "deep": {"caps": [[1, 10], [3, null], [1, 11]]}}'
    found = json_text.joined(text, {"price": "prices", "cap": "deep.caps"})
    assert [each.payload for each in found] == [
        '{"time":2,"price":1.50}',
        '{"time":1,"price":3E-7,"cap":11}',
        '{"time":3,"cap":null}',
        '"x"',
    ]
    assert found[1].fields == {"time": Decimal(1), "price": Decimal("3e-7"), "cap": Decimal(11)}
    assert found[3].defect is not None


PAIR = st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([[]]), max_size=3)


@given(st.lists(PAIR | st.integers() | st.text(), max_size=8))
def test_joining_gives_records_when_lists_hold_anything(pairs):
    """Never an exception; every record is JSON that can be kept."""
    text = json.dumps({"prices": pairs})
    source = SOURCES["coingecko"]
    normaliser = backfill.compile_source(source)
    for record in json_text.joined(text, {"price": "prices"}):
        json.loads(record.payload, parse_constant=pytest.fail)
        item = normaliser(record, PART.constants)
        assert (item.quote is None) != (item.rejection is None)
