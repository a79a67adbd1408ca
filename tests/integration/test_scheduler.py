"""What is due or queued runs, once, beside the others, and stops when told to: decided by rows, not by processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attrs import evolve
from etl_fixtures import LONG, NOON, ListReader, page, record, source, wait_until

from kasparro.etl import schedule, tenure
from kasparro.etl.faults import NoFaults
from kasparro.etl.scheduler import Scheduler
from kasparro.model import Trigger
from kasparro.store import db, run_requests

pytest_plugins = ("etl_checks",)

HOURLY = {name: source(name) for name in ("coingecko", "coinpaprika", "csv")}


@contextmanager
def scheduling(etl, sources=HOURLY, reader=None, **settings) -> Iterator[Scheduler]:
    """A scheduler of these sources at work; stopped afterwards."""
    made = Scheduler(etl.build(reader or ListReader({"": [page(record())]}), **settings), sources, etl.clock)
    made.start()
    try:
        yield made
    finally:
        made.stop(seconds=LONG)


def statuses(etl, name="coinpaprika"):
    """How the runs of a source stand, oldest first."""
    return [status for (status,) in etl.rows("select status from runs where source = %s order by id", name)]


def queue(etl, name="coinpaprika"):
    """Ask for a run; its number."""
    asked = run_requests.insert_queued(etl.conn, source=name, config_fingerprint="x", idempotency_key=None)
    return asked.run_id


def due_in(etl, interval, name):
    """Make a source due that far from now."""
    etl.conn.execute(
        """
        insert into schedules (source, next_run_at, slot_at)
        select %s, m.due, m.due from (select now() + %s::interval as due) m
        """,
        [name, interval],
    )


def ended(etl):
    """How many runs ended how."""
    return dict(etl.rows("select status, count(*) from runs group by 1"))


def test_new_sources_run_at_once_when_scheduling_begins(etl):
    """Each of them once; then they are due by their schedule."""
    with scheduling(etl):
        wait_until(lambda: etl.value("select count(*) from runs where status = 'succeeded'") == 3, what="three runs")
    assert etl.rows("select source, trigger from runs order by source") == [
        (name, "schedule") for name in sorted(HOURLY)
    ]
    assert (
        etl.value("select count(*) from schedules where next_run_at between now() and now() + interval '1 hour'") == 3
    )


def test_disabled_source_never_runs_when_scheduling_begins(etl):
    """Nor is it in anybody's plan."""
    with scheduling(etl, {"csv": source("csv"), "coingecko": source("coingecko", enabled=False)}):
        wait_until(lambda: statuses(etl, "csv") == ["succeeded"], what="the other one ran")
    assert etl.rows("select source from schedules") == [("csv",)]


def test_queued_run_begins_within_a_second_when_somebody_asks(etl):
    """With and without a nudge; its number is the one that was given out."""
    due_in(etl, "1 hour", "coinpaprika")
    with scheduling(etl, {"coinpaprika": source()}) as scheduler:
        wait_until(lambda: scheduler.state().alive, what="it looks")
        for nudge in (True, False):
            run_id = queue(etl)
            if nudge:
                scheduler.wake()
            wait_until(lambda number=run_id: etl.run_row(number, "status") == ("succeeded",), what="it ran")
    waited = etl.rows("select extract(epoch from started_at - created_at)::float, trigger from runs")
    assert [trigger for _, trigger in waited] == ["api", "api"]
    assert max(seconds for seconds, _ in waited) < 1.0


def test_each_tick_is_one_run_when_two_schedulers_look(etl):
    """A tick a second, and never two runs in one slot of the grid."""
    every_second = {"coinpaprika": source(schedule=schedule.parse("every 1s"))}
    with scheduling(etl, every_second, holder="a"), scheduling(etl, every_second, holder="b"):
        wait_until(lambda: statuses(etl).count("succeeded") >= 4, what="four runs")
        grid = etl.value("select slot_at from schedules")
    slots = etl.rows("select floor(extract(epoch from started_at - %s)) from runs where status = 'succeeded'", grid)
    assert len(set(slots)) == len(slots)
    assert set(statuses(etl)) <= {"succeeded", "interrupted"}


def test_restart_neither_skips_nor_doubles_when_nothing_is_due(etl):
    """What is due stands in the database, not in the process."""
    runner, looks = etl.build(ListReader({"": [page(record())]})), threading.Semaphore(0)
    list_due = runner.list_due
    runner.list_due = lambda names: (list_due(names), looks.release())[0]
    for expected in (1, 1, 2):
        if expected == 2:
            etl.conn.execute("update schedules set next_run_at = now() - interval '1 second', slot_at = now()")
        made = Scheduler(runner, {"coinpaprika": source()}, etl.clock)
        made.start()
        assert looks.acquire(timeout=LONG)
        wait_until(lambda number=expected: statuses(etl) == ["succeeded"] * number, what="as many runs as ticks")
        made.wake()
        assert looks.acquire(timeout=LONG)
        made.stop(seconds=LONG)
    assert statuses(etl) == ["succeeded"] * 2


def test_missed_ticks_are_one_run_when_the_service_was_away(etl):
    """And the grid stays."""
    due_in(etl, "-5 hours -1 min", "coinpaprika")
    due = etl.value("select next_run_at from schedules")
    with scheduling(etl, {"coinpaprika": source()}):
        wait_until(lambda: statuses(etl) == ["succeeded"], what="it ran")
    assert etl.value("select next_run_at - %s = interval '6 hours' from schedules", due)


def test_known_source_is_due_within_its_interval_when_its_schedule_became_shorter(etl):
    """A source that ran daily until now and runs hourly from now on does not wait for tomorrow."""
    due_in(etl, "20 hours", "coinpaprika")
    with scheduling(etl, {"coinpaprika": source()}):
        soon = "select next_run_at < now() + interval '61 minutes' from schedules"
        wait_until(lambda: etl.value(soon), what="it is due within the hour")
    assert statuses(etl) == []


class Gate(ListReader):
    """A reader that waits for `open` and says when somebody waits."""

    def __init__(self):
        self.open, self.waiting = threading.Event(), threading.Semaphore(0)
        super().__init__({"": [self._wait, page(record())]})

    def _wait(self):
        self.waiting.release()
        assert self.open.wait(LONG)


def test_sources_run_beside_each_other_when_several_are_due(etl):
    """A slow one holds up nobody; none of them runs twice at a time."""
    gate = Gate()
    with scheduling(etl, reader=gate):
        for _ in HOURLY:
            assert gate.waiting.acquire(timeout=LONG)
        assert etl.rows("select status, count(*) from runs group by 1") == [("running", 3)]
        gate.open.set()
        wait_until(
            lambda: etl.rows("select status, count(*) from runs group by 1") == [("succeeded", 3)], what="all end"
        )


def test_runs_are_interrupted_and_due_at_once_when_scheduling_stops(etl):
    """The one that takes too long is closed for it; nothing stays open."""
    gate = Gate()
    made = Scheduler(etl.build(gate), HOURLY, etl.clock)
    made.start()
    for _ in HOURLY:
        assert gate.waiting.acquire(timeout=LONG)
    made.stop(seconds=LONG)
    gate.open.set()
    assert ended(etl) == {"interrupted": 3}
    assert etl.rows("select next_run_at <= clock_timestamp() from schedules") == [(True,)] * 3
    assert etl.rows("select lease_until from leases") == [(None,)] * 3
    assert not made.state().alive


def test_source_is_tried_again_when_its_holder_died(etl):
    """Not before its lease is over, but before it is due; the run that died is closed as crashed."""
    due_in(etl, "1 hour", "coinpaprika")
    run_id = queue(etl)
    etl.conn.execute(
        """
        insert into leases (key, epoch, holder, run_id, lease_until)
        values ('coinpaprika', 7, 'dead', %s, clock_timestamp() + interval '0.7 seconds')
        """,
        [run_id],
    )
    etl.conn.execute("update runs set status = 'running', epoch = 7, started_at = now()")
    due = etl.value("select next_run_at from schedules")
    with scheduling(etl, {"coinpaprika": source()}):
        wait_until(lambda: statuses(etl) == ["crashed", "succeeded"], what="the next run resumes")
    assert etl.value("select min(started_at) from runs where status = 'succeeded'") >= etl.value(
        "select finished_at from runs where status = 'crashed'"
    )
    assert etl.rows("select next_run_at, failures from schedules") == [(due, 0)]


@pytest.mark.parametrize(("key", "slice_name"), [("coinpaprika", "replay"), ("coinpaprika/backfill:x", "backfill:x")])
def test_dead_run_of_another_kind_is_closed_when_its_source_is_not_due(etl, key, slice_name):
    """It stands in nobody's way any more, and is nobody's reason to read the source."""
    due_in(etl, "1 hour", "coinpaprika")
    settings = tenure.Settings(holder="dead", lease_seconds=0.2, stall_seconds=60.0)
    claim = tenure.Claim(source=source(), key=key, slice=slice_name, trigger=Trigger.CLI)
    tenure.Tenure(etl.database, etl.clock, settings, NoFaults()).claim(claim, threading.Event())
    with scheduling(etl, {"coinpaprika": source()}):
        wait_until(lambda: statuses(etl) == ["crashed"], what="the run is closed")
    assert etl.rows("select run_id, lease_until from leases where key = %s", key) == [(None, None)]


def test_scheduling_goes_on_when_the_database_comes_late(etl):
    """Until then it says that it cannot look, and looks again."""
    late = evolve(etl, database=db.Database(prepare=True, max_size=4))
    with scheduling(late, {"coinpaprika": source()}) as scheduler:
        wait_until(lambda: scheduler.state().alive, what="it looks")
        late.database.open(etl.dsn)
        wait_until(lambda: statuses(etl) == ["succeeded"], what="it ran")
        late.database.close()


def test_quotes_are_there_when_a_scheduled_run_ended(etl):
    """The whole way, once."""
    with scheduling(etl, {"coinpaprika": source()}):
        wait_until(lambda: etl.quotes() == {("btc", NOON): 1}, what="the quote is there")


def test_stop_is_harmless_when_nothing_was_started(etl):
    """A service that never got to its database stops as well."""
    made = Scheduler(etl.build(), HOURLY, etl.clock)
    made.stop(seconds=0.0)
    assert not made.state().alive
