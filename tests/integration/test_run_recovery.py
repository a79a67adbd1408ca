"""Bad luck in the middle of a run: the tables end up as after one undisturbed run, and every record is counted once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from etl_fixtures import LONG, NOON, ListReader, page, record, wait_until

from kasparro import errors
from kasparro.model import RunStatus
from kasparro.store import batches, db

pytest_plugins = ("etl_checks",)

PAGES = [page(record(f"c{number}"), record(f"d{number}", price="dear"), last=number == 4) for number in range(5)]


class UnluckyDatabase(db.Database):
    """Loses the acknowledgement of the commits numbered in `lost`: they happened, and an error is raised.

    When `dead` is set it answers nothing any more, as for a process that is gone.
    """

    def __init__(self, lost=()):
        super().__init__(prepare=True, max_size=8)
        self.dead = threading.Event()
        self._lost = lost
        self._commits = 0

    @contextmanager
    def connection(self, **options):
        if self.dead.is_set():
            raise errors.DatabaseUnavailableError("nobody answers")
        with super().connection(**options) as conn:
            yield conn

    @contextmanager
    def transaction(self, *, timeout_seconds=5.0):
        with super().transaction(timeout_seconds=timeout_seconds) as conn:
            yield conn
        if not threading.current_thread().name.startswith("heartbeat"):
            self._commits += 1
            if self._commits in self._lost:
                raise errors.DatabaseUnavailableError("the connection broke")


@contextmanager
def unlucky(etl, lost=()):
    """Pipelines made inside run on a database of that kind."""
    sound, etl.database = etl.database, UnluckyDatabase(lost)
    etl.database.open(etl.dsn)
    try:
        yield etl.database
    finally:
        etl.database.close()
        etl.database = sound


@pytest.mark.parametrize("lost", [(2,), (3, 4), (6,), (2, 3, 4, 5, 6), (7,), (8,)])
def test_batch_is_counted_once_when_the_acknowledgement_of_its_commit_is_lost(etl, lost):
    """Commits 2 to 6 are the batches, 7 and 8 match; the batch asks the database what it has before it tries again."""
    with unlucky(etl, lost):
        result = etl.run(*PAGES)
    assert (result.counts.read, result.counts.inserted, result.counts.rejected) == (10, 5, 5)
    assert etl.rows("select attempts from rejections") == [(1,)] * 5
    assert etl.run_row(result.run_id, "batches", "status") == (5, "partial")


class During:
    """Does something in every batch at this stage."""

    def __init__(self, stage, action):
        self._stage, self._action = stage, action

    def hit(self, place, *, wait, conn=None):
        if (place.stage, place.moment) == (self._stage, "before"):
            self._action(place)
        return False


def test_traffic_is_counted_once_when_the_run_stops_before_it_hears_of_its_commit(etl):
    """What was asked of the upstream for a batch belongs to it when the database has it, else to the run's end."""
    for lost in ((2,), ()):
        stop, reader = threading.Event(), ListReader({"": [page(record(), bytes_read=100)]})
        with unlucky(etl, lost):
            runner = etl.build(reader, faults=During("commit", lambda _, stop=stop: stop.set()))
            result = etl.start(runner, stop=stop)
        assert (result.status, result.traffic.bytes_read) == (RunStatus.INTERRUPTED, 100)
        assert etl.run_row(result.run_id, "batches") == (1,)


def test_traffic_is_counted_when_a_run_is_abandoned_in_the_middle_of_a_batch(etl):
    """That of its batches, and that of the one which is never committed."""
    reached, go_on = threading.Event(), threading.Event()

    def hang(place):
        if place.batch == 2:
            reached.set()
            assert go_on.wait(LONG)

    first, second = page(record(), bytes_read=100, last=False), page(record("b"), bytes_read=10)
    reader = ListReader({"": [first, etl.after(1, lambda: None), second]})
    runner = etl.build(reader, faults=During("copy", hang))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(etl.start, runner)
        assert reached.wait(LONG)
        runner.abandon()
        go_on.set()
        with pytest.raises(errors.LeaseLostError):
            running.result(LONG)
    assert etl.rows("select status, batches, bytes_read from runs") == [("interrupted", 1, 110)]


def test_end_of_a_run_is_written_once_when_its_acknowledgement_is_lost(etl):
    """It ended: whoever started it hears how, and its totals count one run."""
    with unlucky(etl, (9,)):
        result = etl.run(*PAGES)
    assert (result.status, result.counts.read) == (RunStatus.PARTIAL, 10)
    assert etl.rows("select status, runs from run_totals") == [("partial", 1)]


def test_verdict_is_written_once_when_the_acknowledgement_of_the_end_is_lost(etl):
    """An answer with nothing is judged in commit 3, after the claim and matching; whoever started the run hears it."""
    with unlucky(etl, (3,)):
        result = etl.run(page())
    assert [each.metric for each in result.anomalies] == ["records"]
    assert etl.rows("select metric from anomalies") == [("records",)]
    assert etl.rows("select metric, severity, anomalies from anomaly_totals") == [("records", "alert", 1)]


def test_run_goes_on_when_its_connections_are_cut_in_the_middle(etl):
    """Postgres restarted, or a proxy lost its patience."""

    def cut():
        others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
        wait_until(lambda: etl.value(f"select count(pg_terminate_backend(pid)) {others}"), what="somebody is cut")

    result = etl.run(PAGES[0], cut, PAGES[1], cut, cut, PAGES[2], etl.after(3, cut), PAGES[3], cut, PAGES[4])
    assert (result.status, result.counts.read, result.counts.inserted) == (RunStatus.PARTIAL, 10, 5)


@contextmanager
def locked(etl, statement):
    """Another session that holds what this statement locks."""
    with db.connect(etl.dsn) as other, other.transaction():
        other.execute(statement)
        yield other


WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


def test_batch_is_tried_again_when_a_lock_is_held_too_long(etl, caplog):
    """It gives up before its lease is over, and comes back."""
    etl.run(page(record()))
    with ThreadPoolExecutor(1) as pool:
        with locked(etl, "lock table quotes in share row exclusive mode"):
            running = pool.submit(etl.run, page(record(price="2")), lease_seconds=2.0)
            wait_until(lambda: "transaction tried again" in caplog.messages, what="the batch gives up")
        assert running.result(LONG).counts.updated == 1


def test_batch_is_tried_again_when_it_is_the_victim_of_a_deadlock(etl):
    """The other one has its run's row and wants its lease; Postgres chooses the batch, which waits longer."""
    etl.run(page(record()))
    with ThreadPoolExecutor(1) as pool:
        ready, go_on = threading.Event(), threading.Event()

        def wait():
            ready.set()
            assert go_on.wait(LONG)

        running = pool.submit(etl.run, wait, page(record(price="2")))
        assert ready.wait(LONG)
        with locked(etl, "select id from runs where status = 'running' for update") as other:
            other.execute("set local deadlock_timeout = '20s'")
            go_on.set()
            wait_until(lambda: etl.value(WAITING), what="the batch waits for its run's row")
            other.execute("select key from leases for update")
        result = running.result(LONG)
    assert (result.counts.read, result.counts.updated) == (1, 1)


@pytest.mark.parametrize("refusal", [errors.ConflictError("lost a race"), errors.DatabaseUnavailableError("gone")])
def test_run_fails_when_the_database_stays_away_for_longer_than_a_lease(etl, monkeypatch, refusal):
    """It is retried for that long and not for ever; the run's end says what happened."""

    def refuse(conn, origin, **_):
        raise refusal

    monkeypatch.setattr(batches, "load", refuse)
    result = etl.run(page(record()), lease_seconds=0.5)
    assert (result.status, result.error_code, result.counts.read) == (RunStatus.FAILED, refusal.code, 0)


def crash(etl, pages, slice_name=""):
    """A run that commits these pages and then vanishes without a word, as after kill -9; its lease is over soon."""
    with unlucky(etl) as database:
        runner = etl.build(
            ListReader({slice_name: [*pages, etl.after(len(pages), database.dead.set), page()]}), lease_seconds=0.5
        )
        with pytest.raises((errors.DatabaseUnavailableError, errors.LeaseLostError)):
            etl.start(runner)


@pytest.mark.parametrize("committed", range(5))
def test_tables_are_those_of_one_undisturbed_run_when_a_process_died_anywhere(etl, committed):
    """Whatever it had committed, the next run ends where one alone would have ended."""
    etl.run(*PAGES)
    undisturbed = etl.outcome()
    etl.empty()
    crash(etl, PAGES[:committed])
    result = etl.run(*PAGES)
    assert etl.run_row(result.run_id, "resumed_from") == (1,)
    assert etl.outcome() == undisturbed


def test_slice_goes_on_at_its_position_when_a_process_died_in_it(etl):
    """The candidate of the watermark is found again where the position is."""
    newest = record("a", at=NOON.replace(hour=20))
    first = page(newest, slice_name="f", last=False, position={"offset": 10}, validators={"prefix": "x"})
    crash(etl, [first], "f")
    reader = ListReader({"f": [page(record("b"), slice_name="f", position={"offset": 20}, validators={"prefix": "y"})]})
    etl.start(etl.build(reader))
    assert reader.starts[0].position["offset"] == 10
    assert etl.rows("select position, validators, watermark from checkpoints") == [
        ({"offset": 20}, {"prefix": "y"}, NOON.replace(hour=20))
    ]
