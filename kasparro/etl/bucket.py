"""May a request be sent now? A token bucket as a pure decision: state and moment in, decision and new state out.

The state is one row of buckets, locked while this is asked, and the moment is the database's clock: so that processes
and restarts share one budget.
"""

from datetime import UTC, date, datetime, timedelta

from attrs import evolve, frozen

from kasparro.model import BucketState

# Seconds. No upstream's wish to be left alone binds for longer: a slip of its clock must not stop a source for years.
MAX_BLOCK_SECONDS = 7 * 86400.0
# Seconds added to a wait for a token: rounding must not make it end a moment too early.
_ROUNDING_SECONDS = 1e-6


@frozen(kw_only=True)
class Limit:
    """What an upstream allows: at most `requests` in any window of `seconds`, and `monthly_requests` a calendar month.

    `burst` of them may come at once; the others are spread evenly, (requests - burst) / seconds. None: no such limit.
    """

    requests: int | None = None
    seconds: float = 60.0
    burst: int = 1
    monthly_requests: int | None = None

    @property
    def per_second(self) -> float:
        """How many tokens come back each second."""
        return 0.0 if self.requests is None else (self.requests - self.burst) / self.seconds


@frozen(kw_only=True)
class Decision:
    """`wait_seconds` is 0 when the request may be sent, paid for in `state`; else `reason` says what is waited for."""

    state: BucketState
    wait_seconds: float = 0.0
    reason: str = ""


def spend(state: BucketState, limit: Limit, *, now: datetime) -> Decision:
    """Pay for one request, or say how long to wait before asking again.

    A burst at once and an even rate afterwards: a window of `seconds` that begins with a full bucket sees the burst and
    what comes back meanwhile, together `requests`, and no window sees more.
    """
    state = _current(state, limit, now=now)
    if state.blocked_until is not None and state.blocked_until > now:
        return Decision(state=state, wait_seconds=(state.blocked_until - now).total_seconds(), reason="blocked")
    if limit.monthly_requests is not None and state.month_used >= limit.monthly_requests:
        return Decision(state=state, wait_seconds=(_next_month(now) - now).total_seconds(), reason="month")
    if limit.requests is not None and state.tokens < 1:
        missing = (1 - state.tokens) / limit.per_second + _ROUNDING_SECONDS
        return Decision(state=state, wait_seconds=missing, reason="rate")
    return Decision(state=evolve(state, tokens=max(state.tokens - 1, 0.0), month_used=state.month_used + 1))


def block(state: BucketState, limit: Limit, *, seconds: float, now: datetime) -> BucketState:
    """After an answer that wants to be left alone for so long: nobody asks before, and then one, without a burst.

    Nothing is saved up meanwhile, and nothing given that would not have come back by then anyway.
    """
    until = now + timedelta(seconds=min(max(seconds, 0.0), MAX_BLOCK_SECONDS))
    if state.blocked_until is not None:
        until = max(until, state.blocked_until)
    tokens = min(_tokens(state, limit, now=until), 1.0)
    return evolve(state, tokens=tokens, refilled_at=max(state.refilled_at, until), blocked_until=until)


def correct(
    state: BucketState, limit: Limit, *, remaining: int, reset_seconds: float | None, now: datetime
) -> BucketState:
    """After an answer that says how many requests are left: never more than we thought, for others may use the key."""
    state = _current(state, limit, now=now)
    if remaining <= 0 and reset_seconds is not None:
        return block(state, limit, seconds=reset_seconds, now=now)
    return evolve(state, tokens=min(state.tokens, float(max(remaining, 0))))


def _current(state: BucketState, limit: Limit, *, now: datetime) -> BucketState:
    """The state as of now: refilled, and in its month. A clock that goes back gives nothing."""
    month = _month(now)
    if state.month is None or state.month < month:
        state = evolve(state, month=month, month_used=0)
    return evolve(state, tokens=_tokens(state, limit, now=now), refilled_at=max(state.refilled_at, now))


def _tokens(state: BucketState, limit: Limit, *, now: datetime) -> float:
    elapsed_seconds = max((now - state.refilled_at).total_seconds(), 0.0)
    return max(min(state.tokens + elapsed_seconds * limit.per_second, float(limit.burst)), 0.0)


def _month(now: datetime) -> date:
    return now.astimezone(UTC).date().replace(day=1)


def _next_month(now: datetime) -> datetime:
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
