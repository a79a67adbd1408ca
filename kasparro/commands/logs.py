"""Where do a command's log lines go, and what must never stand in them?"""

import logging
import re
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO
from urllib.parse import unquote

from kasparro import log
from kasparro.commands import output
from kasparro.config import Config

logger = logging.getLogger("kasparro")

# The password of a connection string, in both forms that libpq takes. In the first it may be percent-encoded.
_PASSWORDS = (re.compile(r"^[a-z]+://[^/@:]*:([^@]*)@"), re.compile(r"\bpassword\s*=\s*'?([^'\s]+)"))


def begin(config: Config, stream: TextIO) -> None:
    """Send log lines to `stream`, without the configuration's secrets, and warn of settings that nobody reads.

    What nobody caught is a line as well, with its traceback in it.
    """
    # Whoever reads the lines may go away (`kasparro serve | head`); that is no reason to print tracebacks.
    logging.raiseExceptions = False
    log.configure(secrets=secret_values(config), stream=stream)
    sys.excepthook = _log_bug
    threading.excepthook = _log_bug_of_thread
    for name in config.unknown:
        logger.warning("unknown setting, ignored", extra={"variable": name})


def warn(config: Config) -> None:
    """Say on stderr, in one line, which settings nobody reads: for commands without log lines."""
    if config.unknown:
        output.say(f"kasparro: unknown settings, ignored: {', '.join(config.unknown)}", stream=sys.stderr)


def silence(config: Config) -> None:
    """Show no log lines, a short command says everything itself; but warn of settings that nobody reads."""
    warn(config)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.CRITICAL)


def _log_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logger.critical("the process ends: this is a bug", exc_info=(kind, error, trace))


def _log_bug_of_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is None or isinstance(found.exc_value, SystemExit):
        return
    name = found.thread.name if found.thread is not None else None
    trace = (found.exc_type, found.exc_value, found.exc_traceback)
    logger.critical("a thread ended: this is a bug", extra={"thread_name": name}, exc_info=trace)


def secret_values(config: Config) -> list[str]:
    """Every text of the configuration that must not appear in a log line, the longest first."""
    addresses = [secret.reveal() for secret in (config.database_url, config.direct_dsn) if secret is not None]
    keys = [secret.reveal() for secret in (*config.api_keys.values(), *config.upstream_keys.values())]
    found = {*addresses, *keys, *(password for address in addresses for password in _passwords(address))}
    return sorted(found, key=lambda text: (-len(text), text))


def _passwords(address: str) -> Iterator[str]:
    for pattern in _PASSWORDS:
        for match in pattern.finditer(address):
            yield match[1]
            yield unquote(match[1])
