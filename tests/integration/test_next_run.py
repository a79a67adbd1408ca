"""When a source is due next, who takes a run that was asked for, and how a run ends that is told to stop."""

import threading
from datetime import UTC, datetime

import pytest
from etl_fixtures import HOUR, LONG, NOON, ListReader, page, record, source

from kasparro import errors
from kasparro.clock import SystemClock
from kasparro.etl import schedule
from kasparro.model import RunStatus, Trigger
from kasparro.store import run_requests, schedules

pytest_plugins = ("etl_checks",)


def next_run(etl):
    """How many seconds from now the source is due, by the database's clock, and its failures in a row."""
    query = "select extract(epoch from next_run_at - clock_timestamp())::float, failures from schedules"
    ((seconds, failures),) = etl.rows(query)
    return seconds, failures


def due_in(etl, interval):
    """Make the made-up source due that far from now."""
    etl.conn.execute(
        """
        insert into schedules (source, next_run_at, slot_at)
        select 'coinpaprika', m.due, m.due from (select now() + %s::interval as due) m
        """,
        [interval],
    )


def test_next_run_is_on_the_grid_when_the_source_was_due(etl):
    """From the moment it was due, not from when the run ended."""
    due_in(etl, "-150 minutes")
    due = etl.value("select next_run_at from schedules")
    result = etl.run(page(record()))
    assert result.status is RunStatus.SUCCEEDED
    assert etl.value("select next_run_at from schedules") == due + 3 * HOUR


def test_next_run_stays_when_somebody_ran_the_source_in_between(etl):
    """A run by hand is no tick of the schedule."""
    due_in(etl, "10 minutes")
    due = etl.value("select next_run_at from schedules")
    etl.run(page(record()))
    assert etl.value("select next_run_at from schedules") == due


@pytest.mark.parametrize("troubles", [[errors.FetchError("no")], [errors.FetchError("no")] * 3, ["stop"]])
def test_grid_stays_when_runs_fail_or_are_interrupted_in_between(etl, troubles):
    """A retry, or a restart, is no tick of the schedule."""
    due_in(etl, "-150 minutes")
    due = etl.value("select next_run_at from schedules")
    for trouble in troubles:
        stop = threading.Event()
        steps = [stop.set, page(record())] if trouble == "stop" else [trouble]
        etl.start(etl.build(ListReader({"": steps})), stop=stop)
        assert etl.value("select next_run_at < %s from schedules", due + 3 * HOUR)
    etl.run(page(record()))
    assert etl.rows("select next_run_at, slot_at, failures from schedules") == [(due + 3 * HOUR, due + 3 * HOUR, 0)]


def test_failed_run_is_tried_again_soon_when_it_keeps_failing(etl):
    """Half a minute, then twice that, never later than the regular time; one success forgets it all."""
    seconds = []
    for _ in range(3):
        etl.conn.execute("update schedules set next_run_at = now()")
        etl.run(errors.FetchError("no"))
        seconds.append(round(next_run(etl)[0], -1))
    assert seconds == [30, 60, 120]
    assert next_run(etl)[1] == 3
    etl.conn.execute("update schedules set next_run_at = now()")
    etl.run(page(record()))
    assert (round(next_run(etl)[0], -2), next_run(etl)[1]) == (3600, 0)


def test_schedule_row_remembers_how_runs_went_when_they_ended(etl):
    """The last run, the last good one and the last bad one."""
    etl.run(page(record()))
    etl.run(errors.FetchError("no"))
    order = "last_success_at < last_failure_at, last_run_at >= last_success_at"
    query = f"select last_status, {order} from schedules"
    assert etl.rows(query) == [("failed", True, True)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_moments_are_in_utc_when_the_database_speaks_another_time_zone(etl, zone):
    """Whatever zone the session has: arithmetic in another one would follow its summer time."""
    name = etl.value("select current_database()")
    etl.conn.execute(f"alter database {name} set timezone = '{zone}'")
    try:
        etl.database.close()
        etl.database.open(etl.dsn)
        etl.run(page(record(at="2026-07-01T12:00:00")), of=source(schedule=schedule.parse("0 12 * * *")))
        with etl.database.connection() as conn:
            assert schedules.lock(conn, "coinpaprika").next_run_at.tzinfo is UTC
    finally:
        etl.conn.execute(f"alter database {name} reset timezone")
    assert etl.value("select next_run_at at time zone 'utc' from schedules").hour == 12
    assert set(etl.quotes()) == {("btc", datetime(2026, 7, 1, 12, tzinfo=UTC))}


def run_scheduled(etl):
    """A scheduled run of the made-up source."""
    runner = etl.build(ListReader({"": [page(record())]}))
    return runner.run(source(), trigger=Trigger.SCHEDULE, stop=threading.Event())


def test_scheduled_run_does_nothing_when_the_source_is_not_due(etl):
    """Somebody else was faster; no run record is left."""
    due_in(etl, "1 minute")
    assert run_scheduled(etl) is None
    assert etl.rows("select * from runs") == []
    assert etl.rows("select holder, lease_until from leases") == [(None, None)]


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.CLI])
def test_queued_run_is_adopted_when_somebody_runs_the_source(etl, trigger):
    """Its number and trigger stay; nobody waits for it in vain."""
    queued = run_requests.insert_queued(etl.conn, source="coinpaprika", config_fingerprint="old", idempotency_key="k")
    result = etl.start(etl.build(ListReader({"": [page(record())]})), trigger=trigger)
    assert result.run_id == queued.run_id
    assert etl.run_row(result.run_id, "status", "trigger", "config_fingerprint") == (
        "succeeded", "api", source().fingerprint,
    )  # fmt: skip


def test_nothing_begins_when_told_to_stop_before(etl):
    """No run, no lease."""
    stop = threading.Event()
    stop.set()
    result = etl.build(ListReader({"": [page(record())]})).run
    etl.conn.execute(
        "insert into leases (key, epoch, holder, lease_until) values ('coinpaprika', 1, 'x', now() + interval '1 hour')"
    )
    with pytest.raises(errors.StoppedError):
        result(source(), trigger=Trigger.CLI, stop=stop)
    assert etl.rows("select * from runs") == []


def stopping_run(etl, pages, stop):
    """A run that stops: its result, and the seconds that it took from being told to its end."""
    told = []
    runner = etl.build(ListReader({"": pages}))
    threading.Thread(target=lambda: (stop.wait(LONG), told.append(SystemClock().monotonic())), daemon=True).start()
    result = etl.start(runner, stop=stop)
    return result, SystemClock().monotonic() - told[0]


def test_run_is_interrupted_and_due_at_once_when_told_to_stop(etl):
    """The batch that is committed stays, the source keeps its failures, and the next run says what it resumes."""
    stop = threading.Event()
    first, _ = stopping_run(etl, [page(record("a"), last=False), etl.after(1, stop.set), page(record("b"))], stop)
    assert (first.status, first.error_code) == (RunStatus.INTERRUPTED, "interrupted")
    assert ("a", NOON) in etl.quotes()
    assert next_run(etl)[0] <= 0
    assert next_run(etl)[1] == 0
    second = etl.run(page(record("a"), last=False), page(record("b")))
    assert etl.run_row(second.run_id, "status", "resumed_from") == ("succeeded", first.run_id)
    third = etl.run(page(record("b")))
    assert etl.run_row(third.run_id, "resumed_from") == (None,)


def test_run_ends_soon_when_told_to_stop_while_an_upstream_is_silent(etl):
    """Nobody waits for an answer that nobody wants any more."""
    stop, answer = threading.Event(), threading.Event()

    def silent():
        stop.set()
        answer.wait(LONG)

    result, seconds = stopping_run(etl, [silent, page(record())], stop)
    answer.set()
    assert result.status is RunStatus.INTERRUPTED
    assert seconds < 5.0
