"""When is a source due next? Pure answers from a schedule text and two moments.

A schedule is `every 5m` (units s, m, h, d) or a cron expression of five fields in UTC, read as Debian's cron does.
"""

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from attrs import frozen
from cronsim import CronSim, CronSimError

_EVERY = re.compile(r"^every\s+(\d{1,6})\s*([smhd])$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# Seconds. The first retry of a failed run; it doubles with every further failure.
FIRST_RETRY_SECONDS = 30.0
# Seconds. A source that keeps failing is tried at least this often: an hour of missing data is what an operator bears.
MAX_RETRY_SECONDS = 3600.0
# Gaps of a cron expression that are looked at for its longest one: a week of hourly runs, or two years of monthly ones.
_CRON_SAMPLE = 24
# Seconds in a month of the Gregorian calendar's average year (365.2425 days), for projected calls.
MONTH_SECONDS = 365.2425 / 12 * 86400


@frozen(kw_only=True)
class Schedule:
    """A parsed schedule. `interval_seconds` is None for a cron expression."""

    text: str
    interval_seconds: int | None = None


def parse(text: str) -> Schedule:
    """Read a schedule. Raises ValueError that says what a schedule looks like."""
    text = " ".join(text.split())
    every = _EVERY.match(text)
    if every:
        seconds = int(every[1]) * _UNIT_SECONDS[every[2]]
        if not 1 <= seconds <= 366 * 86400:
            raise ValueError(f"must be between 1 second and a year, got {text!r}")
        return Schedule(text=text, interval_seconds=seconds)
    try:
        if len(text.split()) != 5:
            raise ValueError
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001 - any start will do to see that it ever comes due
    except (CronSimError, ValueError, StopIteration):
        if _never_comes_due(text):
            raise ValueError(f"never comes due: no month of {text!r} has such a day") from None
        raise ValueError(f"must be 'every 5m' or a cron expression of five fields, got {text!r}") from None
    return Schedule(text=text)


def _never_comes_due(text: str) -> bool:
    """Whether every field is right by itself: then it is day and month together that no year has."""
    fields = text.split()
    try:
        for free in (2, 3):
            CronSim(" ".join("*" if i == free else part for i, part in enumerate(fields)), datetime(2024, 1, 1))  # noqa: DTZ001
    except CronSimError:
        return False
    return len(fields) == 5


def next_run_at(schedule: Schedule, *, previous: datetime | None, now: datetime) -> datetime:
    """The first moment after `now` on the schedule's own grid.

    The grid of `every` starts at `previous`, the moment that was due last, so that neither a slow run nor a restart
    shifts it.
    """
    now = now.astimezone(UTC)
    if schedule.interval_seconds is None:
        moment: datetime = next(CronSim(schedule.text, now))
        return moment
    if previous is None:
        return now + timedelta(seconds=schedule.interval_seconds)
    missed = max((now - previous) // timedelta(seconds=schedule.interval_seconds), -1)
    return previous.astimezone(UTC) + timedelta(seconds=schedule.interval_seconds) * (missed + 1)


def retry_at(schedule: Schedule, regular: datetime, *, now: datetime, failures: int) -> datetime:
    """When to try again after `failures` failed runs in a row.

    Soon, then ever later: at first before the `regular` time, then beyond it, so that what stays broken is asked ever
    more rarely; but it is asked, at least every MAX_RETRY_SECONDS or interval.
    """
    now = now.astimezone(UTC)
    seconds = FIRST_RETRY_SECONDS * 2.0 ** min(max(failures - 1, 0), 30)
    interval_seconds = longest_gap_seconds(schedule, now=now)
    if seconds <= interval_seconds:
        return min(regular, now + timedelta(seconds=seconds))
    return now + timedelta(seconds=min(seconds, max(interval_seconds, MAX_RETRY_SECONDS)))


def longest_gap_seconds(schedule: Schedule, *, now: datetime) -> float:
    """The longest time between two runs: the interval, or the widest gap among the next runs of a cron expression."""
    if schedule.interval_seconds is not None:
        return float(schedule.interval_seconds)
    moments = list(islice(CronSim(schedule.text, now.astimezone(UTC)), _CRON_SAMPLE))
    return max((later - earlier).total_seconds() for earlier, later in pairwise(moments))


def runs_per_month(schedule: Schedule, *, now: datetime) -> float:
    """How many runs an average month holds."""
    if schedule.interval_seconds is not None:
        return MONTH_SECONDS / schedule.interval_seconds
    now = now.astimezone(UTC)
    end = now + timedelta(days=366)
    runs = 0
    for moment in CronSim(schedule.text, now):
        if moment > end:
            break
        runs += 1
    return runs / 366 * MONTH_SECONDS / 86400
