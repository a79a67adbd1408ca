"""When is a source due again after a run that ended so? Pure answers from its schedule row, the ending and the time."""

from datetime import datetime, timedelta

from attrs import evolve

from kasparro.etl import schedule
from kasparro.etl.source import Source
from kasparro.model import RunStatus
from kasparro.store import schedules
from kasparro.store.run_endings import Ending

# Crashes in a row from which on a scheduled run waits like after failures: one or two are resumed at once.
_CRASH_LOOP = 3
# Statuses after which the source counts as healthy: its failures are forgotten.
_HEALTHY = frozenset({RunStatus.SUCCEEDED, RunStatus.PARTIAL})


def _next_slot(source: Source, due: schedules.ScheduleState) -> datetime:
    """The next moment on the source's own grid; a retry in between leaves it where it is."""
    if due.slot_at is not None and due.slot_at > due.now:
        return due.slot_at
    return schedule.next_run_at(source.schedule, previous=due.slot_at, now=due.now)


def after_crash(source: Source, due: schedules.ScheduleState) -> schedules.ScheduleState:
    """The schedule after a run that left its work undone: whoever asked for it, it is resumed at once."""
    state = evolve(due, failures=due.failures + 1)
    if due.blocked_until is None or due.blocked_until <= due.now:
        state = evolve(state, next_run_at=min(due.next_run_at or due.now, due.now))
    if state.failures >= _CRASH_LOOP:
        slot = _next_slot(source, due)
        retry_at = schedule.retry_at(source.schedule, slot, now=due.now, failures=state.failures)
        state = evolve(state, slot_at=slot, next_run_at=retry_at)
    return state


def after(source: Source, ending: Ending, due: schedules.ScheduleState) -> schedules.ScheduleState:
    """The schedule after a run that ended now."""
    if ending.status is RunStatus.CRASHED:
        return after_crash(source, due)
    slot = _next_slot(source, due)
    due = evolve(due, slot_at=slot, blocked_until=None)
    if ending.retry_seconds is not None:
        until = due.now + timedelta(seconds=ending.retry_seconds)
        return evolve(due, next_run_at=until, blocked_until=until if ending.blocked else None)
    if ending.status is RunStatus.INTERRUPTED:
        return evolve(due, next_run_at=due.now)
    if ending.status in _HEALTHY:
        return evolve(due, next_run_at=slot, failures=0)
    failures = due.failures + 1
    retry_at = schedule.retry_at(source.schedule, slot, now=due.now, failures=failures)
    return evolve(due, next_run_at=retry_at, failures=failures)
