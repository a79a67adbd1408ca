"""What happens when somebody asks a command to stop?

A long command sees an event set and winds up by itself; a short one ends at once. Neither shows a traceback, however
many signals arrive.
"""

import os
import signal
import threading
from types import FrameType
from typing import NoReturn


class Stop(threading.Event):
    """Set by the first SIGINT or SIGTERM, once `catch` listens; `signal_number` says which it was."""

    signal_number: int = 0

    @property
    def exit_code(self) -> int:
        """What a command returns that was interrupted, as shells write it: 130 or 143."""
        return 128 + self.signal_number


def catch(stop: Stop) -> None:
    """Let SIGINT and SIGTERM set `stop`, for the rest of the process's life.

    The handlers stay, so that a signal that comes while the interpreter shuts down does nothing. They are needed as
    PID 1 above all: the kernel drops a signal that the first process of a container has no handler for.
    """
    # Python calls a handler in the main thread, once that wakes up; a signal that came right before it went to sleep in
    # `stop.wait()` would be heard of never. The number is written here at once, whatever any thread does.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def relay() -> None:
        (stop.signal_number,) = os.read(reader, 1)
        stop.set()

    threading.Thread(target=relay, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)


def end_at_once() -> None:
    """Let SIGTERM end the process quietly, also as PID 1; SIGINT is Python's KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    # An exception would be lost, and the signal with it, where one of the interpreter's own callbacks is interrupted:
    # importing has many.
    os._exit(128 + number)
