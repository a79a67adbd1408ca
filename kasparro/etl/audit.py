"""What do the source files and the environment come to? For `kasparro sources`: the file that a source is read from,
the address and plan it asks with, and whether its upstream's monthly budget carries its schedule."""

import glob
import math
from datetime import datetime
from pathlib import Path

from attrs import frozen

from kasparro.config import Config, Secret
from kasparro.etl import catalogue, schedule, source_file
from kasparro.etl.source import Source

# Suggested intervals are whole minutes: nobody writes `every 437s`.
_MINUTE_SECONDS = 60


@frozen(kw_only=True)
class Audit:
    """One source as it will be run.

    `calls_per_month` is the projection, `problem` says why it cannot be carried, `warning` what has no effect.
    """

    source: Source
    file: Path
    url: str | None
    key_variable: str | None
    key: Secret | None
    plan: str | None
    files: int | None
    calls_per_month: int
    problem: str | None
    warning: str | None


def sources(found: dict[str, Source], config: Config, *, now: datetime) -> list[Audit]:
    """Audit every source of `found`, in its order. Reads the source files again and looks for the files of globs."""
    paths = _locate(config)
    return [_audit(source, paths[name], config, now) for name, source in found.items()]


def _audit(source: Source, path: Path, config: Config, now: datetime) -> Audit:
    runs_per_month = schedule.runs_per_month(source.schedule, now=now)
    calls = math.ceil(catalogue.requests_per_month(source, runs_per_month))
    endpoint = catalogue.endpoint(source, config) if source.http is not None else None
    auth = source.auth
    plan = None
    if endpoint is not None and endpoint.key is not None and auth is not None and auth.plans:
        plan = config.upstream_plans.get(auth.plan or "", auth.default_plan or "")
    return Audit(
        source=source,
        file=path,
        url=endpoint.url if endpoint is not None else None,
        key_variable=auth.key if auth is not None else None,
        key=endpoint.key if endpoint is not None else None,
        plan=plan,
        files=None if source.files is None else _count_files(source.files.glob),
        calls_per_month=calls,
        problem=_over_budget(source, calls, runs_per_month) if source.enabled else None,
        warning=_idle_plan(source, config) if source.enabled else None,
    )


def _idle_plan(source: Source, config: Config) -> str | None:
    """A plan without its key changes nothing, which whoever set it does not expect."""
    auth = source.auth
    if auth is None or auth.key in config.upstream_keys:
        return None
    plan = config.upstream_plans.get(auth.plan or "")
    return None if plan is None else f"{source.name}: {auth.plan}={plan} has no effect without {auth.key}"


def _over_budget(source: Source, calls: int, runs_per_month: float) -> str | None:
    """By how much the projected calls exceed the budget, and what would change that."""
    budget = source.limits.monthly_requests
    if budget is None or calls <= budget:
        return None
    prefix = f"KASPARRO_SOURCE_{source.name.upper()}_"
    # Scaled down from the source's own rate, so that it holds for any number of pages a run.
    seconds = schedule.MONTH_SECONDS / runs_per_month * calls / budget if budget else math.inf
    advice = []
    if seconds < schedule.MONTH_SECONDS:
        minutes = math.ceil(seconds / _MINUTE_SECONDS)
        advice.append(f"{prefix}SCHEDULE (for example 'every {minutes}m')")
    if source.paging is not None:
        advice.append(f"{prefix}MAX_PAGES")
    advice.append("limits.monthly_requests in its file, if the plan allows more")
    return (
        f"{source.name}: {calls:,} upstream calls a month are {calls - budget:,} above its budget of {budget:,}: "
        f"change {' or '.join(advice)}"
    )


def _count_files(pattern: str) -> int:
    return sum(Path(path).is_file() for path in glob.iglob(pattern, recursive=True)) if pattern else 0


def _locate(config: Config) -> dict[str, Path]:
    """The file of every source; the operator's before the built-in one of the same name."""
    found: dict[str, Path] = {}
    for folder in filter(None, (catalogue.BUILT_IN_FOLDER, config.sources_dir)):
        for path in sorted(folder.glob("*.toml")):
            found[source_file.load(path).name] = path
    return found
