"""Every metric that GET /metrics shows, declared once: name, kind, labels and meaning; and how figures become text.

What sources do is read from the database at every scrape (store/metrics.py), so that each machine shows the same of
runs anywhere: queries take `max by`. What only this process knows is counted here. No label is without bound: sources,
buckets and routes are those that are configured or were counted, the others have short lists of values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import prometheus_client
from attrs import frozen
from prometheus_client import metrics_core
from prometheus_client.openmetrics import exposition as openmetrics_text

from kasparro.model import SchedulerState

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# Seconds. A page takes some milliseconds; above 5 the database's own limit ends a query, only streams take longer.
_DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx")
# What is counted as the route of a request that reached none: no such path, or refused before.
NO_ROUTE = "(unknown)"


class Kind(StrEnum):
    """What a metric's value does: only grow, move freely, or be counted by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@frozen(kw_only=True)
class Metric:
    """One metric, by its full name."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


# A value of a metric, with the values of its labels in their order.
Sample = tuple[Metric, Sequence[str], float]


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=f"kasparro_{name}_total", kind=Kind.COUNTER, meaning=meaning, labels=labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=f"kasparro_{name}", kind=Kind.GAUGE, meaning=meaning, labels=labels)


RUNS = _counter("runs", "Runs that ended", "source", "status")
RUN_SECONDS = _counter("run_seconds", "Time that runs took, until they ended", "source", "status")
LAST_RUN_SECONDS = _gauge("last_run_duration_seconds", "Time that the last finished run took", "source")
LIVE_RUNS = _gauge("live_runs", "Runs that are queued or running", "source", "status")
LAST_SUCCESS = _gauge("last_success_timestamp_seconds", "When a run last succeeded, wholly or in part", "source")
LAST_FAILURE = _gauge("last_failure_timestamp_seconds", "When a run last failed or crashed", "source")
NEXT_RUN = _gauge("next_run_timestamp_seconds", "When the source is due next", "source")
FAILURES = _gauge("consecutive_failures", "Runs that failed or crashed since the last success", "source")
ENABLED = _gauge("source_enabled", "Whether the source is enabled", "source")
STALE = _gauge("source_stale", "Whether /health calls the source stale", "source")
FRESHNESS = _gauge("source_freshness_seconds", "Age of the source's newest quote", "source")
WATERMARK_LAG = _gauge("watermark_lag_seconds", "Age of the newest watermark among the source's slices", "source")

RECORDS = _counter("records", "Records read, by what became of them, or replayed", "source", "outcome")
EXPECTED_REJECTIONS = _counter(
    "expected_rejections", "Rejected records that the source expects, replays left out", "source"
)
RAW_RECORDS = _counter("raw_records", "Raw records that were new", "source")
FUTURE_DATED = _counter("future_dated_records", "Records dated after the run that read them", "source")
READ_BYTES = _counter("read_bytes", "Bytes read from files and upstreams, decompressed", "source")
OPEN_REJECTIONS = _gauge("open_rejections", "Unexpected rejections that are open; at most 10000 are counted", "source")

REQUESTS = _counter("upstream_requests", "Requests to the upstream, each attempt", "source")
REQUEST_SECONDS = _counter("upstream_request_seconds", "Time that the upstream took to answer", "source")
RETRIES = _counter("upstream_retries", "Requests that were tried again", "source")
THROTTLED = _counter("upstream_throttled_requests", "Requests answered with 429", "source")
THROTTLED_SECONDS = _counter("upstream_throttled_seconds", "Time spent waiting for the budget or as asked", "source")
TOKENS = _gauge("bucket_tokens", "Requests that the bucket would pay for now", "bucket")
BLOCKED_SECONDS = _gauge("bucket_blocked_seconds", "Time for which the upstream wants to be left alone", "bucket")
MONTH_USED = _gauge("bucket_month_used_requests", "Requests paid for in this calendar month (UTC)", "bucket")
MONTH_LIMIT = _gauge("bucket_month_limit_requests", "Requests that the month's budget allows", "bucket")

DRIFTS = _counter("drifts", "Differences seen between a source's fields and their baseline", "source", "kind")
OPEN_DRIFTS = _gauge("open_drifts", "Open ones among the differences", "source", "kind")
LAST_ANOMALIES = _gauge(
    "last_run_anomalies",
    "Verdicts on the last finished run, and on the number of records that it found unchanged",
    "source",
    "severity",
)
ANOMALIES = _counter("anomalies", "Verdicts on runs that are not like those before", "source", "metric", "severity")

SCHEMA_VERSION = _gauge("schema_version", "Version of the database's schema")
SCHEMA_EXPECTED = _gauge("schema_expected_version", "Version of the schema that this code knows")
DATABASE_UP = _gauge("database_up", "Whether the database answered this scrape; at 0 the metrics above are left out")
BUILD = _gauge("build_info", "Always 1; the label says which version this process runs", "version")
HTTP_REQUESTS = _counter("http_requests", "Requests answered by this process", "route", "status")
HTTP_SECONDS = Metric(
    name="kasparro_http_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    meaning="Time from a request to the last byte of its answer",
    labels=("route",),
)
POOL_CONNECTIONS = _gauge("pool_connections", "Connections to the database: in_use or idle", "state")
POOL_MAX = _gauge("pool_max_connections", "Connections that there may be")
POOL_WAITING = _gauge("pool_waiting_requests", "Threads that wait for a connection")
SCHEDULER_ENABLED = _gauge("scheduler_enabled", "Whether this process schedules runs")
SCHEDULER_ALIVE = _gauge("scheduler_alive", "Whether its scheduler looked for due sources within 30 seconds")
SCHEDULER_AGE = _gauge("scheduler_heartbeat_age_seconds", "Time since its scheduler last looked")
PROCESS_MEMORY = _gauge("process_resident_memory_bytes", "Memory of this process")
PROCESS_CPU = _counter("process_cpu_seconds", "Processor time of this process")
PROCESS_START = _gauge("process_start_time_seconds", "When this process started")
PROCESS_FDS = _gauge("process_open_fds", "Files and sockets that this process has open")
PROCESS_MAX_FDS = _gauge("process_max_fds", "Files and sockets that it may have open")

DECLARED: Mapping[str, Metric] = {each.name: each for each in tuple(vars().values()) if isinstance(each, Metric)}


class HttpCounts:
    """What this process has answered, counted from any thread."""

    def __init__(self, routes: Iterable[str]) -> None:
        """Every one of `routes` begins at zero: a first failure is then a rise, not an appearance."""
        self._registry = prometheus_client.CollectorRegistry()
        self._process = prometheus_client.ProcessCollector(namespace="kasparro", registry=None)
        self._requests = prometheus_client.Counter(
            HTTP_REQUESTS.name, _help(HTTP_REQUESTS), HTTP_REQUESTS.labels, registry=self._registry
        )
        self._seconds = prometheus_client.Histogram(
            HTTP_SECONDS.name,
            _help(HTTP_SECONDS),
            HTTP_SECONDS.labels,
            registry=self._registry,
            buckets=_DURATION_BUCKETS,
        )
        for route in routes:
            for status in _STATUS_CLASSES:
                self._requests.labels(route, status)

    def add(self, route: str | None, *, status: int, seconds: float) -> None:
        """Count one answer; `route` is a template of ROUTES, never a path. One without a status (0) never came."""
        self._requests.labels(route or NO_ROUTE, f"{(status or 500) // 100}xx").inc()
        self._seconds.labels(route or NO_ROUTE).observe(seconds)

    def collect(self) -> Iterator[metrics_core.Metric]:
        """What was counted, and what the kernel knows of this process."""
        for family in self._registry.collect():
            # The library adds when each count began, which is no metric of ours.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
        for family in self._process.collect():
            total = "_total" if family.type == "counter" else ""
            if family.name + total in DECLARED:
                yield family


class _Families:
    """Samples as the client library's collector, and after them what is counted in this process."""

    def __init__(self, samples: Iterable[Sample], counts: HttpCounts) -> None:
        self._samples = samples
        self._counts = counts

    def collect(self) -> Iterator[metrics_core.Metric]:
        families: dict[str, metrics_core.CounterMetricFamily | metrics_core.GaugeMetricFamily] = {}
        for metric, labels, value in self._samples:
            family = families.get(metric.name)
            if family is None:
                make = (
                    metrics_core.CounterMetricFamily if metric.kind is Kind.COUNTER else metrics_core.GaugeMetricFamily
                )
                family = families[metric.name] = make(metric.name, _help(metric), labels=metric.labels)
            family.add_metric(labels, value)
        yield from families.values()
        yield from self._counts.collect()


def render(samples: Iterable[Sample], counts: HttpCounts, *, openmetrics: bool) -> bytes:
    """The text of a scrape, in one of the two formats that Prometheus reads."""
    families = _Families(samples, counts)
    if openmetrics:
        text: bytes = openmetrics_text.generate_latest(families)  # type: ignore[no-untyped-call] # it has no types
        return text
    return prometheus_client.generate_latest(families)


def of_scheduler(state: SchedulerState) -> Iterator[Sample]:
    """What is known of this process' scheduler."""
    yield SCHEDULER_ENABLED, (), float(state.enabled)
    yield SCHEDULER_ALIVE, (), float(state.alive)
    if state.heartbeat_age_seconds is not None:
        yield SCHEDULER_AGE, (), state.heartbeat_age_seconds


def of_pool(stats: Mapping[str, int]) -> Iterator[Sample]:
    """What is known of this process' connections, by the pool's own names; nothing before it is open."""
    if stats:
        idle = stats["pool_available"]
        yield POOL_CONNECTIONS, ("in_use",), stats["pool_size"] - idle
        yield POOL_CONNECTIONS, ("idle",), idle
        yield POOL_MAX, (), stats["pool_max"]
        yield POOL_WAITING, (), stats.get("requests_waiting", 0)


def _help(metric: Metric) -> str:
    return f"{metric.meaning}."
