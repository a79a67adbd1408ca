"""How many requests a window may see, whatever the order of events: a bucket, told with a clock of its own."""

from datetime import UTC, date, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import bucket
from kasparro.etl.bucket import Limit
from kasparro.model import BucketState

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEN_A_MINUTE = Limit(requests=10, seconds=60, burst=4)


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def full(limit, *, now):
    """A bucket that nobody has used."""
    return BucketState(tokens=float(limit.burst), refilled_at=now, month=now.date().replace(day=1))


def drain(state, limit, now):
    """Spend until there is nothing left: how many there were, and the refusal."""
    count = 0
    while (decision := bucket.spend(state, limit, now=now)).wait_seconds == 0:
        state, count = decision.state, count + 1
    return count, decision


def test_burst_comes_at_once_and_the_rest_evenly_when_nobody_asked_before():
    """Four at noon, then one every ten seconds: ten in the first minute, both its ends included."""
    count, refused = drain(full(TEN_A_MINUTE, now=NOON), TEN_A_MINUTE, NOON)
    assert (count, refused.reason) == (4, "rate")
    assert refused.wait_seconds == pytest.approx(10, abs=1e-3)
    state = refused.state
    for number in range(1, 7):
        count, refused = drain(state, TEN_A_MINUTE, after(10 * number + 0.001))
        assert count == 1
        state = refused.state


def test_nothing_is_saved_up_when_nobody_asks_for_long():
    """An hour of silence gives one burst, no more."""
    _, refused = drain(full(TEN_A_MINUTE, now=NOON), TEN_A_MINUTE, NOON)
    assert drain(refused.state, TEN_A_MINUTE, after(3600))[0] == 4


def test_month_is_over_when_its_budget_is_used_up():
    """The next month begins with a new one, at midnight in UTC."""
    limit = Limit(monthly_requests=3)
    count, refused = drain(full(limit, now=NOON), limit, NOON)
    assert (count, refused.reason, refused.wait_seconds) == (3, "month", 12 * 3600)
    assert drain(refused.state, limit, after(12 * 3600))[0] == 3


def test_clock_that_goes_back_gives_nothing():
    """Neither tokens nor a month that was used up."""
    limit = evolve(TEN_A_MINUTE, monthly_requests=5)
    _, refused = drain(full(limit, now=NOON), limit, NOON)
    assert drain(refused.state, limit, NOON - timedelta(days=40))[0] == 0
    used = evolve(refused.state, month_used=5, tokens=4.0)
    assert bucket.spend(used, limit, now=NOON - timedelta(days=40)).reason == "month"


def test_everybody_waits_when_the_upstream_wants_to_be_left_alone():
    """The longest wish counts, and none counts for more than a week."""
    state = bucket.block(full(TEN_A_MINUTE, now=NOON), TEN_A_MINUTE, seconds=100, now=NOON)
    state = bucket.block(state, TEN_A_MINUTE, seconds=5, now=after(1))
    decision = bucket.spend(state, TEN_A_MINUTE, now=after(40))
    assert (decision.reason, decision.wait_seconds) == ("blocked", 60)
    assert bucket.block(state, TEN_A_MINUTE, seconds=1e12, now=NOON).blocked_until == after(7 * 86400)


@pytest.mark.parametrize("asked_after", [None, 40, 99])
def test_one_comes_at_once_and_the_rest_evenly_when_the_upstream_was_left_alone(asked_after):
    """What comes back while nobody may ask is not saved up for a burst, whoever looked at the bucket meanwhile."""
    state = bucket.block(full(TEN_A_MINUTE, now=NOON), TEN_A_MINUTE, seconds=100, now=NOON)
    if asked_after is not None:
        state = bucket.spend(state, TEN_A_MINUTE, now=after(asked_after)).state
    count, refused = drain(state, TEN_A_MINUTE, after(100.001))
    assert (count, refused.reason) == (1, "rate")
    assert refused.wait_seconds == pytest.approx(10, abs=0.01)


def test_nothing_is_given_when_the_upstream_wants_to_be_left_alone_for_no_time():
    """A wish of no seconds is no way around the rate; of a full bucket one is left."""
    _, refused = drain(full(TEN_A_MINUTE, now=NOON), TEN_A_MINUTE, NOON)
    assert drain(bucket.block(refused.state, TEN_A_MINUTE, seconds=0, now=NOON), TEN_A_MINUTE, NOON)[0] == 0
    unused = full(TEN_A_MINUTE, now=NOON)
    assert drain(bucket.block(unused, TEN_A_MINUTE, seconds=0, now=NOON), TEN_A_MINUTE, NOON)[0] == 1


def test_upstream_is_believed_when_it_says_that_less_is_left():
    """Others may use the key: what it says lowers our own count, and never raises it."""
    state = full(TEN_A_MINUTE, now=NOON)
    assert bucket.correct(state, TEN_A_MINUTE, remaining=2, reset_seconds=30, now=NOON).tokens == 2
    assert bucket.correct(state, TEN_A_MINUTE, remaining=99, reset_seconds=30, now=NOON).tokens == 4
    assert bucket.correct(state, TEN_A_MINUTE, remaining=0, reset_seconds=30, now=NOON).blocked_until == after(30)
    assert bucket.correct(state, TEN_A_MINUTE, remaining=0, reset_seconds=None, now=NOON).tokens == 0


def test_no_rate_holds_when_none_is_set():
    """The month is counted all the same."""
    state = full(Limit(), now=NOON)
    for _ in range(50):
        decision = bucket.spend(state, Limit(), now=NOON)
        assert decision.wait_seconds == 0
        state = decision.state
    assert (state.month, state.month_used) == (date(2026, 1, 1), 50)


LIMITS = st.integers(2, 40).flatmap(
    lambda n: st.builds(Limit, requests=st.just(n), seconds=st.floats(0.5, 100), burst=st.integers(1, n - 1))
)


@given(limit=LIMITS, gaps=st.lists(st.floats(0, 50), min_size=1, max_size=120))
def test_no_window_sees_more_than_it_may_when_requests_come_in_any_order(limit, gaps):
    """Closed windows, at any place; and whoever waits as long as told may go on."""
    state, now, sent = full(limit, now=NOON), NOON, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        decision = bucket.spend(state, limit, now=now)
        if decision.wait_seconds:
            now += timedelta(seconds=decision.wait_seconds) + timedelta(microseconds=1)
            decision = bucket.spend(decision.state, limit, now=now)
        assert decision.wait_seconds == 0
        assert 0 <= decision.state.tokens <= limit.burst
        state = decision.state
        sent.append((now - NOON).total_seconds())
    for start in sent:
        assert sum(start <= moment <= start + limit.seconds for moment in sent) <= limit.requests
