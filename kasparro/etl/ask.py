"""How does a run ask its upstream? Within its budget, again where that helps, and every request counted for the run.

The bucket says when, retry.py whether again. Waits can be interrupted, and each attempt is one log line.
"""

import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from attrs import evolve

from kasparro import errors
from kasparro.etl import fetch, retry
from kasparro.etl.bucket import Decision
from kasparro.etl.job import Job
from kasparro.etl.readers.json_api import Get
from kasparro.tallies import Traffic

logger = logging.getLogger(__name__)

# Redirects of one request that are followed, all on its own host: a canonical address is one away, a loop is not.
_MAX_REDIRECTS = 3
# Seconds. Between two signs of life while waiting; far below any stall limit.
_LIFE_SECONDS = 0.4
# Answers that are about the key.
_ABOUT_KEYS = frozenset({401, 402, 403})
# CoinGecko's codes for a key of one plan on the host of the other, and for a missing key; they come with 400 too.
# https://docs.coingecko.com/docs/errors-and-rate-limits
_KEY_CODES = ("10002", "10005", "10010", "10011")


class Purse(Protocol):
    """The source's bucket."""

    def spend(self) -> Decision:
        """Pay for one request, or hear how long to wait."""

    def block(self, seconds: float) -> None:
        """Let nobody ask for so long."""

    def correct(self, *, remaining: int, reset_seconds: float | None) -> None:
        """Take over what the upstream says is left."""


def asker(http: fetch.Http, job: Job, purse: Purse) -> Get:
    """The function that the job's reader asks with.

    It raises FetchError, DeferredError when the upstream wants a longer pause than a run may wait, and what Job.check
    raises when the job is to stop.
    """
    if job.source.http is None:

        def refuse(*_: object) -> fetch.Answer:
            raise errors.FetchError(f"{job.source.name} has no upstream to ask", code="no_upstream", retryable=False)

        return refuse
    return _Asker(http, job, purse).get


class _Asker:
    """The requests of one run, and what they have used of its budget."""

    def __init__(self, http: fetch.Http, job: Job, purse: Purse) -> None:
        self._http = http
        self._job = job
        self._purse = purse
        self._limits = fetch.limits_of(job.source)
        self._policy = retry.Policy() if job.source.http is None else job.source.http.retry_policy
        self._spent = retry.Spent()
        # What the last attempt took.
        self._seconds = 0.0

    def get(
        self, url: str, params: Mapping[str, str], headers: Mapping[str, str], validators: Mapping[str, str]
    ) -> fetch.Answer:
        """One answer, after as many attempts as it takes and the budget allows."""
        request = fetch.Request(url=url, params=params, headers=headers, validators=validators)
        attempt = redirects = 0
        while True:
            waited_seconds = self._wait_for_token()
            attempt += 1
            try:
                answer = self._ask(request)
            except errors.FetchError as ex:
                self._wait_after(ex, request, attempt=attempt)
                continue
            self._log_answer(answer, attempt=attempt, waited_seconds=waited_seconds)
            if answer.rate_remaining is not None:
                self._purse.correct(remaining=answer.rate_remaining, reset_seconds=answer.rate_reset_seconds)
            if answer.redirect_to is None:
                self._job.answers += 1
                return answer
            redirects += 1
            if redirects > _MAX_REDIRECTS:
                raise errors.FetchError(
                    f"{url} redirected more than {_MAX_REDIRECTS} times", code="redirects", retryable=False
                )
            request = evolve(request, url=answer.redirect_to, params={})

    def _ask(self, request: fetch.Request) -> fetch.Answer:
        """One attempt, counted whatever comes of it."""
        job, page = self._job, self._job.answers + 1
        job.check()
        began = job.monotonic()
        try:
            job.at("fetch", page=page)
            answer = self._http.get(request, limits=self._limits)
            job.at("fetch", "after", page=page)
        except errors.FetchError as ex:
            self._seconds = job.monotonic() - began
            throttled = int(ex.status == 429)
            job.add_traffic(Traffic(requests=1, throttled=throttled, request_seconds=self._seconds))
            raise
        finally:
            job.show_life()
        self._seconds = job.monotonic() - began
        job.add_traffic(Traffic(requests=1, bytes_read=answer.bytes_read, request_seconds=self._seconds))
        return answer

    def _log_answer(self, answer: fetch.Answer, *, attempt: int, waited_seconds: float) -> None:
        fields = {
            "stage": "fetch",
            "attempt": attempt,
            "status": answer.status,
            "seconds": round(self._seconds, 3),
            "waited_seconds": round(waited_seconds, 3),
            "bytes": answer.bytes_read,
        }
        logger.info("request answered", extra=fields)

    def _wait_for_token(self) -> float:
        """Pay for one request; how long that took. Raises DeferredError where it would take too long."""
        waited_seconds = 0.0
        while (decision := self._purse.spend()).wait_seconds > 0:
            left_seconds = self._policy.max_seconds - (self._spent.seconds if decision.reason == "blocked" else 0.0)
            if decision.wait_seconds > left_seconds:
                raise self._deferred(
                    decision.wait_seconds, _REASONS[decision.reason], wished=decision.reason == "blocked"
                )
            if decision.reason == "blocked":
                self._spent = evolve(self._spent, seconds=self._spent.seconds + decision.wait_seconds)
            self._wait(decision.wait_seconds)
            waited_seconds += decision.wait_seconds
        if waited_seconds:
            self._job.add_traffic(Traffic(throttled_seconds=waited_seconds))
        return waited_seconds

    def _wait_after(self, failure: errors.FetchError, request: fetch.Request, *, attempt: int) -> None:
        """Wait before the next attempt, or raise: the failure itself, with advice, or DeferredError."""
        next_step = retry.decide(failure, attempt=attempt, spent=self._spent, policy=self._policy, draw=random.uniform)
        wait_seconds = next_step.wait_seconds if isinstance(next_step, retry.Retry) else None
        fields = {
            "stage": "fetch",
            "attempt": attempt,
            "status": failure.status,
            "seconds": round(self._seconds, 3),
            "wait_seconds": wait_seconds,
            "code": failure.code,
            "error": failure.message,
        }
        logger.warning("request failed", extra=fields)
        wish_seconds = failure.retry_after_seconds
        if wish_seconds is None and failure.status == 429:
            wish_seconds = wait_seconds
        if wish_seconds is not None:
            self._purse.block(wish_seconds)
        if isinstance(next_step, retry.Defer):
            raise self._deferred(next_step.seconds, "the upstream asks for it", wished=True) from failure
        if wait_seconds is None:
            raise self._advised(failure, request) from failure
        self._spent = self._spent.plus(seconds=wait_seconds)
        throttled_seconds = wait_seconds if wish_seconds is not None else 0.0
        self._job.add_traffic(Traffic(retries=1, throttled_seconds=throttled_seconds))
        self._wait(wait_seconds)

    def _wait(self, seconds: float) -> None:
        """Wait in bits, each a sign of life: a run that waits for good reason is not hung."""
        left_seconds = seconds
        while left_seconds > 0:
            self._job.pause(min(left_seconds, _LIFE_SECONDS))
            self._job.show_life()
            left_seconds -= _LIFE_SECONDS

    def _deferred(self, seconds: float, why: str, *, wished: bool) -> errors.DeferredError:
        moment = self._job.now() + timedelta(seconds=seconds)
        message = (
            f"{self._job.source.name}: to be asked again in {seconds:.0f} s, at {moment:%Y-%m-%dT%H:%M:%SZ} ({why})"
        )
        return errors.DeferredError(message, seconds=seconds, wished=wished)

    def _advised(self, failure: errors.FetchError, request: fetch.Request) -> errors.FetchError:
        """The failure, and which variable holds the key where it is about that."""
        auth = self._job.source.auth
        about_keys = failure.status in _ABOUT_KEYS or (
            failure.status == 400 and any(code in failure.message for code in _KEY_CODES)
        )
        if auth is None or not about_keys:
            return failure
        advice = f"check the key in {auth.key}" if request.headers else f"no key was sent: set {auth.key}"
        if auth.plan is not None:
            advice += f", and {auth.plan} if the key belongs to another plan"
        return errors.FetchError(
            f"{failure.message} - {advice}", code=failure.code, retryable=False, status=failure.status
        )


_REASONS = {
    "blocked": "the upstream asked for it earlier",
    "month": "this month's budget of requests is used up",
    "rate": "the budget of requests comes back slowly",
}
