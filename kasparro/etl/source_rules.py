"""Which sources make sense? The rules between the keys of a source file, each broken one named by its key."""

import math
import re
from collections.abc import Iterator

from kasparro.etl import field_rules, file_rules, values
from kasparro.etl.source import Kind, Source
from kasparro.fields import RECORD_CODES

NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*[^\s?#/])?")
# raw_records is the table that all partitions hang from.
RESERVED_NAMES = frozenset({"records"})
# Seconds, a year: what reads further back every time is no increment any more.
_MAX_LOOKBACK_SECONDS = 366 * 86400
# Requests or records: above any there are, and within Postgres' integer.
_MAX_COUNT = 1_000_000_000
# Seconds, a hundred years: what is older is not fresh by any measure, and is no interval of Postgres'.
_MAX_FRESHNESS_SECONDS = 36_500 * 86400
# Days, ten years: more than any upstream gives at once.
_MAX_WINDOW_DAYS = 3660


def problems(source: Source) -> Iterator[str]:
    """What cattrs cannot see: rules between keys."""
    if not NAME.match(source.name) or source.name in RESERVED_NAMES:
        yield f"name: must match {NAME.pattern} and not be 'records', got {source.name!r}"
    for code in sorted(source.expected - RECORD_CODES):
        yield f"expected: there is no rejection code {code!r} ({', '.join(sorted(RECORD_CODES))})"
    if source.kind is Kind.JSON_API:
        if source.http is None:
            yield "http: a json_api source needs a table [http] with url and path"
        if source.files is not None:
            yield "files: only a csv_files source has files"
    else:
        if source.files is None:
            yield "files: a csv_files source needs a table [files] with a glob"
        for key in ("http", "auth", "paging", "since", "backfill"):
            if getattr(source, key) is not None:
                yield f"{key}: only a json_api source has {key}"
    if source.max_rejected_share is not None and not 0 <= source.max_rejected_share <= 1:
        yield f"max_rejected_share: must be from 0 to 1, got {source.max_rejected_share!r}"
    if source.min_records is not None and not 0 <= source.min_records <= _MAX_COUNT:
        yield f"min_records: must be from 0 to {_MAX_COUNT}, got {source.min_records!r}"
    yield from source.drift.problems()
    yield from field_rules.problems(source)
    if source.files is not None:
        yield from file_rules.problems(source.files)
    yield from _check_history(source)
    yield from _check_http(source)
    yield from _check_limits(source)


def _check_limits(source: Source) -> Iterator[str]:
    tables = [("limits", source.limits)]
    if source.auth is not None:
        tables += [("auth.limits", source.auth.limits)] if source.auth.limits is not None else []
        tables += [
            (f"auth.plans.{name}.limits", plan.limits)
            for name, plan in source.auth.plans.items()
            if plan.limits is not None
        ]
    for where, limits in tables:
        if limits.bucket and not NAME.match(limits.bucket):
            yield f"{where}.bucket: must match {NAME.pattern}, got {limits.bucket!r}"
        if limits.monthly_requests is not None and not 1 <= limits.monthly_requests <= _MAX_COUNT:
            yield f"{where}.monthly_requests: must be from 1 to {_MAX_COUNT}"
        if not 0 < limits.seconds <= 86400:
            yield f"{where}.seconds: must be above 0 and at most 86400, got {limits.seconds!r}"
        if limits.requests is None and limits.burst != 1:
            yield f"{where}.burst: means nothing without requests"
        elif limits.requests is not None and not 2 <= limits.requests <= _MAX_COUNT:
            yield f"{where}.requests: must be from 2 (a longer window says the same of one) to {_MAX_COUNT}"
        elif limits.requests is not None and not 1 <= limits.burst < limits.requests:
            yield f"{where}.burst: must be from 1 to requests - 1, for the rest of them come back evenly"


def _check_history(source: Source) -> Iterator[str]:
    """What asks for a part of time only: [since] and [backfill]."""
    for table, asked in (("since", source.since), ("backfill", source.backfill)):
        if asked is not None and asked.format not in values.TIME_FORMATS:
            yield f"{table}.format: must be one of {', '.join(values.TIME_FORMATS)}, got {asked.format!r}"
    if source.since is not None:
        if not source.since.param:
            yield "since.param: must name a parameter"
        if not 0 <= source.since.lookback_seconds <= _MAX_LOOKBACK_SECONDS:
            yield f"since.lookback_seconds: must be from 0 to {_MAX_LOOKBACK_SECONDS}"
        if source.paging is not None and source.since.param in (source.paging.param, source.paging.size_param):
            yield f"since.param: {source.since.param!r} is a parameter of [paging] already"
    past = source.backfill
    if past is None:
        return
    if not re.fullmatch(r"/[^{}]*\{id\}[^{}]*", past.path):
        yield f"backfill.path: must begin with / and hold {{id}} once, got {past.path!r}"
    if not past.from_param or not past.to_param or past.from_param == past.to_param:
        yield "backfill.to_param: from_param and to_param must name two parameters"
    if not 1 <= past.window_days <= _MAX_WINDOW_DAYS:
        yield f"backfill.window_days: must be from 1 to {_MAX_WINDOW_DAYS}, got {past.window_days!r}"
    if past.max_records is not None and past.max_records < 1:
        yield "backfill.max_records: must be at least 1; leave it out for no limit"
    if past.series and past.records:
        yield "backfill.series: give either series or records"
    if "time" in past.series:
        yield "backfill.series.time: this name is that of the pairs' first part"
    for name in ("observed_at", "price_usd"):
        if name not in past.fields:
            yield f"backfill.fields.{name}: required"
    for name in ("external_id", "symbol", "name"):
        if name in past.fields:
            yield f"backfill.fields.{name}: is the listing's own, not to be mapped"
    yield from field_rules.check_maps("backfill.fields", past.fields, dotted=True)


def _check_http(source: Source) -> Iterator[str]:
    if source.http is not None:
        for key in ("connect_timeout_seconds", "read_timeout_seconds", "total_timeout_seconds", "max_bytes"):
            if not 0 < getattr(source.http, key) < math.inf:
                yield f"http.{key}: must be above 0, got {getattr(source.http, key)!r}"
        if source.http.total_timeout_seconds > 100:
            yield "http.total_timeout_seconds: must be at most 100: a run without a sign of life for 120 s is given up"
        if not source.http.path.startswith("/"):
            yield f"http.path: must begin with /, got {source.http.path!r}"
    for key, url in _addresses(source):
        if not _ADDRESS.fullmatch(url):
            yield f"{key}: must be an http:// or https:// address without a / at its end, got {url!r}"
    if source.http is not None:
        if not 0 <= source.http.max_retries <= 100:
            yield f"http.max_retries: must be from 0 to 100, got {source.http.max_retries!r}"
        if not 0 <= source.http.max_retry_seconds <= 3600:
            yield f"http.max_retry_seconds: must be from 0 to 3600, got {source.http.max_retry_seconds!r}"
    if source.paging is not None:
        for key in ("size", "usual_pages"):
            if getattr(source.paging, key) < 1:
                yield f"paging.{key}: must be at least 1"
        if source.paging.max_pages is not None and source.paging.max_pages < 1:
            yield "paging.max_pages: must be at least 1; leave it out for no limit"
    if source.auth is not None:
        if bool(source.auth.plans) == bool(source.auth.header):
            yield "auth: give either header, or plans with a header each"
        if source.auth.plans and source.auth.default_plan not in source.auth.plans:
            yield f"auth.default_plan: must be one of {', '.join(source.auth.plans)}"
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*_API_KEY", source.auth.key):
            yield f"auth.key: must name an environment variable that ends in _API_KEY, got {source.auth.key!r}"
    if source.freshness_seconds is not None and not 1 <= source.freshness_seconds <= _MAX_FRESHNESS_SECONDS:
        yield f"freshness_seconds: must be from 1 to {_MAX_FRESHNESS_SECONDS}"


def _addresses(source: Source) -> Iterator[tuple[str, str]]:
    if source.http is not None:
        yield "http.url", source.http.url
    if source.auth is not None:
        if source.auth.url is not None:
            yield "auth.url", source.auth.url
        for name, plan in source.auth.plans.items():
            if plan.url is not None:
                yield f"auth.plans.{name}.url", plan.url
