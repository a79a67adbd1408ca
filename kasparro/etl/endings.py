"""What is a run's end called? From its errors to what its record, and the log, say of it."""

import logging
from collections.abc import Collection
from typing import Any

from attrs import asdict

from kasparro import errors
from kasparro.etl.job import Job
from kasparro.model import RunResult, RunStatus
from kasparro.store.run_endings import Ending

logger = logging.getLogger(__name__)


def ending(job: Job, status: RunStatus, error: errors.KasparroError | None = None) -> Ending:
    """The end of a run, by this error if there is one."""
    return Ending(
        status=status,
        stage_seconds=dict(job.seconds),
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        retry_seconds=error.seconds if isinstance(error, errors.DeferredError) else None,
        blocked=isinstance(error, errors.DeferredError) and error.wished,
    )


def of_slices(job: Job, *, worst: Collection[str]) -> Ending:
    """The end of a run that came to its end: failed when all its slices did, or one of them by a code in `worst`."""
    if not job.slice_errors:
        return ending(job, RunStatus.SUCCEEDED)
    bad = [ex for ex in job.slice_errors if ex.code in worst]
    first, more = (bad or job.slice_errors)[0], len(job.slice_errors) - 1
    error = errors.SliceError(first.message + (f" (and {more} more)" if more else ""), code=first.code)
    failed = bad or len(job.slice_errors) == job.slices
    return ending(job, RunStatus.FAILED if failed else RunStatus.PARTIAL, error)


def log(result: RunResult, ended: Ending) -> None:
    """One line for the end of a run, and one for each verdict on it."""
    level = logging.INFO if result.status is RunStatus.SUCCEEDED else logging.WARNING
    fields: dict[str, Any] = {"status": result.status.value, "seconds": round(result.seconds, 3)}
    fields["stage_seconds"] = {name: round(seconds, 3) for name, seconds in ended.stage_seconds.items()}
    fields |= asdict(result.counts) | {name: round(value, 3) for name, value in asdict(result.traffic).items()}
    if result.error_message:
        fields |= {"code": result.error_code, "error": result.error_message}
    logger.log(level, "run ended", extra=fields)
    for each in result.anomalies:
        level = logging.ERROR if each.severity == "alert" else logging.WARNING
        found = asdict(each)
        logger.log(level, "anomaly", extra=found | {"verdict": found.pop("message")})
