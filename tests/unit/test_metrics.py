"""The declarations of metrics, and what is counted in the process: names by convention, labels with few values."""

import threading

import pytest
from prometheus_client import parser

from kasparro import metrics
from kasparro.metrics import Kind, Metric
from kasparro.model import SchedulerState

# Labels and why their values are few: configured or counted sources and buckets, ROUTES, or a list in the code.
LABELS = {
    "source", "bucket", "route", "status", "outcome", "kind", "metric", "severity", "state", "version",
}  # fmt: skip


def lines(counts: metrics.HttpCounts, *samples: metrics.Sample) -> dict[str, float]:
    """The samples of a scrape by their names and label values."""
    text = metrics.render(samples, counts, openmetrics=False).decode()
    families = parser.text_string_to_metric_families(text)
    return {" ".join((each.name, *each.labels.values())): each.value for family in families for each in family.samples}


@pytest.mark.parametrize("metric", metrics.DECLARED.values(), ids=lambda each: each.name)
def test_metric_is_named_by_convention(metric: Metric) -> None:
    """Ours by the prefix, a counter by its end, in base units, with labels whose values are few."""
    assert metric.name.startswith("kasparro_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not {"ms", "milliseconds", "minutes", "hours", "percent", "kilobytes"} & set(metric.name.split("_"))
    assert set(metric.labels) <= LABELS
    assert not metric.meaning.endswith(".")


def test_answers_are_counted_exactly_when_threads_count_at_once() -> None:
    """Every request thread does."""
    counts = metrics.HttpCounts(["/data"])
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(500):
            counts.add("/data", status=200, seconds=0.3)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lines(counts)
    assert found["kasparro_http_requests_total /data 2xx"] == 4000
    assert found["kasparro_http_request_duration_seconds_bucket 0.25 /data"] == 0
    assert found["kasparro_http_request_duration_seconds_bucket 0.5 /data"] == 4000
    assert found["kasparro_http_request_duration_seconds_sum /data"] == pytest.approx(1200)


def test_routes_begin_at_zero_and_no_answer_is_lost() -> None:
    """One that reached no route, or that nobody gave a status, is counted too."""
    counts = metrics.HttpCounts(["/data"])
    assert lines(counts)["kasparro_http_requests_total /data 5xx"] == 0
    counts.add(None, status=404, seconds=0.1)
    counts.add("/data", status=0, seconds=0.1)
    found = lines(counts)
    assert found["kasparro_http_requests_total (unknown) 4xx"] == 1
    assert found["kasparro_http_requests_total /data 5xx"] == 1


def test_label_value_is_escaped_when_it_holds_what_the_format_uses() -> None:
    """A field's name may be anything."""
    odd = 'a"b\\c\nd'
    found = lines(metrics.HttpCounts(()), (metrics.ANOMALIES, ("csv", odd, "warn"), 2.0))
    assert [value for name, value in found.items() if odd in name] == [2.0]


def test_pool_and_scheduler_say_nothing_that_they_do_not_know() -> None:
    """Before the pool is open, and where there is no scheduler."""
    assert list(metrics.of_pool({})) == []
    known = dict.fromkeys(("pool_size", "pool_available", "pool_max"), 4)
    assert (metrics.POOL_WAITING, (), 0) in list(metrics.of_pool(known))
    samples = list(metrics.of_scheduler(SchedulerState(enabled=False, alive=False)))
    assert samples == [(metrics.SCHEDULER_ENABLED, (), 0.0), (metrics.SCHEDULER_ALIVE, (), 0.0)]
