"""How does each upstream say no? Statuses and body shapes as recorded or specified; the wording is our own.

CoinPaprika always sends {"error": message}. CoinGecko has several shapes: a flat one, one under "status", and for
a key of the wrong plan one with the code beside "status".
"""

import http.client
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from math import ceil
from typing import Any

from attrs import field, frozen

from kasparro import clock as clocks
from kasparro.upstream.options import COINPAPRIKA, Limit

_WRONG_PLAN = {
    10010: "A Pro API key belongs to the root URL pro-api.coingecko.com, not to api.coingecko.com",
    10011: "A Demo API key belongs to the root URL api.coingecko.com, not to pro-api.coingecko.com",
}


@frozen(kw_only=True)
class Refusal:
    """An answer that is not the data: `body` is a JSON value, or a string for plain text."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(factory=dict)


class RefusedError(Exception):
    """Raised by a path to answer with this refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.body}")
        self.refusal = refusal


def plain(status: int, message: str) -> Refusal:
    """{"error": message}: CoinPaprika's only shape, and CoinGecko's for 400, 404 and 422."""
    return Refusal(status=status, body={"error": message})


def missing_key(stamp: str) -> Refusal:
    """CoinGecko's 401 for an absent or unknown key (code 10002)."""
    return _coded(401, 10002, "No valid API key was sent", stamp=stamp)


def wrong_plan(code: int, stamp: str) -> Refusal:
    """CoinGecko's 400 for a Pro key on the demo host (10010) or a Demo key on the pro host (10011)."""
    body = {"timestamp": stamp, "error_code": code, "status": {"error_message": _WRONG_PLAN[code]}}
    return Refusal(status=400, body=body)


def too_far_back(stamp: str) -> Refusal:
    """CoinGecko's 401 for history that the demo plan does not reach (code 10012)."""
    inner = _coded(401, 10012, "The demo plan reaches back 365 days", stamp=stamp)
    return Refusal(status=401, body={"error": inner.body})


def too_many(upstream: str, limit: Limit, wait_seconds: float, clock: clocks.Clock) -> Refusal:
    """429, telling when to come back in the way that `limit` asks for."""
    seconds = ceil(wait_seconds)
    headers = {}
    if limit.retry_after == "seconds":
        headers["Retry-After"] = str(seconds)
    elif limit.retry_after == "date":
        # One more second, because a date cannot hold the fraction of the current one.
        when = clock.now() + timedelta(seconds=seconds + 1)
        headers["Retry-After"] = format_datetime(when, usegmt=True)
    body = "Throttled" if limit.body == "text" else failure(upstream, 429).body
    return Refusal(status=429, body=body, headers=headers)


def failure(upstream: str, status: int, retry_after: str | None = None) -> Refusal:
    """The upstream's body for a status that has nothing to do with the request."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    phrase = http.client.responses.get(status, "Unknown Error")
    if upstream == COINPAPRIKA:
        message = "you have reached maximum request limit" if status == 429 else phrase.lower()
        return Refusal(status=status, body={"error": message}, headers=headers)
    message = "You've exceeded the Rate Limit." if status == 429 else phrase
    return Refusal(status=status, body=_coded(status, status, message).body, headers=headers)


def not_found(path: str) -> Refusal:
    """What a path that does not exist answers: plain text at CoinPaprika, as its free host does for paid paths."""
    if path.startswith("/v1/"):
        return Refusal(status=404, body="404 page not found")
    return plain(404, f"there is nothing at {path}")


def _coded(status: int, code: int, message: str, *, stamp: str | None = None) -> Refusal:
    inner = {"error_code": code, "error_message": message}
    return Refusal(status=status, body={"status": inner if stamp is None else {"timestamp": stamp, **inner}})
