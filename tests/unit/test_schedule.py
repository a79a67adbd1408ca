"""When a source is due next: grids, cron, retries and projected calls, all from two moments and a text."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import schedule

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOURLY = schedule.parse("every 1h")
MOMENTS = st.integers(-(10**9), 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("every 5m", 300), ("every 1s", 1), ("every 2h", 7200), ("every 1d", 86400), ("  every   30 s ", 30)],
)
def test_parse_reads_an_interval_when_its_unit_is_known(text, seconds):
    """Seconds, minutes, hours and days; spaces do not matter."""
    assert schedule.parse(text).interval_seconds == seconds


@pytest.mark.parametrize("text", ["*/5 * * * *", "0 12 * * 1-5", "15,45 8 1 1 *"])
def test_parse_keeps_a_cron_expression_when_it_has_five_fields(text):
    """A cron expression has no interval of its own."""
    assert schedule.parse(text) == schedule.Schedule(text=text)


@pytest.mark.parametrize(
    "text",
    [
        "", "every", "every m", "every 0s", "every 367d", "every -5m", "every 5 weeks", "5m", "* * * *", "* * * * * *",
        "61 * * * *", "61 0 30 2 *", "@daily", "every 5m extra", "every 1.5h",
    ],
)  # fmt: skip
def test_parse_says_what_a_schedule_looks_like_when_the_text_is_none(text):
    """Whatever is wrong, the message quotes the text or the bounds."""
    with pytest.raises(ValueError, match=r"every 5m|between 1 second and a year"):
        schedule.parse(text)


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        (NOON, NOON, NOON + timedelta(hours=1)),
        (NOON, NOON + timedelta(minutes=20), NOON + timedelta(hours=1)),
        (NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)),
        (NOON, NOON + timedelta(hours=7, minutes=5), NOON + timedelta(hours=8)),
        (NOON, NOON - timedelta(minutes=5), NOON),
        (NOON, NOON - timedelta(days=3), NOON),
        (None, NOON, NOON + timedelta(hours=1)),
    ],
)
def test_next_run_stays_on_the_grid_of_the_previous_one_when_slots_were_missed(previous, now, expected):
    """A slow run, a stop or a moment that is not yet over shift nothing; missed slots are not made up for."""
    assert schedule.next_run_at(HOURLY, previous=previous, now=now) == expected


@given(previous=MOMENTS, now=MOMENTS, seconds=st.integers(1, 86400))
def test_next_run_is_the_first_slot_after_now_when_the_previous_one_is_over(previous, now, seconds):
    """It is on the grid, after now, and no slot lies between."""
    plan = schedule.Schedule(text="every", interval_seconds=seconds)
    found = schedule.next_run_at(plan, previous=previous, now=now)
    assert (found - previous) % timedelta(seconds=seconds) == timedelta(0)
    if previous <= now:
        assert now < found <= now + timedelta(seconds=seconds)
    else:
        assert found == previous


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 12 * * *", datetime(2026, 3, 28, 12, 30, tzinfo=UTC)),
        ("0 12 * * *", datetime(2026, 3, 29, 12, tzinfo=UTC)),
        ("0 0 1 * *", datetime(2026, 4, 1, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 3, 28, 12, 15, tzinfo=UTC)),
    ],
)
def test_next_run_follows_the_cron_expression_when_there_is_one(text, expected):
    """The first match after now, whatever was due before."""
    assert schedule.next_run_at(schedule.parse(text), previous=NOON - timedelta(days=9), now=NOON) == expected


@pytest.mark.parametrize("text", ["every 1d", "0 12 * * *"])
def test_next_run_is_a_day_later_when_clocks_change_somewhere(text):
    """Schedules are in UTC, which has no summer time."""
    plan = schedule.parse(text)
    moments = [datetime(2026, 3, 25, 12, tzinfo=UTC)]
    for _ in range(250):
        moments.append(schedule.next_run_at(plan, previous=moments[-1], now=moments[-1]))
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {timedelta(days=1)}


@pytest.mark.parametrize(
    ("text", "failures", "seconds"),
    [
        ("every 1h", 0, 30), ("every 1h", 1, 30), ("every 1h", 2, 60), ("every 1h", 5, 480), ("every 1h", 7, 1920),
        ("every 1h", 8, 3600), ("every 1h", 10_000, 3600), ("every 5m", 4, 240), ("every 5m", 5, 480),
        ("every 5m", 7, 1920), ("every 5m", 8, 3600), ("every 5m", 99, 3600),
        ("every 2h", 99, 7200), ("0 0 * * *", 99, 86400), ("every 10s", 1, 30), ("every 10s", 99, 3600),
    ],
)  # fmt: skip
def test_retry_comes_later_each_time_when_runs_keep_failing(text, failures, seconds):
    """It doubles from half a minute on, wider than the interval in the end, and never stops."""
    plan = schedule.parse(text)
    regular = NOON + timedelta(seconds=schedule.longest_gap_seconds(plan, now=NOON))
    found = schedule.retry_at(plan, regular, now=NOON, failures=failures)
    assert found == NOON + timedelta(seconds=seconds)


def test_retry_is_the_regular_run_when_that_comes_first():
    """Nobody waits for a retry when the schedule asks anyway."""
    soon = NOON + timedelta(seconds=10)
    assert schedule.retry_at(HOURLY, soon, now=NOON, failures=3) == soon


@pytest.mark.parametrize(
    ("text", "seconds"), [("every 5m", 300), ("0 * * * *", 3600), ("0 9 * * 1-5", 3 * 86400), ("0 0 1 * *", 31 * 86400)]
)
def test_longest_gap_is_the_widest_one_when_cron_is_irregular(text, seconds):
    """A weekend counts for a schedule of working days, a long month for a monthly one."""
    assert schedule.longest_gap_seconds(schedule.parse(text), now=NOON) == seconds


@pytest.mark.parametrize(
    ("text", "runs"), [("every 5m", 8765.82), ("0 * * * *", 730.485), ("0 0 * * *", 30.4369), ("0 0 1 * *", 1.0)]
)
def test_runs_per_month_is_that_of_an_average_month_when_projected(text, runs):
    """365.2425 days make twelve months."""
    assert schedule.runs_per_month(schedule.parse(text), now=NOON) == pytest.approx(runs, rel=0.01)


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_parse_says_that_a_cron_expression_never_comes_due_when_no_month_has_its_day(text):
    """Every field is right by itself, so its shape is not what to look at."""
    with pytest.raises(ValueError, match="never comes due"):
        schedule.parse(text)
