"""Make the next item while the last one is used: a thread reads and normalises, its caller loads.

Half of a run's time is Python's and half is Postgres'; this lets both work at once. It also keeps the caller free: told
to stop, it does not wait for an upstream that takes its time.
"""

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

# In a thread that makes items: set once their caller left.
_left: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("kasparro_left", default=None)

# Seconds between two looks at whether to go on while nothing comes.
_LOOK_SECONDS = 0.2
# Items that wait to be used, besides the one being made. More would only cost memory: the slower side sets the pace.
_DEPTH = 1
# Seconds that the thread gets to notice that nobody wants its items any more; it may be waiting for an upstream.
_LEAVE_SECONDS = 0.5


class _End:
    """What comes after the last item: the error that ended it, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[T], *, check: Callable[[], None], name: str) -> Iterator[T]:
    """The same items in the same order, then the same error if one ends them.

    `check` is called again and again while waiting; what it raises ends the waiting.
    """
    ready: queue.Queue[T | _End] = queue.Queue(maxsize=_DEPTH)
    left = threading.Event()
    context = contextvars.copy_context()
    context.run(_left.set, left)
    arguments = (_fill, items, ready, left)
    thread = threading.Thread(target=context.run, args=arguments, name=name, daemon=True)
    thread.start()
    try:
        while True:
            item = _take(ready, check)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        left.set()
        thread.join(timeout=_LEAVE_SECONDS)


def is_unwanted() -> bool:
    """Whether this thread makes items whose caller left: whoever makes one that takes long may give up."""
    left = _left.get()
    return left is not None and left.is_set()


def _fill(items: Iterator[T], ready: "queue.Queue[T | _End]", left: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(ready, item, left):
                return
    except BaseException as ex:  # noqa: BLE001 - whatever it is, the caller raises it
        error = ex
    _put(ready, _End(error), left)


def _put(ready: "queue.Queue[T | _End]", item: T | _End, left: threading.Event) -> bool:
    """Whether the item found a place before the caller left."""
    while not left.is_set():
        try:
            ready.put(item, timeout=_LOOK_SECONDS)
            return True
        except queue.Full:
            continue
    return False


def _take(ready: "queue.Queue[T | _End]", check: Callable[[], None]) -> T | _End:
    while True:
        check()
        try:
            item = ready.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            continue
        check()
        return item
