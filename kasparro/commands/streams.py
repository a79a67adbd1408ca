"""What are stdin, stdout and stderr when whoever started the program closed some, or their disk is full?

Output that cannot be written is an error, told once: not swallowed, and no traceback of the interpreter's last flush.
"""

import errno
import io
import os
import sys


class _Closed(io.TextIOBase):
    """Stands for a stdout that was closed: whoever flushes what was written learns of it."""

    def __init__(self) -> None:
        super().__init__()
        self._written = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._written = self._written or bool(text)
        return len(text)

    def flush(self) -> None:
        if self._written:
            raise OSError(errno.EBADF, "it is closed")


def prepare() -> None:
    """Fill the missing ones of the descriptors 0, 1 and 2, before anything else is opened in their place.

    A database that is started would be given a file or a socket as its stdout, and end at once.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free descriptor is taken: this one. PostgreSQL's programs inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lasts as long as the process


def abandon_stdout() -> OSError | None:
    """Give up stdout after an OSError: the error if stdout was at fault, else None."""
    try:
        sys.stdout.flush()
    except OSError as ex:
        # The interpreter flushes once more at its end, and would complain.
        if isinstance(sys.stdout, _Closed):
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as above
        else:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ex
    return None
