"""When a request is tried again, and after how long: a table, and what holds for any failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.errors import FetchError
from kasparro.etl import retry
from kasparro.etl.retry import Defer, GiveUp, Policy, Retry, Spent

POLICY = Policy(max_retries=4, max_seconds=60)


def longest(_low, high):
    """The draw that is worst for whoever waits."""
    return high


def failure(*, retryable=True, after=None):
    return FetchError("no", code="http_500", retryable=retryable, status=500, retry_after_seconds=after)


@pytest.mark.parametrize(
    ("attempt", "spent", "after", "expected"),
    [
        (1, Spent(), None, Retry(wait_seconds=0.5)),
        (2, Spent(), None, Retry(wait_seconds=1.0)),
        (4, Spent(), None, Retry(wait_seconds=4.0)),
        (7, Spent(), None, Retry(wait_seconds=30.0)),
        (5000, Spent(), None, Retry(wait_seconds=30.0)),
        (1, Spent(retries=3), None, Retry(wait_seconds=0.5)),
        (1, Spent(retries=4), None, GiveUp()),
        (1, Spent(seconds=59.8), None, GiveUp()),
        (1, Spent(), 10.0, Retry(wait_seconds=10.0)),
        (1, Spent(), 0.0, Retry(wait_seconds=0.0)),
        (1, Spent(seconds=51.0), 10.0, Defer(seconds=10.0)),
        (1, Spent(), 7200.0, Defer(seconds=7200.0)),
        (1, Spent(retries=4), 10.0, GiveUp()),
        (1, Spent(retries=4), 7200.0, Defer(seconds=7200.0)),
    ],
)
def test_decision_follows_the_budget_when_a_failure_may_pass(attempt, spent, after, expected):
    """Waits double up to their cap; the upstream's wish goes first; what the budget cannot carry is left for later."""
    assert retry.decide(failure(after=after), attempt=attempt, spent=spent, policy=POLICY, draw=longest) == expected


def test_nothing_is_tried_again_when_it_would_stay_the_same():
    """A wrong key is wrong in a minute too."""
    found = retry.decide(failure(retryable=False, after=1.0), attempt=1, spent=Spent(), policy=POLICY, draw=longest)
    assert found == GiveUp()


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    after=st.lists(st.none() | st.floats(0, 200), min_size=50, max_size=50),
)
def test_budget_is_kept_when_failures_never_end(shares, after):
    """Whatever is drawn and asked for: it ends, within the retries and seconds that there are."""
    spent = Spent()
    for number, share in enumerate(shares):
        found = retry.decide(
            failure(after=after[number]),
            attempt=number + 1,
            spent=spent,
            policy=POLICY,
            draw=lambda low, high, share=share: low + (high - low) * share,
        )
        if not isinstance(found, Retry):
            break
        spent = spent.plus(seconds=found.wait_seconds)
    assert spent.retries <= POLICY.max_retries
    assert spent.seconds <= POLICY.max_seconds
