"""How does the demonstration ask? One HTTP client, with a key if there is one; and waiting, with a limit."""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Seconds. One answer takes milliseconds; a machine that starts containers beside it is slow now and then.
TIMEOUT_SECONDS = 20.0


class Failed(Exception):  # noqa: N818 - what the checklist prints
    """Something that was to be shown is not so."""


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status; `seconds` is the client's own measure."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks one base address."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.key = key

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; raises Failed when nothing answers."""
        sent = {"X-API-Key": self.key} if self.key else {}
        sent |= {"Content-Type": "application/json"} if body is not None else {}
        sent |= headers or {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=sent, method=method)  # noqa: S310
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return Answer(response.status, _lower(response.headers), response.read(), time.monotonic() - began)
        except urllib.error.HTTPError as ex:
            return Answer(ex.code, _lower(ex.headers), ex.read(), time.monotonic() - began)
        except OSError as ex:
            raise Failed(f"{method} {self.url}{path}: no answer ({ex})") from ex

    def get(self, path: str) -> Any:
        """The JSON body of a GET that must succeed."""
        answer = self.ask(path)
        if answer.status != 200:
            raise Failed(f"GET {path} answered {answer.status}: {answer.body[:300]!r}")
        return answer.json()

    def quotes_digest(self) -> tuple[int, str]:
        """How many quotes there are, and one digest of all they say; when they were written is left out."""
        answer = self.ask("/data?format=ndjson&order=asc")
        if answer.status != 200:
            raise Failed(f"the stream of all quotes answered {answer.status}")
        lines = []
        for line in answer.body.splitlines():
            quote = json.loads(line, parse_float=str)
            del quote["ingested_at"]
            lines.append(json.dumps(quote, sort_keys=True))
        return len(lines), hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """Ask again and again until `condition` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    last = ""
    while time.monotonic() < deadline:
        try:
            found = condition()
            if found:
                return found
        except Failed as ex:
            last = f" ({ex})"
        time.sleep(0.2)
    raise Failed(f"waited {seconds:.0f} s in vain for {what}{last}")


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
