"""What to do after a request failed? A pure decision: try again after a wait, leave it for later, or give up.

Exponential waits with full jitter, so that clients that failed together do not come back together (Marc Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from collections.abc import Callable

from attrs import evolve, frozen

from kasparro.errors import FetchError

# Seconds. The longest wait before the first retry; it doubles with each further one.
FIRST_WAIT_SECONDS = 0.5
# Seconds. The longest wait that is made up here; what an upstream asks for may be longer.
MAX_WAIT_SECONDS = 30.0


@frozen(kw_only=True)
class Policy:
    """The budget of one run: how many retries of all its requests together, and how long it waits for them."""

    max_retries: int = 6
    max_seconds: float = 120.0


@frozen(kw_only=True)
class Spent:
    """What a run has used of its budget."""

    retries: int = 0
    seconds: float = 0.0

    def plus(self, *, seconds: float) -> "Spent":
        """One retry more, after that wait."""
        return evolve(self, retries=self.retries + 1, seconds=self.seconds + seconds)


@frozen(kw_only=True)
class Retry:
    """Try again after `wait_seconds`."""

    wait_seconds: float


@frozen(kw_only=True)
class Defer:
    """End the run; the upstream wants to be left alone for `seconds`, longer than this run may wait."""

    seconds: float


@frozen(kw_only=True)
class GiveUp:
    """The failure stands."""


def decide(
    failure: FetchError, *, attempt: int, spent: Spent, policy: Policy, draw: Callable[[float, float], float]
) -> Retry | Defer | GiveUp:
    """What to do after attempt number `attempt` (from 1) of a request failed; `draw(low, high)` gives a random number.

    Only what may be different the next time is tried again (FetchError.retryable). The upstream's Retry-After goes
    before our own wait.
    """
    if not failure.retryable:
        return GiveUp()
    left_seconds = policy.max_seconds - spent.seconds
    asked_for = failure.retry_after_seconds
    if asked_for is not None and asked_for > left_seconds:
        return Defer(seconds=asked_for)
    if spent.retries >= policy.max_retries:
        return GiveUp()
    if asked_for is not None:
        return Retry(wait_seconds=asked_for)
    wait_seconds = draw(0.0, min(FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 30), MAX_WAIT_SECONDS))
    return Retry(wait_seconds=wait_seconds) if wait_seconds <= left_seconds else GiveUp()
