"""Making items ahead in a thread: the same items, the same error, and nothing left behind."""

import contextvars
import threading

import pytest

from kasparro.etl import ahead

# Seconds. No wait here lasts that long unless something is broken.
LONG = 10.0


class Broken(Exception):  # noqa: N818 - what the items or the caller raise
    """Stands for any error."""


def fine():
    """A check that lets everything pass."""


def threads():
    """The threads of these tests that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "ahead-test"]


def test_items_come_in_their_order_when_made_ahead():
    """Nothing is lost, doubled or overtaken."""
    assert list(ahead.ahead(iter(range(200)), check=fine, name="ahead-test")) == list(range(200))
    assert threads() == []


def test_error_comes_after_the_items_before_it_when_making_fails():
    """What was made is used first."""

    def items():
        yield from (1, 2, 3)
        raise Broken

    found = []
    with pytest.raises(Broken):
        found.extend(ahead.ahead(items(), check=fine, name="ahead-test"))
    assert found == [1, 2, 3]


def test_caller_is_freed_when_the_check_raises_while_nothing_comes():
    """Told to stop, it does not wait for an upstream that takes its time."""
    answer, asked = threading.Event(), threading.Event()

    def items():
        asked.set()
        yield answer.wait(LONG)

    def check():
        if asked.is_set():
            raise Broken

    with pytest.raises(Broken):
        next(ahead.ahead(items(), check=check, name="ahead-test"))
    answer.set()
    for thread in threads():
        thread.join(LONG)
    assert threads() == []


def test_few_items_wait_when_the_caller_is_slow():
    """Memory does not grow with the source."""
    made = []
    ready = threading.Semaphore(0)

    def items():
        for number in range(100):
            made.append(number)
            ready.release()
            yield number

    slow = ahead.ahead(items(), check=fine, name="ahead-test")
    next(slow)
    for _ in range(3):
        assert ready.acquire(timeout=LONG)
    assert not ready.acquire(timeout=0.05)
    slow.close()
    assert len(made) <= 4


def test_thread_ends_and_items_are_closed_when_the_caller_leaves_early():
    """An open file is closed with them."""
    closed = threading.Event()

    def items():
        try:
            yield from range(100)
        finally:
            closed.set()

    leaving = ahead.ahead(items(), check=fine, name="ahead-test")
    next(leaving)
    leaving.close()
    assert closed.wait(LONG)
    for thread in threads():
        thread.join(LONG)
    assert threads() == []


def test_thread_knows_the_callers_context_when_it_makes_items():
    """So the reader's log lines carry the run's number."""
    run_id = contextvars.ContextVar("run_id", default=0)
    token = run_id.set(5)
    found = list(ahead.ahead((run_id.get() for _ in range(1)), check=fine, name="ahead-test"))
    run_id.reset(token)
    assert found == [5]


def test_thread_knows_that_nobody_wants_its_item_when_the_caller_left():
    """Whatever the item waits for, it can give up; the caller itself, and another reading, go on."""
    making, gave_up = threading.Event(), threading.Event()

    def items():
        yield ahead.is_unwanted()
        making.set()
        while not ahead.is_unwanted():
            leaving.wait(0.01)
        gave_up.set()

    leaving = threading.Event()
    made = ahead.ahead(items(), check=fine, name="ahead-test")
    assert next(made) is False
    assert making.wait(LONG)
    made.close()
    assert gave_up.wait(LONG)
    assert not ahead.is_unwanted()
    assert list(ahead.ahead((ahead.is_unwanted() for _ in range(2)), check=fine, name="ahead-test")) == [False, False]
