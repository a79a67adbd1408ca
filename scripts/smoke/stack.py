"""What does the demonstration need of the place where the service runs, be it processes or containers?"""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from client import Client

ROOT = Path(__file__).resolve().parents[2]
# The stand-in upstreams accept only these; they are no secrets.
UPSTREAM_KEYS = {"COINPAPRIKA_API_KEY": "smoke-paprika-key", "COINGECKO_API_KEY": "smoke-gecko-demo-key"}
# A moment of the made-up market: prices stand still, so that a second run finds nothing new.
TICK = 500_000
# Runs happen at the start, when every source is new, and when they are asked for.
SETTINGS = {
    "KASPARRO_SOURCE_COINPAPRIKA_SCHEDULE": "every 1d",
    "KASPARRO_SOURCE_COINGECKO_SCHEDULE": "every 1d",
    "KASPARRO_SOURCE_CSV_SCHEDULE": "every 1d",
    # The built-in limits are those of the real upstreams; keeping a limit is shown with a source of its own.
    "KASPARRO_SOURCE_COINPAPRIKA_RATE": "off",
    "KASPARRO_SOURCE_COINGECKO_RATE": "off",
    "KASPARRO_LEASE_SECONDS": "3",
    **UPSTREAM_KEYS,
}


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class Stack(Protocol):
    """A service with its database and the stand-in upstreams, all of the demonstration's own."""

    kind: str
    client: Client
    upstream: Client

    def open(self) -> None:
        """Start the database and the stand-ins; write the archives."""

    def serve(self, database: str, settings: Mapping[str, str]) -> None:
        """Start the service, or start it anew, on a database that is made if need be; returns when it is ready."""

    def once(self, arguments: Sequence[str], settings: Mapping[str, str]) -> tuple[int, str]:
        """One command on the database of the service: its exit code, and all it said."""

    def python(self, script: str, argument: str) -> tuple[int, str, str]:
        """Run a script beside the service, with its settings: exit code, stdout, stderr."""

    def restarts(self) -> int:
        """How often the service was started again because it had died."""

    def stop(self) -> tuple[int, float]:
        """Stop the service as `docker stop` does: its exit code, and how many seconds it took."""

    def add_source(self, name: str, text: str) -> None:
        """Put a source file where the next start finds it; `{upstream}` in it is the stand-ins' address."""

    def last_words(self) -> str:
        """The end of the service's log."""

    def close(self) -> None:
        """Stop everything and remove what was made."""
