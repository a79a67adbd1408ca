"""How the service writes times and ids of its own."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kasparro.clock import SystemClock
from kasparro.http import render, state


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00Z"),
        (datetime(2024, 1, 1, 0, 0, 0, 120000, tzinfo=UTC), "2024-01-01T00:00:00.12Z"),
        (datetime(2024, 1, 1, 0, 0, 10, 0, tzinfo=UTC), "2024-01-01T00:00:10Z"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2023-12-31T22:00:00Z"),
        (None, None),
    ],
)
def test_utc_is_rfc_3339(moment: datetime | None, text: str | None) -> None:
    """Microseconds only where there are some, and always Z."""
    assert render.utc(moment) == text


@pytest.mark.parametrize("inbound", ["abc-123", "a" * 128, "1f2e:3.4_5"])
def test_safe_request_id_is_kept(inbound: str) -> None:
    """A caller's id leads through its logs and ours."""
    assert state.begin(inbound, SystemClock()).request_id == inbound


@pytest.mark.parametrize("inbound", [None, "", "a" * 129, "a b", 'a"b', "a\nb", "é", "a;b", "${x}"])
def test_unsafe_request_id_is_replaced(inbound: str | None) -> None:
    """What could break a header or a log line never gets there."""
    made = state.begin(inbound, SystemClock()).request_id
    assert made != inbound
    assert len(made) == 32
