"""A source that is asked for what is new: from its watermark, and as far back as its lookback says."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from attrs import evolve
from etl_fixtures import HOUR, NOON, page, record, source
from werkzeug import Response

from kasparro.etl.source import FieldMap, Http, Order, Paging, Since
from kasparro.model import RunStatus
from kasparro.upstream.options import EPOCH, Options
from kasparro.upstream.server import UpstreamServer

pytest_plugins = ("etl_checks",)

# The stand-in's clock is set by ticks of an hour; the free plan gives hours of the last day.
TICK_SECONDS = 3600
DAY_TICKS = 24


@pytest.fixture
def upstream():
    """A stand-in at the end of its tenth day."""
    options = Options(tick=10 * DAY_TICKS, tick_seconds=TICK_SECONDS, coinpaprika_coins=5, coingecko_coins=5)
    with UpstreamServer(options) as server:
        yield server


def hourly(upstream, **since):
    """Bitcoin's price by the hour; `start` of the first read stands in its parameters."""
    fixed = {"external_id": "btc-bitcoin", "symbol": "BTC", "name": "Bitcoin"}
    fields = {name: FieldMap(value=value, type="text") for name, value in fixed.items()}
    fields |= {"observed_at": FieldMap(paths=("timestamp",), type="time")}
    fields |= {"price_usd": FieldMap(paths=("price",), type="number")}
    begin = EPOCH + timedelta(days=9, hours=18)
    http = Http(
        url=upstream.coinpaprika_url,
        path="/tickers/btc-bitcoin/historical",
        params={"interval": "1h", "start": begin.isoformat()},
    )
    return source(order=Order.SORTED, http=http, fields=fields, since=Since(param="start", **since))


def asked_from(upstream):
    """What `start` was in every request."""
    entries = urllib3.request("GET", f"{upstream.control_url}/requests").json()
    return [entry["query"]["start"] for entry in entries]


def test_read_is_widened_and_the_watermark_is_not_moved_by_a_lookback(etl, upstream):
    """What was read before is read again and counts as unchanged; only what is newer moves the watermark."""
    asked = hourly(upstream, format="epoch_seconds", lookback_seconds=2 * 3600)
    newest = EPOCH + timedelta(days=10)
    assert etl.run(of=asked).counts.inserted == 7
    assert etl.value("select watermark from checkpoints") == newest
    before = etl.rows("select * from checkpoints")
    again = etl.run(of=asked)
    assert (again.counts.read, again.counts.unchanged) == (3, 3)
    assert etl.rows("select * from checkpoints") == before
    urllib3.request("POST", f"{upstream.control_url}/tick", json={"tick": 10 * DAY_TICKS + 1})
    moved = etl.run(of=asked)
    assert (moved.counts.read, moved.counts.inserted, moved.counts.unchanged) == (4, 1, 3)
    assert etl.value("select watermark from checkpoints") == newest + HOUR
    first, *others = asked_from(upstream)
    assert datetime.fromisoformat(first) == newest - 6 * HOUR
    assert [datetime.fromtimestamp(int(each), UTC) for each in others] == [newest - 2 * HOUR] * 2


def test_newest_record_is_read_again_when_there_is_no_lookback(etl, upstream):
    """A cursor is inclusive: ties with the watermark are not lost."""
    asked = hourly(upstream)
    etl.run(of=asked)
    again = etl.run(of=asked)
    assert (again.status, again.counts.read, again.counts.unchanged) == (RunStatus.SUCCEEDED, 1, 1)


def test_correction_is_taken_over_when_it_lies_within_the_lookback(etl, upstream):
    """The same key, another value: the last read wins; what lies before the lookback stays as it was."""
    asked = hourly(upstream, lookback_seconds=3600)
    etl.run(of=asked)
    doubled = evolve(asked.fields["price_usd"], scale="2")
    result = etl.run(of=evolve(asked, fields={**asked.fields, "price_usd": doubled}))
    assert (result.counts.read, result.counts.updated) == (2, 2)
    etl.replayable = False


def test_run_is_partial_when_all_that_is_new_is_one_bad_record(etl):
    """What came before was read well; a source that never gave a quote fails, and so does its next look at nothing."""
    asked = source(since=Since(param="since"))
    bad = page(record(at=NOON + HOUR, price="much"))
    assert [etl.run(each, of=asked).status for each in (bad, page())] == [RunStatus.FAILED] * 2
    etl.run(page(record()), of=asked)
    found = [etl.run(each, of=asked) for each in (bad, page())]
    assert [each.status for each in found] == [RunStatus.PARTIAL, RunStatus.SUCCEEDED]
    assert (found[0].error_code, etl.value("select failures from schedules")) == ("rejections", 0)


@pytest.fixture
def growing(httpserver):
    """A list of so many hours, newest first, page by page, and the source that reads two pages of ten of it."""
    hours = []

    def answer(request):
        begin = (int(request.args["page"]) - 1) * 10
        since = datetime.fromisoformat(request.args.get("since", NOON.isoformat()))
        new = [at for number in reversed(hours) if (at := NOON + number * HOUR) >= since]
        rows = [{"id": "btc", "symbol": "B", "name": "B", "at": at.isoformat(), "price": 1} for at in new]
        return Response(json.dumps(rows[begin : begin + 10]))

    httpserver.expect_request("/list").respond_with_handler(answer)
    paging = Paging(param="page", size_param="size", size=10, max_pages=2)
    http = Http(url=httpserver.url_for(""), path="/list", max_retries=0)
    return hours, source(http=http, paging=paging, since=Since(param="since"))


def test_nothing_is_skipped_when_more_is_new_than_the_page_limit_reads(etl, growing):
    """The run fails and the watermark stays, so that all of it is asked for until the limit allows it."""
    hours, asked = growing
    hours += range(15)
    assert etl.run(of=asked).status is RunStatus.SUCCEEDED
    hours += range(15, 60)
    short = etl.run(of=asked)
    assert (short.status, short.error_code, short.counts.read) == (RunStatus.FAILED, "endless", 20)
    assert etl.value("select watermark from checkpoints") == NOON + 14 * HOUR
    whole = etl.run(of=evolve(asked, paging=evolve(asked.paging, max_pages=None)))
    assert (whole.status, whole.counts.read) == (RunStatus.SUCCEEDED, 46)
    assert set(etl.quotes()) == {("btc", NOON + number * HOUR) for number in range(60)}
