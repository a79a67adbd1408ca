"""When is a source stale, and the service degraded?"""

from typing import Any

import pytest

from kasparro import errors, model
from kasparro.http import health
from kasparro.store.health import SourceHealth

LIMIT = 2 * 300 + 60


def source(**changes: Any) -> model.SourceInfo:
    settings: dict[str, Any] = {
        "name": "a", "enabled": True, "interval_seconds": 300.0, "freshness_seconds": None, "monthly_requests": None,
        "config_fingerprint": "f",
    }  # fmt: skip
    return model.SourceInfo(**settings | changes)


def overall(info: model.SourceInfo, state: SourceHealth) -> str:
    return health.overall([info], health.Findings(error=None, sources={"a": state}))


@pytest.mark.parametrize(("age", "stale"), [(0.0, False), (LIMIT - 1.0, False), (LIMIT + 1.0, True)])
def test_source_is_stale_after_two_intervals_and_a_minute(age: float, stale: bool) -> None:
    """One failed run is no alarm, two are."""
    assert health.is_stale(source(), SourceHealth(success_age_seconds=age)) is stale


def test_source_without_schedule_is_never_late() -> None:
    """Nobody promised a next run."""
    assert not health.is_stale(source(interval_seconds=None), SourceHealth(success_age_seconds=1e9))


def test_old_data_counts_only_where_freshness_is_asked_for() -> None:
    """An archive's data may be of any age."""
    old = SourceHealth(success_age_seconds=1.0, data_age_seconds=1e8)
    assert not health.is_stale(source(), old)
    assert health.is_stale(source(freshness_seconds=3600.0), old)


def test_data_may_be_as_old_as_the_schedule_makes_them() -> None:
    """An hourly cron for a source that is made for five minutes is no lasting alarm."""
    hourly = source(freshness_seconds=1800.0, interval_seconds=3600.0)
    assert not health.is_stale(hourly, SourceHealth(success_age_seconds=1.0, data_age_seconds=7200.0))
    assert health.is_stale(hourly, SourceHealth(success_age_seconds=1.0, data_age_seconds=7300.0))


def test_source_that_never_succeeded_is_stale_when_long_due() -> None:
    """A scheduler that never gets to a source is noticed."""
    assert not health.is_stale(source(), SourceHealth())
    assert not health.is_stale(source(), SourceHealth(due_age_seconds=-100.0))
    assert health.is_stale(source(), SourceHealth(due_age_seconds=LIMIT + 1.0))


@pytest.mark.parametrize(
    ("status", "expected"),
    [("succeeded", "ok"), ("partial", "ok"), ("deferred", "ok"), ("failed", "degraded"), ("crashed", "degraded")],
)
def test_failed_last_run_degrades(status: str, expected: str) -> None:
    """What the last run says, the summary says."""
    assert overall(source(), SourceHealth(last_status=status, success_age_seconds=1.0)) == expected


def test_disabled_source_does_not_degrade() -> None:
    """What was switched off on purpose is no trouble."""
    assert overall(source(enabled=False), SourceHealth(last_status="failed", success_age_seconds=1e9)) == "ok"


def test_error_means_down() -> None:
    """Without the database there is nothing to say about sources."""
    found = health.Findings(error=errors.DatabaseUnavailableError("away"), sources={})
    assert health.overall([source()], found) == "down"
