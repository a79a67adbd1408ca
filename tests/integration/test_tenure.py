"""Who may write for a source: one at a time, proven to Postgres, and given up when nothing moves."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve
from etl_fixtures import LONG, NOON, ListReader, page, record, source, wait_until
from wire import Wire

from kasparro import errors
from kasparro.etl import tenure
from kasparro.etl.faults import Fault, Injector, NoFaults
from kasparro.model import LIVE, RunStatus, Trigger
from kasparro.store import db, leases
from kasparro.watchdog import Watchdog

pytest_plugins = ("etl_checks",)

# Seconds. As short as a lease can be without a slow machine losing it between two batches.
LEASE = 1.0


def dead_holder(etl, seconds=LEASE):
    """A run whose process died right after it began, holding the lease for that long."""
    settings = tenure.Settings(holder="dead", lease_seconds=seconds, stall_seconds=60.0)
    claim = tenure.Claim(source=source(), key="coinpaprika", slice=LIVE, trigger=Trigger.CLI)
    claimed = tenure.Tenure(etl.database, etl.clock, settings, NoFaults()).claim(claim, threading.Event())
    assert claimed is not None
    return claimed


class Blocked:
    """A run in a thread whose reader waits, after its first page, until told to go on."""

    def __init__(self, etl, **settings):
        self.reached, self.go_on = threading.Event(), threading.Event()
        pages = [page(record("a"), last=False), self._wait, page(record("b", price="9"))]
        self._runner = etl.build(ListReader({"": pages}), holder="blocked", **settings)
        self._pool = ThreadPoolExecutor(1)
        self._etl = etl

    def _wait(self):
        self.reached.set()
        assert self.go_on.wait(LONG)

    def __enter__(self):
        self.run = self._pool.submit(self._etl.start, self._runner)
        assert self.reached.wait(LONG)
        wait_until(lambda: self._etl.quotes(), what="the first page is committed")
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self._pool.shutdown()


def test_second_run_is_busy_when_the_first_renews_its_lease(etl):
    """The heartbeat renews it even while an upstream takes its time."""
    with Blocked(etl, lease_seconds=LEASE):
        with pytest.raises(errors.BusyError, match="blocked is at it"):
            etl.run(page(record()), lease_seconds=LEASE)
        assert etl.rows("select status from runs") == [("running",)]


def test_dead_holders_run_is_closed_as_crashed_when_its_lease_is_over(etl):
    """The next run waits for that, takes over and says which run it resumes."""
    dead, _ = dead_holder(etl)
    result = etl.run(page(record()), lease_seconds=LEASE)
    names = ("status", "error_code", "finished_at is not null and started_at < finished_at")
    query = f"select {', '.join(names)} from runs where id = %s"
    assert etl.rows(query, dead.id) == [("crashed", "crashed", True)]
    assert etl.run_row(result.run_id, "status", "resumed_from") == ("succeeded", dead.id)
    assert etl.rows("select failures, last_status, last_failure_at is not null from schedules") == [
        (0, "succeeded", True)
    ]


def test_crash_counts_as_a_failure_when_the_upstream_wants_to_be_left_alone(etl):
    """Whoever finds it closes it, even when there is nothing else to do yet."""
    dead_holder(etl, seconds=0.5)
    etl.conn.execute(
        "update schedules set next_run_at = t.at, blocked_until = t.at from (select now() + interval '1 hour' as at) t"
    )
    wait_until(lambda: etl.value("select lease_until < clock_timestamp() from leases"), what="the lease is over")
    runner = etl.build(ListReader({"": [page(record())]}))
    assert runner.run(source(), trigger=Trigger.SCHEDULE, stop=threading.Event()) is None
    assert etl.rows("select status from runs") == [("crashed",)]
    assert etl.rows("select failures, last_status from schedules") == [(1, "crashed")]
    assert runner.list_due(["coinpaprika"]) == []


def test_holder_commits_nothing_more_when_its_lease_was_taken_over(etl):
    """Asleep past its lease, it finds another epoch at the fence; its run was closed for it."""
    with Blocked(etl, lease_seconds=LONG) as asleep:
        etl.conn.execute("update leases set lease_until = clock_timestamp()")
        result = etl.run(page(record("a"), record("b")), holder="other")
        asleep.go_on.set()
        with pytest.raises(errors.LeaseLostError) as lost:
            asleep.run.result(LONG)
    assert etl.quotes() == {("a", NOON): 1, ("b", NOON): 1}
    assert etl.rows("select id, status, holder, records_read from runs order by id") == [
        (lost.value.run_id, "crashed", "blocked", 1),
        (result.run_id, "succeeded", "other", 2),
    ]


def test_run_notices_the_loss_by_itself_when_its_heartbeat_does(etl):
    """Without another batch, as soon as the lease cannot be renewed."""
    with Blocked(etl, lease_seconds=LEASE) as robbed:
        etl.conn.execute("update leases set epoch = epoch + 1")
        with pytest.raises(errors.LeaseLostError):
            robbed.run.result(LONG)
    assert etl.rows("select status from runs") == [("running",)]


def test_run_ends_as_stalled_when_nothing_moves(etl):
    """By itself, whatever its reader waits for; then nothing is in the way of the next run, which resumes it."""
    with Blocked(etl, lease_seconds=LEASE, stall_seconds=0.2) as hanging:
        stalled = hanging.run.result(LONG)
        assert etl.rows("select run_id, lease_until from leases") == [(None, None)]
        result = etl.run(page(record("a"), record("b")), lease_seconds=LEASE)
    assert (stalled.status, stalled.error_code) == (RunStatus.CRASHED, "stalled")
    assert stalled.error_message == "coinpaprika: no sign of life for 0.2 s (KASPARRO_STALL_SECONDS)"
    told = etl.run_row(stalled.run_id, "status", "error_code", "error_message")
    assert told == ("crashed", "stalled", stalled.error_message)
    assert etl.run_row(result.run_id, "status", "resumed_from") == ("succeeded", stalled.run_id)
    assert result.counts.inserted == 1


@pytest.mark.parametrize("lost", [False, True], ids=["known", "acknowledgement-lost"])
def test_run_that_hangs_over_its_end_is_stalled_too(etl, lost, monkeypatch):
    """The fault fires in the transaction that ends it; the second time it is written, once."""
    end, calls = tenure.Tenure.end, []

    def lose_first(self, job, ending):
        result = end(self, job, ending)
        calls.append(result)
        if lost and len(calls) == 1:
            raise errors.DatabaseUnavailableError("the acknowledgement is lost")
        return result

    monkeypatch.setattr(tenure.Tenure, "end", lose_first)
    fault, firings = Fault(source="coinpaprika", stage="finish", kind="hang"), iter([True])
    hang = Injector(faults=[fault], remember=lambda *_: next(firings, False), disconnect=lambda _: None)
    result = etl.run(page(record()), lease_seconds=LEASE, stall_seconds=0.2, faults=hang)
    assert (result.status, result.error_code) == (RunStatus.CRASHED, "stalled")
    assert etl.rows("select status, runs from run_totals") == [("crashed", 1)]


@pytest.fixture
def wired(etl):
    """Pipelines whose wire to Postgres can be frozen, and that wire."""
    patience = db.Patience(watchdog=Watchdog(etl.clock), seconds=LEASE)
    with Wire(etl.dsn) as wire:
        database = db.Database(prepare=True, max_size=4, patience=patience)
        database.open(wire.dsn)
        yield evolve(etl, database=database), wire
        wire.cut()
        database.close()


@pytest.mark.parametrize("pages_after", [0, 1], ids=["while-reading", "while-loading"])
def test_run_ends_when_the_database_says_nothing_any_more(wired, pages_after):
    """Neither Postgres nor the network ends the wait: when the lease must be over, the run is."""
    silent, wire = wired
    go_on = threading.Event()

    def freeze():
        wire.freeze()
        if not pages_after:
            go_on.wait(LONG)

    pages = [page(record("a"), last=False), silent.after(1, freeze), *[page(record("b"))] * pages_after]
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(silent.run, *pages, lease_seconds=LEASE)
        # Its own transaction may be given up a moment before the heartbeat is.
        with pytest.raises((errors.LeaseLostError, errors.DatabaseUnavailableError)):
            run.result(LONG)
        go_on.set()
    assert set(silent.quotes()) == {("a", NOON)}
    assert silent.rows("select status from runs") == [("running",)]


def test_one_of_many_runs_the_source_when_they_start_together(etl):
    """By schedule, each tick is one run, however many look at it."""
    etl.conn.execute("insert into schedules (source, next_run_at) values ('coinpaprika', now())")
    together = threading.Barrier(6)

    def start(number):
        runner = etl.build(ListReader({"": [page(record())]}), holder=f"h{number}")
        together.wait(LONG)
        return runner.run(source(), trigger=Trigger.SCHEDULE, stop=threading.Event())

    with ThreadPoolExecutor(6) as pool:
        results = [result for result in pool.map(start, range(6)) if result is not None]
    assert [result.status for result in results] == [RunStatus.SUCCEEDED]
    assert etl.value("select count(*) from runs") == 1


def test_runs_follow_each_other_when_asked_for_by_hand_together(etl):
    """Nobody is lost: each either runs in its turn or hears that somebody is at it."""
    together = threading.Barrier(4)

    def start(number):
        runner = etl.build(ListReader({"": [page(record())]}), holder=f"h{number}")
        together.wait(LONG)
        try:
            return etl.start(runner).status
        except errors.BusyError:
            return "busy"

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(start, range(4)))
    assert set(ended) <= {RunStatus.SUCCEEDED, "busy"}
    assert ended.count(RunStatus.SUCCEEDED) == etl.value("select count(*) from runs where status = 'succeeded'") >= 1
    assert etl.value("select count(*) from runs where status <> 'succeeded'") == 0


def test_claim_waits_when_the_holders_transaction_has_the_lease_row(etl):
    """A long batch is no reason to give up: not before it is known whether the lease is renewed."""
    with ThreadPoolExecutor(1) as pool, db.connect(etl.dsn) as holder:
        leases.lock(etl.conn, "coinpaprika")
        with holder.transaction():
            leases.lock(holder, "coinpaprika")
            waiting = pool.submit(etl.run, page(record()), lease_seconds=0.5)
            waited = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            wait_until(lambda: etl.value(waited), what="the claim waits for the row")
            seen = threading.Event()
            etl.clock.wait(seen, 1.0)
            assert not waiting.done()
        assert waiting.result(LONG).status is RunStatus.SUCCEEDED


def test_claim_gives_up_when_the_lease_row_stays_locked(etl, caplog):
    """A session that was forgotten in the middle of its transaction: the log says so, and the source is busy."""
    leases.lock(etl.conn, "coinpaprika")
    with db.connect(etl.dsn) as holder, holder.transaction():
        leases.lock(holder, "coinpaprika")
        with pytest.raises(errors.BusyError, match="cannot be looked at: canceling statement"):
            etl.run(page(record()), lease_seconds=0.3)
    assert caplog.messages.count("claim tried again") >= 1


def test_live_run_that_no_lease_names_is_closed_when_its_source_is_run(etl):
    """Whatever made it so, it would be in the way for ever."""
    dead, _ = dead_holder(etl)
    etl.conn.execute("delete from leases")
    assert etl.build().list_due(["coinpaprika"]) == ["coinpaprika"]
    result = etl.run(page(record()))
    assert etl.run_row(dead.id, "status") == ("crashed",)
    assert (result.status, etl.run_row(result.run_id, "resumed_from")) == (RunStatus.SUCCEEDED, (dead.id,))


def test_abandoned_run_is_interrupted_and_writes_nothing_more_when_its_thread_hangs(etl):
    """What a process does with its runs when it has no more time."""
    with Blocked(etl) as hanging:
        hanging._runner.abandon()
        assert etl.rows("select status, error_code from runs") == [("interrupted", "interrupted")]
        assert etl.value("select next_run_at <= clock_timestamp() from schedules")
        hanging.go_on.set()
        with pytest.raises(errors.LeaseLostError):
            hanging.run.result(LONG)
    assert set(etl.quotes()) == {("a", NOON)}


def test_nothing_is_abandoned_when_nothing_runs(etl):
    """The runs that ended are left as they are."""
    runner = etl.build(ListReader({"": [page(record())]}))
    etl.start(runner)
    runner.abandon()
    assert etl.rows("select status from runs") == [("succeeded",)]
