"""What KASPARRO_FAULTS may say, where each fault fits, and that it happens as often as it is meant to."""

import pytest

from kasparro.errors import DatabaseUnavailableError, FetchError, InjectedError, StoppedError
from kasparro.etl import faults
from kasparro.etl.faults import Injector, Place

SOURCES = ("coingecko", "coinpaprika", "csv")


def problems(text):
    return faults.parse(text, SOURCES)[1]


class Wait:
    """Notes its waits; the one numbered `stopped` is told to stop."""

    def __init__(self, stopped=99):
        self.seconds = []
        self._stopped = stopped

    def __call__(self, seconds):
        self.seconds.append(seconds)
        if len(self.seconds) >= self._stopped:
            raise StoppedError("told to stop")


class Memory:
    """Remembers what fired, as the database does; `away` refuses."""

    def __init__(self):
        self.fired = []
        self.cut = []
        self.away = False

    def remember(self, fault, times, run_id):
        if self.away:
            raise DatabaseUnavailableError("away")
        if sum(name == fault for name, _ in self.fired) >= times:
            return False
        self.fired.append((fault, run_id))
        return True


def injector(text, memory=None):
    found, wrong = faults.parse(text, SOURCES)
    assert wrong == []
    memory = memory or Memory()
    return Injector(faults=found, remember=memory.remember, disconnect=memory.cut.append)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("coinpaprika:load:batch=3:exit", "coinpaprika:load:before:batch=3:exit"),
        ("coingecko:fetch:page=2:http-500:times=4", "coingecko:fetch:before:page=2:http-500:times=4"),
        ("csv:commit:exit:after", "csv:commit:after:exit"),
        ("csv:copy:slow:seconds=0.5", "csv:copy:slow:seconds=0.5"),
        ("csv:read:bad-record:page=1", "csv:read:page=1:bad-record"),
    ],
)
def test_fault_is_read_when_its_parts_come_in_any_order(text, shown):
    """And says itself again as it is remembered."""
    found, wrong = faults.parse(f" {text} ,", SOURCES)
    assert ([str(fault) for fault in found], wrong) == ([shown], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere:load:exit", "no source 'nowhere' (coingecko, coinpaprika, csv)"),
        ("csv:lunch:exit", "no stage 'lunch' (claim, fetch,"),
        ("csv:load:times=2", "says not what is to happen (error, exit, hang, db-disconnect, slow)"),
        ("csv:load:explode", "(before, after, batch=N, times=N, seconds=S, error, exit, hang, db-disconnect, slow)"),
        ("csv:read:explode", "(page=N, times=N, seconds=S, error, exit, hang, db-disconnect, slow, bad-record)"),
        ("csv:load:exit:hang", "exit and hang: only one of them"),
        ("csv:load:http-429", "http-429 can only happen at fetch"),
        ("csv:fetch:bad-record", "bad-record can only happen at read"),
        ("csv:copy:before:exit", "copy has no before and after"),
        ("csv:load:page=1:exit", "load has no page (only fetch, normalise, read)"),
        ("csv:claim:batch=1:exit", "claim has no batch"),
        ("csv:load:batch=0:exit", "must be a whole number from 1"),
        ("csv:load:slow:seconds=never", "from 0 to 86400"),
        ("csv:load:exit:seconds=3", "seconds= means nothing to exit (only to slow, http-429)"),
        ("csv:load:batch=2:batch=3:exit", "batch stands twice"),
        ("csv:load:before:after:exit", "before or after stands twice"),
        ("csv:load:batch=\uff12:exit", "must be a whole number from 1"),
    ],
)
def test_mistake_is_named_with_what_is_possible_when_a_fault_cannot_be(text, said):
    """Whoever mistypes one should not have to look it up."""
    (line,) = problems(text)
    assert said in line
    assert repr(text) in line


@pytest.mark.parametrize(("text", "mistakes"), [("csv, csv:load, nowhere", 3), (" , ", 1)])
def test_form_is_told_once_when_something_has_too_few_parts(text, mistakes):
    """With all that it may be made of; each entry has its line all the same."""
    *lines, form = problems(text)
    assert len(lines) == mistakes
    assert not any(faults.FORM in line for line in lines)
    assert form.startswith(f"write {faults.FORM}, of the stages claim, fetch,")
    assert "exit" in form


def test_all_mistakes_are_told_at_once_when_there_are_several():
    """Each with the entry that it is about; what is right is kept."""
    found, wrong = faults.parse("csv:load:exit, x:load:exit, csv:y:exit", SOURCES)
    assert (len(found), len(wrong)) == (1, 2)


def test_fault_is_refused_when_it_could_never_happen_or_stands_twice():
    """A file is not fetched; and what is meant twice says times=2."""
    found, wrong = faults.parse("csv:fetch:exit, csv:load:exit, csv:load:before:exit", SOURCES, of_files=["csv"])
    assert len(found) == 1
    assert ["nothing is fetched" in wrong[0], "times=2" in wrong[1]] == [True, True]


def test_nothing_is_looked_up_when_no_fault_fits():
    """Elsewhere, at another moment, another page, another batch: the database is not even asked."""
    memory = Memory()
    made = injector("csv:load:after:batch=2:error, csv:fetch:page=2:error", memory)
    for place in (
        Place(source="coingecko", stage="load", moment="after", batch=2),
        Place(source="csv", stage="load", moment="before", batch=2),
        Place(source="csv", stage="load", moment="after", batch=3),
        Place(source="csv", stage="fetch", page=1),
    ):
        assert made.hit(place, wait=Wait()) is False
    assert memory.fired == []


def test_fault_fires_as_often_as_it_says_when_its_place_comes_again():
    """Once, unless it says more; run and fault are remembered before it happens."""
    memory = Memory()
    made = injector("csv:load:error:times=2", memory)
    place = Place(source="csv", stage="load", run_id=7)
    for _ in range(2):
        with pytest.raises(InjectedError, match="csv:load:before:error:times=2"):
            made.hit(place, wait=Wait())
    assert made.hit(place, wait=Wait()) is False
    assert memory.fired == [("csv:load:before:error:times=2", 7)] * 2


def test_fault_does_not_fire_when_it_cannot_be_remembered():
    """It would fire for ever; it does once the database is back."""
    memory = Memory()
    made = injector("csv:load:error", memory)
    memory.away = True
    assert made.hit(Place(source="csv", stage="load"), wait=Wait()) is False
    memory.away = False
    with pytest.raises(InjectedError):
        made.hit(Place(source="csv", stage="load"), wait=Wait())


@pytest.mark.parametrize(
    ("kind", "code", "status", "after"),
    [
        ("http-429:seconds=9", "http_429", 429, 9.0),
        ("http-500", "http_500", 500, None),
        ("truncate", "truncated", None, None),
    ],
)
def test_upstream_seems_to_fail_when_a_fault_says_so(kind, code, status, after):
    """The run cannot tell it from the real thing."""
    with pytest.raises(FetchError) as caught:
        injector(f"csv:fetch:{kind}").hit(Place(source="csv", stage="fetch", page=1), wait=Wait())
    assert (caught.value.code, caught.value.status, caught.value.retry_after_seconds) == (code, status, after)
    assert caught.value.retryable


def test_run_waits_when_a_fault_says_slow_or_hang():
    """A hang lasts until somebody says stop."""
    wait = Wait()
    injector("csv:load:slow:seconds=3").hit(Place(source="csv", stage="load"), wait=wait)
    assert wait.seconds == [3.0]
    with pytest.raises(StoppedError):
        injector("csv:load:hang").hit(Place(source="csv", stage="load"), wait=Wait(stopped=3))


def test_connection_is_cut_and_record_spoiled_when_a_fault_says_so():
    """The one that is in use, or the next."""
    memory = Memory()
    made = injector("csv:load:db-disconnect, csv:read:bad-record", memory)
    assert made.hit(Place(source="csv", stage="load"), wait=Wait(), conn="this one") is False
    assert memory.cut == ["this one"]
    assert made.hit(Place(source="csv", stage="read", page=1), wait=Wait()) is True
