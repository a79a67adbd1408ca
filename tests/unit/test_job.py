"""What a run keeps in mind: signs of life, tallies, and why it must stop."""

import contextlib
import threading
from datetime import UTC, datetime

import pytest

from kasparro.config import Config
from kasparro.errors import LeaseLostError, StoppedError
from kasparro.etl import ahead, catalogue
from kasparro.etl.faults import NoFaults
from kasparro.etl.job import Job, Progress
from kasparro.model import Lease, Run, RunStatus, Trigger
from kasparro.tallies import Traffic

# Seconds. No wait here lasts that long unless something is broken.
LONG = 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self):
        self.seconds = 100.0
        self.waited = []

    def now(self):
        return START

    def monotonic(self):
        return self.seconds

    def wait(self, event, seconds):
        self.waited.append(seconds)
        return event.is_set()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def job(clock, stop):
    run = Run(id=7, source="coingecko", status=RunStatus.RUNNING, trigger=Trigger.CLI, started_at=START)
    lease = Lease(key="coingecko", epoch=1, holder="me", run_id=7)
    source = catalogue.load_all(Config())["coingecko"]
    return Job(run=run, lease=lease, source=source, clock=clock, stop=stop, watch=None, faults=NoFaults())


def test_idle_time_counts_from_the_last_sign_of_life_when_nothing_moves(job, clock):
    """Entering and leaving a stage are such signs."""
    clock.seconds += 5
    assert job.idle_seconds == 5
    with job.stage("read"):
        assert job.idle_seconds == 0
        clock.seconds += 3
        assert job.idle_seconds == 3
    assert job.idle_seconds == 0


def test_stage_seconds_add_up_when_a_stage_is_entered_again(job, clock):
    """Also when it ends with an error."""
    for _ in range(2):
        with job.stage("read"):
            clock.seconds += 2
    with contextlib.suppress(ValueError), job.stage("load"):
        clock.seconds += 1
        raise ValueError
    assert dict(job.seconds) == {"read": 4.0, "load": 1.0}


def test_check_passes_when_nothing_is_wrong(job):
    """Otherwise no run would ever get anywhere."""
    assert job.check() is None


def test_check_raises_when_told_to_stop(job, stop):
    """The run then ends as interrupted."""
    stop.set()
    with pytest.raises(StoppedError):
        job.check()
    with pytest.raises(StoppedError):
        job.pause(1.0)


def test_lost_lease_comes_first_when_told_to_stop_as_well(job, stop):
    """Whoever lost the lease may not write how it ended."""
    stop.set()
    job.lose(LeaseLostError("taken over"))
    with pytest.raises(LeaseLostError):
        job.check()


def test_waiting_reader_is_stopped_when_its_run_failed_elsewhere(job):
    """It asks no upstream for a run that is over; the run itself, and its next slice, may go on."""
    waiting, stopped = threading.Event(), threading.Event()

    def pages():
        yield 1
        waiting.set()
        try:
            while True:
                job.pause(1.0)
        except StoppedError:
            stopped.set()

    read = ahead.ahead(pages(), check=job.check, name="read-test")
    next(read)
    assert waiting.wait(LONG)
    read.close()
    assert stopped.wait(LONG)
    job.check()


def test_traffic_is_taken_once_when_it_was_added(job):
    """Each batch writes what came since the one before."""
    job.add_traffic(Traffic(requests=1, bytes_read=10))
    job.add_traffic(Traffic(requests=1, throttled=1))
    assert job.take_traffic() == Traffic(requests=2, throttled=1, bytes_read=10)
    assert job.take_traffic() == Traffic()


@pytest.mark.parametrize(("committed", "requests"), [(0, 3), (1, 2)])
def test_traffic_of_the_batch_under_way_is_unwritten_when_the_database_has_no_more_batches(job, committed, requests):
    """Whether its commit arrived, the database knows."""
    job.add_traffic(Traffic(requests=1))
    job.take_traffic()
    job.add_traffic(Traffic(requests=2))
    assert job.unwritten_traffic(batches=committed) == Traffic(requests=requests)


def test_no_traffic_is_lost_when_one_thread_reads_while_another_loads(job):
    """Every request is counted once."""
    adding = threading.Thread(target=lambda: [job.add_traffic(Traffic(requests=1)) for _ in range(2000)])
    adding.start()
    taken = 0
    while adding.is_alive():
        taken += job.take_traffic().requests
    adding.join()
    assert taken + job.take_traffic().requests == 2000


def test_watcher_sees_the_sum_when_batches_commit(clock, stop, job):
    """Run, source, slice and how many records so far."""
    seen = []
    watched = Job(
        run=job.run,
        lease=job.lease,
        source=job.source,
        clock=clock,
        stop=stop,
        watch=seen.append,
        faults=NoFaults(),
    )
    watched.note_batch("a.csv", 3)
    watched.note_batch("b.csv", 4)
    assert seen[-1] == Progress(run_id=7, source="coingecko", slice="b.csv", records_read=7)
    assert (len(seen), watched.batches) == (2, 2)
