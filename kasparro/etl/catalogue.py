"""Which sources are there? The built-in files and the operator's, as the environment changes them.

The built-in sources are files like anyone's own. A file of the same name in the operator's folder replaces one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import asdict, evolve, frozen

from kasparro import errors
from kasparro.config import Config, Secret, SourceOverride
from kasparro.etl import schedule as schedules
from kasparro.etl import source_file
from kasparro.etl.source import Auth, Limits, Source

NO_SUCH_SOURCE = "there is no source"
BUILT_IN_FOLDER = Path(__file__).parent / "sources"


def load_all(config: Config) -> dict[str, Source]:
    """All sources, built-in and the operator's, with the environment's overrides, by name in order.

    Raises ConfigError with one line for every mistake, each naming file and key, or the variable.
    """
    problems: list[str] = []
    found: dict[str, Source] = {}
    for folder in filter(None, (BUILT_IN_FOLDER, config.sources_dir)):
        seen: dict[str, str] = {}
        for path in sorted(folder.glob("*.toml")):
            try:
                source = source_file.load(path)
            except errors.ConfigError as ex:
                problems += ex.problems
                continue
            if source.name in seen:
                problems.append(f"{path.name}: name: {source.name!r} is already the name of {seen[source.name]}")
            seen[source.name] = path.name
            found[source.name] = source
    for name in sorted(config.source_overrides.keys() - found.keys()):
        for variable in _variables(name, config.source_overrides[name]):
            problems.append(f"{variable}: {NO_SUCH_SOURCE} {name!r} ({', '.join(sorted(found))})")
    effective: dict[str, Source] = {}
    for name in sorted(found):
        try:
            effective[name] = override(found[name], config)
            if effective[name].http is not None:
                endpoint(effective[name], config)
        except errors.ConfigError as ex:
            problems += ex.problems
    problems += _unequal_limits(effective)
    if problems:
        raise errors.ConfigError(problems)
    return effective


def override(source: Source, config: Config) -> Source:
    """The source as the environment changes it. Raises ConfigError that names the variable."""
    source = evolve(source, limits=_limits_of_key(source, config))
    change = config.source_overrides.get(source.name)
    prefix = f"KASPARRO_SOURCE_{source.name.upper()}_"
    if source.files is not None:
        glob = config.csv_glob if source.name == "csv" and config.csv_glob else source.files.glob
        source = evolve(source, files=evolve(source.files, glob=glob), enabled=source.enabled and bool(glob))
    if change is None:
        return source
    try:
        if change.schedule is not None:
            source = evolve(source, schedule=schedules.parse(change.schedule))
    except ValueError as ex:
        raise errors.ConfigError([f"{prefix}SCHEDULE: {ex}"]) from ex
    if change.enabled is not None:
        if change.enabled and source.files is not None and not source.files.glob:
            raise errors.ConfigError([f"{prefix}ENABLED: the source has no files: set KASPARRO_CSV_GLOB"])
        source = evolve(source, enabled=change.enabled)
    if change.url is not None:
        if source.http is None:
            raise errors.ConfigError([f"{prefix}URL: {source.name} is read from files, not from an address"])
        source = evolve(source, http=evolve(source.http, url=change.url), auth=_same_host(source.auth))
    if change.rate is not None:
        if source.http is None:
            raise errors.ConfigError([f"{prefix}RATE: {source.name} is read from files, nobody is asked"])
        requests, seconds = change.rate
        burst = 1 if requests is None else requests // 2
        source = evolve(source, limits=evolve(source.limits, requests=requests, seconds=seconds, burst=burst))
    if change.max_pages is not None:
        if source.paging is None:
            raise errors.ConfigError([f"{prefix}MAX_PAGES: {source.name} has no pages"])
        source = evolve(source, paging=evolve(source.paging, max_pages=change.max_pages or None))
    return source


@frozen(kw_only=True)
class Endpoint:
    """Where to ask and with what: `headers` hold the key, so this value never prints them."""

    url: str
    key: Secret | None = None
    key_header: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries the key, if there is one."""
        return {self.key_header: self.key.reveal()} if self.key is not None else {}


def endpoint(source: Source, config: Config) -> Endpoint:
    """The address of an API source for the key and plan that the environment gives.

    Raises ConfigError when the plan is none of the source's.
    """
    if source.http is None:
        raise errors.ConfigError([f"{source.name}: has no [http] table"])
    auth = source.auth
    url = source.http.url
    if auth is None:
        return Endpoint(url=url)
    key = config.upstream_keys.get(auth.key)
    if key is None:
        return Endpoint(url=url)
    if not auth.plans:
        return Endpoint(url=auth.url or url, key=key, key_header=auth.header)
    plan = config.upstream_plans.get(auth.plan or "", auth.default_plan or "")
    if plan not in auth.plans:
        raise errors.ConfigError([f"{auth.plan}: must be one of {', '.join(auth.plans)}"])
    return Endpoint(url=auth.plans[plan].url or url, key=key, key_header=auth.plans[plan].header)


def requests_per_month(source: Source, runs_per_month: float) -> float:
    """The projected upstream calls of an average month; 0 for files."""
    if source.http is None:
        return 0.0
    pages = 1 if source.paging is None else source.paging.max_pages or source.paging.usual_pages
    return runs_per_month * pages


def _unequal_limits(sources: Mapping[str, Source]) -> Iterator[str]:
    """Sources that share a bucket and do not agree on what it holds."""
    first: dict[str, Source] = {}
    for source in sources.values():
        known = first.setdefault(source.bucket, source)
        if known.limits.as_limit() != source.limits.as_limit():
            yield f"{source.name}: limits: must be those of {known.name}, which has the same bucket {source.bucket!r}"


def _limits_of_key(source: Source, config: Config) -> Limits:
    """What the key and its plan allow, where they say so; else the source's own limits."""
    auth = source.auth
    if auth is None or auth.key not in config.upstream_keys:
        return source.limits
    plan = auth.plans.get(config.upstream_plans.get(auth.plan or "", auth.default_plan or ""))
    found = (plan.limits if plan is not None else None) or auth.limits or source.limits
    return found if found.bucket else evolve(found, bucket=source.limits.bucket)


def _variables(name: str, change: SourceOverride) -> list[str]:
    """The variables that make up this change; where none of their values could be read, what they begin with."""
    prefix = f"KASPARRO_SOURCE_{name.upper()}_"
    given = [f"{prefix}{key.upper()}" for key, value in asdict(change).items() if value is not None]
    return sorted(given) or [f"{prefix}..."]


def _same_host(auth: Auth | None) -> Auth | None:
    """An address given by the operator is the address, whatever the plan."""
    if auth is None:
        return None
    return evolve(auth, url=None, plans={name: evolve(plan, url=None) for name, plan in auth.plans.items()})
