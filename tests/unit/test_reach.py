"""The way to the database: what a stop does while it is being opened."""

import threading

import pytest

from kasparro import errors
from kasparro.clock import SystemClock
from kasparro.config import Config
from kasparro.reach import Reach
from kasparro.store import db, embedded


def test_opening_ends_at_once_when_asked_to_stop_in_what_cannot_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine may take longer to start PostgreSQL, or to migrate, than a process has to end."""
    stop, never = threading.Event(), threading.Event()
    began: list[str] = []

    def start(name: str, **_: object) -> embedded.Embedded:
        began.append(name)
        stop.set()
        never.wait()
        raise AssertionError

    monkeypatch.setattr(embedded, "open", start)
    reach = Reach(Config(), [], SystemClock(), cluster="slow")
    database = db.Database(prepare=True, max_size=1)
    for _ in range(2):
        with pytest.raises(errors.StoppedError):
            reach.open(database, stop, wait_seconds=None, migrate_first=True)
    assert began == ["slow"]
    never.set()
