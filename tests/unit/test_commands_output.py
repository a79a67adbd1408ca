"""How commands print, how they stop, and what they keep out of the log."""

import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kasparro.commands import logs, output, runs, signals
from kasparro.config import Config, Secret


def test_table_is_aligned_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns as wide as their widest cell; numbers to the right; no trailing spaces, no colours."""
    output.show_table(("name", "count"), [["a", 1234567], ["longer", None]], numbers=("count",))
    assert capsys.readouterr().out == "name        count\na       1,234,567\nlonger          -\n"


def test_table_on_a_narrow_terminal_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich would cut cells to fit; the terminal may wrap lines instead."""
    cells = ["x" * 200, "[bold]not markup[/bold]"]
    output._show_rich(("a", "b"), [cells], ())
    printed = capsys.readouterr().out
    assert all(cell in printed for cell in cells)


def test_what_upstreams_say_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters, ends of lines and turns of direction are shown as escapes, in tables and lines."""
    hostile, shown = "a\x1b[2J\r\nb\u202ec\u2028é", "a\\x1b[2J\\r\\nb\\u202ec\\u2028é"
    output.show_table(("a",), [[hostile]])
    output._show_rich(("a",), [[output._cell(hostile)]], ())
    output.say(hostile)
    printed = capsys.readouterr().out
    assert printed.count(shown) == 3
    assert set(printed) - {"\n"} == {char for char in printed if char.isprintable()}


def test_json_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Times as RFC 3339; letters beyond ASCII as they are."""
    output.show_json({"at": datetime(2025, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "name": "Ω"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"at": "2025-01-02T03:04:05Z", "name": "Ω"}


def test_moment_is_shown_in_utc() -> None:
    """Whatever zone the database session has."""
    eastern = timezone(timedelta(hours=-5))
    assert output.moment(datetime(2025, 1, 1, 22, tzinfo=eastern)) == "2025-01-02T03:00:00Z"
    assert output.moment(None) is None


@pytest.mark.parametrize(
    ("secret", "shown"),
    [(None, None), (Secret("x" * 11 + "last"), "set"), (Secret("x" * 12 + "last"), "set (…last)")],
)
def test_mask_shows_the_end_of_long_keys_alone(secret: Secret | None, shown: str | None) -> None:
    """Four of sixteen characters at most."""
    assert output.mask(secret) == shown


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://kasparro:p%40ss-word@db:5432/kasparro",
        "host=db user=kasparro password=p@ss-word dbname=kasparro",
        "host=db password = 'p@ss-word'",
    ],
)
def test_secret_values_hold_the_password_of_an_address_alone(address: str) -> None:
    """A driver's error may quote the password without the rest, decoded."""
    found = logs.secret_values(Config.from_env({"DATABASE_URL": address}))
    assert found[0] == address
    assert "p@ss-word" in found


def test_secret_values_hold_every_key() -> None:
    """Those of clients and those of upstreams."""
    environ = {"KASPARRO_API_KEYS": "desk:client-key", "COINGECKO_API_KEY": "upstream-key", "DESK_API_KEY": "own-key"}
    assert set(logs.secret_values(Config.from_env(environ))) == {"client-key", "upstream-key", "own-key"}


@pytest.fixture
def _handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_catch_sets_the_event_and_keeps_the_first_signal(number: signal.Signals, code: int) -> None:
    """Whoever sent the second one does not change why the command stopped."""
    stop = signals.Stop()
    signals.catch(stop)
    os.kill(os.getpid(), number)
    assert stop.wait(10)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.exit_code == code


@pytest.mark.usefixtures("_handlers")
def test_catch_hears_a_signal_that_does_not_wake_the_main_thread_up() -> None:
    """As when it comes right before that one begins to wait: another thread gets it here."""
    stop = signals.Stop()
    signals.catch(stop)
    # A moment later, when the main thread waits below.
    threading.Timer(0.05, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
    assert stop.wait(10)
    assert stop.exit_code == 143


@pytest.mark.usefixtures("_handlers")
def test_end_at_once_leaves_whatever_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code that shells report, and by no exception, which the interpreter may swallow."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    signals.end_at_once()
    os.kill(os.getpid(), signal.SIGTERM)
    assert codes == [143]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a command logs from here on; afterwards logging is as it was."""
    root, own = logging.getLogger(), logging.getLogger("kasparro")
    before = (list(root.handlers), root.level, own.level)
    for module, name in ((logging, "raiseExceptions"), (sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    stream = io.StringIO()
    logs.begin(Config(upstream_keys={"X_API_KEY": Secret("key-of-an-upstream")}), stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def test_bug_that_nobody_caught_is_one_line_without_secrets(logged: io.StringIO) -> None:
    """In a thread or in the whole process: as JSON like all others, not as a bare traceback beside it."""

    def fail() -> None:
        raise ValueError("key-of-an-upstream")

    thread = threading.Thread(target=fail, name="run-x")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as ex:
        sys.excepthook(ValueError, ex, ex.__traceback__)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [(line["level"], line.get("thread_name")) for line in lines] == [("CRITICAL", "run-x"), ("CRITICAL", None)]
    assert all(line["exc_info"].endswith("ValueError: ***") for line in lines)


def test_comparison_says_so_when_the_fields_of_different_files_are_not_compared() -> None:
    """Silence would look like no difference."""
    same = {"changed": False, "a": "x", "b": "x"}
    schema = {"changed": None, "a": "x", "b": "y", "added": None, "missing": None, "type_changed": None}
    found = {"configuration": same, "code": same, "schema": schema}
    assert list(runs._changes(found)) == ["fields: not compared, as the runs read different files"]
    assert list(runs._changes({**found, "schema": {**schema, "b": None}})) == []
