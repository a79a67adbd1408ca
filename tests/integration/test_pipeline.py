"""One run from its claim to its end: what it writes and what it is called."""

import io
import json
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from etl_fixtures import HOUR, NOON, ListReader, page, record, serve, source

from kasparro import errors, log
from kasparro.model import RunStatus, Trigger
from kasparro.store import db

pytest_plugins = ("etl_checks",)


def test_run_record_tells_what_happened_when_it_ended(etl):
    """Who asked, which settings, how long, what was read and where the source stands."""
    result = etl.run(page(record("btc"), record("eth", price=None)))
    assert (result.status, result.counts.read, result.source) == (RunStatus.SUCCEEDED, 2, "coinpaprika")
    names = (
        "status",
        "trigger",
        "config_fingerprint",
        "batches",
        "records_read",
        "error_code",
        "resumed_from",
        "holder",
    )
    expected = ("succeeded", "cli", source().fingerprint, 1, 2, None, None, "me")
    assert etl.run_row(result.run_id, *names) == expected
    (stages, after) = etl.run_row(result.run_id, "stage_seconds", "checkpoint_after")
    assert set(stages) == {"read", "compare", "normalise", "load", "match"}
    assert after == {"slices": 1, "latest": {"": {"position": {}, "watermark": "2026-01-02T12:00:00Z"}}}


def test_lease_is_free_when_the_run_ended(etl):
    """Its epoch rose twice: nobody who was there may write any more."""
    etl.run(page(record()))
    assert etl.rows("select epoch, holder, run_id, lease_until from leases") == [(2, None, None, None)]


def test_nothing_is_deleted_when_a_source_returns_nothing_or_fails(etl):
    """Neither quotes nor listings nor the checkpoint."""
    etl.run(page(record(), validators={"etag": "1"}))
    before = etl.rows("select position, watermark, validators from checkpoints")
    etl.run(page())
    etl.run(errors.FetchError("gone", code="http_404", retryable=False))
    etl.run(of=source())  # nobody listens at its address
    assert etl.quotes() == {("btc", NOON): 1}
    assert etl.rows("select watermark from checkpoints") == [(before[0][1],)]


def test_first_pages_stay_but_the_watermark_waits_when_a_later_page_fails(etl):
    """Only a complete read of a list without order says how new it is."""
    result = etl.run(page(record("a"), last=False), errors.FetchError("no", code="http_500"))
    assert (result.status, result.error_code, result.counts.inserted) == (RunStatus.FAILED, "http_500", 1)
    assert etl.rows("select * from checkpoints") == []
    etl.run(page(record("a"), last=False), page(record("b")))
    assert etl.value("select watermark from checkpoints") == NOON


def test_watermark_never_goes_back_when_older_data_follow(etl):
    """Nor does a complete read without any quote move it."""
    for pages in ([page(record(at=NOON))], [page(record(at=NOON - HOUR))], [page(record(price=None))], [page()]):
        etl.run(*pages)
        assert etl.value("select watermark from checkpoints") == NOON


@pytest.mark.parametrize(
    ("good", "bad", "status", "message"),
    [
        (2, 0, RunStatus.SUCCEEDED, None),
        (1, 1, RunStatus.PARTIAL, "broken 0"),
        (0, 2, RunStatus.FAILED, "broken 0 (and 1 more)"),
        (0, 0, RunStatus.SUCCEEDED, None),
    ],
)
def test_run_is_called_by_its_slices_when_some_of_them_fail(etl, good, bad, status, message):
    """One bad file leaves the others alone; the first error is the run's, and says how many there were."""
    broken = {f"a{number}": [errors.SliceError(f"broken {number}", code="bad_header")] for number in range(bad)}
    whole = {f"b{number}": [page(record(f"c{number}"), slice_name=f"b{number}")] for number in range(good)}
    result = etl.start(etl.build(ListReader({**broken, **whole})))
    assert result.status is status
    assert (result.error_code, result.error_message) == ("bad_header" if bad else None, message)
    assert len(etl.quotes()) == good


def test_pages_before_the_error_are_stored_when_a_slice_fails_in_the_middle(etl):
    """And the next slice is read from its own beginning."""
    first = page(record("a"), slice_name="x", last=False, position={"offset": 9})
    reader = ListReader({"x": [first, errors.SliceError("broken")], "y": [page(record("b"), slice_name="y")]})
    assert etl.start(etl.build(reader)).status is RunStatus.PARTIAL
    assert set(etl.quotes()) == {("a", NOON), ("b", NOON)}
    assert etl.rows("select slice, position ->> 'offset' from checkpoints order by 1") == [("x", "9"), ("y", None)]


def test_run_failed_and_says_so_when_a_reader_has_a_bug(etl, caplog):
    """The log has the traceback, the record no detail, and the source is tried again."""
    result = etl.run(page(record("a"), last=False), ZeroDivisionError("oops"))
    assert (result.status, result.error_code) == (RunStatus.FAILED, "internal_error")
    assert "oops" not in result.error_message
    (logged,) = [line for line in caplog.records if line.exc_info]
    assert logged.exc_info[0] is ZeroDivisionError
    assert etl.value("select failures from schedules") == 1


@pytest.mark.parametrize("said", ["a\x00b", "\udcff\ufeff", "x" * 100_000, "", "snow ☃"])
def test_end_is_written_when_the_error_says_anything(etl, said):
    """What an upstream or a file made it say may be no text that Postgres takes."""
    for kind in (errors.SliceError, errors.FetchError):
        result = etl.run(kind(said))
        assert etl.run_row(result.run_id, "status") == ("failed",)
        assert len(etl.run_row(result.run_id, "error_message")[0]) <= 10_000


def test_run_failed_when_its_table_is_missing(etl):
    """A source that was never migrated: Postgres' words, and nothing half done."""
    result = etl.run(page(record()), of=source("nobody"))
    assert (result.status, result.error_code) == (RunStatus.FAILED, "database")
    assert "partition" in result.error_message
    assert etl.value("select count(*) from listings") == 0


ONE = json.dumps([{"id": "btc", "symbol": "btc", "name": "B", "at": NOON.isoformat(), "price": 1.5}])


def test_traffic_is_counted_when_an_upstream_is_asked(etl, httpserver):
    """Requests, bytes, and how often it was too much."""
    asked = serve(httpserver, (ONE, {}), ("slow down", {"status": 429}))
    good, bad = etl.run(of=asked), etl.run(of=asked)
    assert (good.traffic.requests, good.traffic.bytes_read, good.traffic.throttled) == (1, len(ONE), 0)
    assert (bad.status, bad.error_code, bad.traffic.requests, bad.traffic.throttled) == (
        RunStatus.FAILED,
        "http_429",
        1,
        1,
    )
    assert etl.rows("select requests, throttled, bytes_read from source_totals") == [(2, 1, len(ONE))]


def test_no_batch_is_written_when_the_upstream_says_not_modified(etl, httpserver):
    """The validators of the last complete read go with the request."""
    asked = serve(httpserver, (ONE, {"headers": {"ETag": '"v1"'}}), ("", {"status": 304}))
    etl.run(of=asked)
    before = etl.writes()
    result = etl.run(of=asked)
    assert httpserver.log[1][0].headers["If-None-Match"] == '"v1"'
    assert (result.status, result.counts.read) == (RunStatus.SUCCEEDED, 0)
    assert etl.run_row(result.run_id, "batches") == (0,)
    assert etl.writes() == before


def test_lines_carry_run_source_and_stage_when_a_run_logs(etl):
    """Those of the thread that reads as well; the last says how long each stage took."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (list(root.handlers), root.level)
    log.configure(secrets=[], stream=stream)
    try:
        result = etl.run(lambda: logging.getLogger("kasparro.test").info("reading"), page(record()))
    finally:
        root.handlers[:], root.level = before[0], before[1]
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    stages = {line["message"]: line.get("stage") for line in lines}
    assert stages == {"run started": None, "reading": "read", "batch committed": "load", "run ended": None}
    assert set(lines[-1]["stage_seconds"]) == {"read", "compare", "normalise", "load", "match"}
    assert (lines[-1]["read"], lines[-1]["requests"], lines[-1]["seconds"] >= 0) == (1, 0, True)
    assert {(line["run_id"], line["source"]) for line in lines} == {(result.run_id, "coinpaprika")}


def test_watcher_sees_the_run_move_when_batches_commit(etl):
    """For whoever looks at a terminal."""
    seen = []
    runner = etl.build(ListReader({"": [page(record("a"), record("b"), last=False), page(record("c"))]}))
    runner.run(source(), trigger=Trigger.CLI, stop=threading.Event(), watch=seen.append)
    assert [each.records_read for each in seen] == [2, 3]


def test_error_is_plain_when_the_database_was_never_opened(etl):
    """A run before the service has its database is refused, not lost."""
    closed = evolve_database(etl)
    with pytest.raises(errors.DatabaseUnavailableError):
        closed.run(page(record()))


def evolve_database(etl):
    """The same with a database that nobody opened."""
    made = type(etl)(dsn=etl.dsn, conn=etl.conn, database=db.Database(prepare=True, max_size=2))
    made.http = etl.http
    return made


def test_future_watermark_is_capped_when_the_source_is_ahead_of_its_time(etl):
    """A stamp of tomorrow must not hide what comes today."""
    etl.run(page(record("a", at=datetime.now(UTC) + timedelta(days=2)), record("b", at=NOON)))
    assert etl.value("select watermark from checkpoints") == NOON
