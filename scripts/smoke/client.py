"""How does the demonstration ask? One HTTP client, with a key if there is one; and waiting, with a limit."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

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
        """What the body says. Raises Failed when it is no JSON, as a page of some proxy's."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"an answer {self.status} is no JSON: {self.body[:300]!r}") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An address that answers with another one is not the service, and must not see the key pass on to there."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Client:
    """Asks one base address."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.key = key
        # A proxy that the environment names is not for what runs on this machine.
        proxies = urllib.request.ProxyHandler({} if is_local(url) else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirects)

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
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(response.status, _lower(response.headers), response.read(), time.monotonic() - began)
        except urllib.error.HTTPError as ex:
            return Answer(ex.code, _lower(ex.headers), ex.read(), time.monotonic() - began)
        except (OSError, http.client.HTTPException) as ex:
            raise Failed(f"{method} {self.url}{path}: no answer ({ex})") from ex

    def get(self, path: str) -> Any:
        """The JSON body of a GET that must succeed."""
        answer = self.ask(path)
        if answer.status == 401:
            raise Failed(f"{path} wants {'another' if self.key else 'a'} key: set KASPARRO_SMOKE_KEY to a client's")
        if "location" in answer.headers:
            raise Failed(f"{path} answered {answer.status}: it is at {answer.headers['location']}")
        require(answer.status == 200, f"GET {path} answered {answer.status}: {answer.body[:300]!r}")
        return answer.json()


def is_local(url: str) -> bool:
    """Is the address one of this machine?"""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def require(held: bool, otherwise: str) -> None:  # noqa: FBT001
    """Raise Failed with what is wrong unless it `held`."""
    if not held:
        raise Failed(otherwise)


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
