"""What one request may take, and what is asked for each page: decisions that need no network."""

from datetime import UTC, datetime

import pytest
from attrs import evolve

from kasparro.config import Config, Secret
from kasparro.errors import FetchError
from kasparro.etl import catalogue, fetch
from kasparro.etl.readers import json_api
from kasparro.etl.source import Since
from kasparro.model import Checkpoint

SOURCES = catalogue.load_all(Config())
COINGECKO = SOURCES["coingecko"]
KEY = Secret("key-of-nobody-1234")


class Upstream:
    """Answers page after page with the texts given, the last one for ever; keeps what was asked."""

    def __init__(self, *texts, not_modified=False):
        self.asked = []
        self._texts = texts
        self._not_modified = not_modified

    def get(self, url, params, headers, validators):
        """Stands in for the pipeline's own way of asking."""
        text = self._texts[min(len(self.asked), len(self._texts) - 1)]
        self.asked.append((url, dict(params), dict(headers), dict(validators)))
        return fetch.Answer(
            text=text, validators={"etag": "new"}, not_modified=self._not_modified, bytes_read=len(text)
        )


def page(count):
    """An answer of that many records."""
    return "[" + ",".join('{"id": 1}' for _ in range(count)) + "]"


def read(source, upstream, *, validators=None, **endpoint):
    """All pages of the source, read from this upstream."""
    where = catalogue.Endpoint(url=source.http.url, **endpoint)
    start = Checkpoint(slice="", validators=validators or {})
    return list(json_api.JsonApiReader(source, where, upstream.get).read("", start))


def paged(**changes):
    """CoinGecko with pages of two and these changes of its paging."""
    return evolve(COINGECKO, paging=evolve(COINGECKO.paging, size=2, **changes))


def test_limits_are_those_of_the_source_when_asked():
    """Times and size come from its [http] table."""
    source = evolve(COINGECKO, http=evolve(COINGECKO.http, total_timeout_seconds=7.0, max_bytes=99))
    found = fetch.limits_of(source)
    assert (found.connect_seconds, found.read_seconds, found.total_seconds, found.max_bytes) == (10.0, 30.0, 7.0, 99)


def test_whole_list_is_one_page_when_the_source_has_no_paging():
    """Its validators go with the request, and those of the answer with the page."""
    upstream = Upstream(page(3))
    (found,) = read(SOURCES["coinpaprika"], upstream, validators={"etag": "old"})
    assert upstream.asked == [("https://api.coinpaprika.com/v1/tickers", {}, {}, {"etag": "old"})]
    assert (len(found.records), found.validators, found.position, found.last) == (3, {"etag": "new"}, {}, True)


def test_page_is_empty_when_nothing_was_modified():
    """A 304 has no records and deletes nothing."""
    (found,) = read(SOURCES["coinpaprika"], Upstream("", not_modified=True))
    assert (list(found.records), found.last) == ([], True)


def test_key_travels_in_its_header_when_there_is_one():
    """On every page."""
    upstream = Upstream(page(2), page(0))
    read(paged(), upstream, key=KEY, key_header="x-key")
    assert [headers for _, _, headers, _ in upstream.asked] == [{"x-key": KEY.reveal()}] * 2


@pytest.mark.parametrize(
    ("limit", "counts", "order"),
    [
        (4, [2, 2, 1], "market_cap_desc"),
        (2, [2, 2], "market_cap_desc"),
        (1, [2], "market_cap_desc"),
        (None, [2, 2, 2, 0], "id_asc"),
        (None, [1], "id_asc"),
    ],
)
def test_pages_are_read_until_a_short_one_or_the_limit_when_there_are_many(limit, counts, order):
    """Only the last of them ends the slice, and none of them is a place to resume from."""
    upstream = Upstream(*(page(count) for count in counts))
    found = read(paged(max_pages=limit), upstream)
    assert [len(each.records) for each in found] == counts
    assert [each.last for each in found] == [False] * (len(counts) - 1) + [True]
    assert not any(each.position or each.validators for each in found)
    numbers = [str(number) for number in range(1, len(counts) + 1)]
    wanted = [{"vs_currency": "usd", "page": number, "per_page": "2", "order": order} for number in numbers]
    assert [params for _, params, _, _ in upstream.asked] == wanted


def test_reading_ends_with_an_error_when_pages_never_end(monkeypatch):
    """An upstream that repeats itself must not keep a run going for ever."""
    monkeypatch.setattr(json_api, "MAX_PAGES", 5)
    upstream = Upstream(page(2))
    with pytest.raises(FetchError, match="sent 5 full pages and no end"):
        read(paged(max_pages=None), upstream)
    assert len(upstream.asked) == 5


def test_page_is_given_whole_or_not_at_all_when_its_answer_is_bad():
    """What cannot be read to its end gives no record."""
    where = catalogue.Endpoint(url="http://x")
    pages = json_api.JsonApiReader(paged(), where, Upstream(page(2), '[{"id": 1},').get).read("", Checkpoint(slice=""))
    assert len(next(pages).records) == 2
    with pytest.raises(FetchError):
        next(pages)


@pytest.mark.parametrize(
    ("form", "lookback", "expected"),
    [
        ("rfc3339", 0, "2026-01-02T12:00:00.250000Z"),
        ("epoch_seconds", 0, "1767355200"),
        ("epoch_milliseconds", 0, "1767355200250"),
        ("date", 0, "2026-01-02"),
        ("rfc3339", 90.25, "2026-01-02T11:58:30Z"),
        ("date", 86400, "2026-01-01"),
    ],
)
@pytest.mark.parametrize("source", [SOURCES["coinpaprika"], paged()])
def test_read_begins_at_the_watermark_when_the_source_can_be_asked_for_what_is_new(source, form, lookback, expected):
    """Inclusive, moved back by the lookback; the validators of another address are not sent."""
    source = evolve(source, since=Since(param="after", format=form, lookback_seconds=lookback))
    watermark = datetime(2026, 1, 2, 12, 0, 0, 250_000, tzinfo=UTC)
    upstream = Upstream(page(1))
    reader = json_api.JsonApiReader(source, catalogue.Endpoint(url="http://x"), upstream.get)
    (found,) = reader.read("", Checkpoint(slice="", watermark=watermark, validators={"etag": "old"}))
    ((_, params, _, validators),) = upstream.asked
    assert (params["after"], validators, found.validators) == (expected, {}, {})


def test_read_begins_where_its_parameters_say_when_there_is_no_watermark():
    """The first read of all: nothing is new yet."""
    http = evolve(SOURCES["coinpaprika"].http, params={"after": "2026-01-01"})
    source = evolve(SOURCES["coinpaprika"], since=Since(param="after"), http=http)
    upstream = Upstream(page(1))
    read(source, upstream)
    assert upstream.asked[0][1] == {"after": "2026-01-01"}
