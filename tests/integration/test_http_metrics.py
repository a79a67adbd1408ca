"""GET /metrics: what Prometheus reads, on a fresh database, a used one, and none."""

from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from kasparro import __version__, errors, metrics, model
from kasparro.store import pruning, totals


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, empty."""
    return shared.emptied()


def scrape(api: fixtures.Api) -> dict[tuple[str, ...], float]:
    """Each sample of a scrape by its name, without kasparro_, and the values of its labels in their order."""
    result = api.get("/metrics")
    assert result.status_code == 200
    return {
        (sample.name.removeprefix("kasparro_"), *_in_order(sample)): sample.value
        for family in parser.text_string_to_metric_families(result.text)
        for sample in family.samples
    }


def _in_order(sample: Any) -> tuple[str, ...]:
    declared = metrics.DECLARED.get(sample.name)
    # Parts of a histogram have their own names, and labels in their order.
    return tuple(sample.labels[name] for name in declared.labels) if declared else tuple(sample.labels.values())


def add_history(api: fixtures.Api, source: str) -> None:
    """A source that has run, with some of everything."""
    api.conn.execute(
        """
        insert into source_totals (
            source, records_read, inserted, rejected, rejected_expected, requests, retries, throttled,
            throttled_seconds, request_seconds, bytes_read
        )
        values (%s, 10, 7, 3, 1, 5, 2, 1, 1.5, 2.25, 4096)
        """,
        (source,),
    )
    api.conn.execute("insert into run_totals values (%s, 'succeeded', 4, 40), (%s, 'failed', 1, 2.5)", (source, source))
    fixtures.add_run(api.conn, source)
    fixtures.add_run(api.conn, source, "running")


def add_rejections(
    api: fixtures.Api, source: str, count: int, *, expected: bool = False, resolved: bool = False
) -> None:
    api.conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at, last_seen_at,
            resolved_at
        )
        select
            %(source)s, '', 'x', gen_random_uuid()::text, 'normalise', 'm', gen_random_uuid(), %(expected)s, 1, now(),
            now(), case when %(resolved)s then now() end
        from generate_series(1, %(count)s)
        """,
        {"source": source, "count": count, "expected": expected, "resolved": resolved},
    )


def add_drifts_and_anomalies(api: fixtures.Api) -> None:
    api.conn.execute(
        """
        insert into drifts (source, path, kind, action, status, closed_at, first_run_id, last_run_id)
        values
            ('csv', 'a', 'added', 'warned', 'open', null, 1, 1),
            ('csv', 'b', 'added', 'warned', 'resolved', now(), 1, 1)
        """
    )
    api.conn.execute("insert into drift_totals values ('csv', 'added', 2)")
    run_id = fixtures.add_run(api.conn, "csv")
    api.conn.execute(
        """
        insert into anomalies (source, run_id, metric, rule, severity, message)
        values ('csv', %(run_id)s, 'records', 'history', 'alert', 'm')
        """,
        {"run_id": run_id},
    )
    api.conn.execute("insert into anomaly_totals values ('csv', 'records', 'alert', 3)")


def add_bucket(api: fixtures.Api) -> None:
    api.conn.execute(
        """
        insert into buckets (name, tokens, refilled_at, blocked_until, month, month_used)
        values ('shared', 1, now() - interval '10 seconds', now() + interval '1 minute', '2024-01-01', 99)
        """
    )


def add_checkpoints(api: fixtures.Api) -> None:
    api.conn.execute(
        """
        insert into checkpoints (source, slice, watermark, run_id)
        values
            ('csv', 'a', now() - interval '2 hours', 1), ('csv', 'b', now() - interval '1 hour', 1),
            ('csv', 'backfill:2020', now(), 1), ('coingecko', '', null, 1)
        """
    )


def add_schedule(api: fixtures.Api) -> None:
    api.conn.execute(
        """
        insert into schedules (source, failures, last_success_at, last_failure_at, next_run_at)
        values ('csv', 2, '2024-01-01T00:00:00Z', '2024-01-02T00:00:00Z', '2024-01-03T00:00:00Z')
        """
    )
    fixtures.add_quote(api.conn, fixtures.add_listing(api.conn, "csv", "x"), fixtures.START)


def test_source_that_never_ran_has_zeros(api: fixtures.Api) -> None:
    """Every configured source is there from the first scrape: what rises later did not just appear."""
    found = scrape(api)
    for source in fixtures.SOURCES:
        assert found["records_total", source, "inserted"] == 0
        assert found["runs_total", source, "failed"] == 0
        assert found["upstream_requests_total", source] == 0
        assert found["open_rejections", source] == 0
        assert found["drifts_total", source, "null_jump"] == found["open_drifts", source, "renamed"] == 0
        assert found["anomalies_total", source, "pages", "alert"] == 0
        assert found["source_enabled", source] == (source != "retired")
    assert not {name for name, *_ in found} & {"last_success_timestamp_seconds", "source_freshness_seconds"}
    assert found["database_up",] == 1
    assert found["schema_version",] == found["schema_expected_version",]


def test_counters_come_from_totals(api: fixtures.Api) -> None:
    """Those of a source that is no longer configured stay; a replay was counted for no record that was read."""
    add_history(api, "csv")
    add_history(api, "removed")
    api.conn.execute("insert into replay_totals (source, inserted) values ('removed', 2)")
    found = scrape(api)
    for source, replayed in (("csv", 0), ("removed", 2)):
        assert found["records_total", source, "inserted"] == 7 - replayed
        assert found["records_total", source, "rejected"] == 3
        assert found["records_total", source, "replayed"] == replayed
        assert found["expected_rejections_total", source] == 1
        assert (found["runs_total", source, "failed"], found["run_seconds_total", source, "failed"]) == (1, 2.5)
        assert found["upstream_request_seconds_total", source] == 2.25
        assert found["upstream_throttled_requests_total", source] == 1
        assert found["live_runs", source, "running"] == 1
        assert found["last_run_duration_seconds", source] == 10
    assert ("source_enabled", "removed") not in found


def test_figures_are_those_of_stats(api: fixtures.Api) -> None:
    """Whoever looks at both sees one service; a source that only ever crashed is in both as well."""
    add_history(api, "csv")
    totals.count_run(api.conn, "gone", status="crashed", seconds=1)
    found = scrape(api)
    for entry in api.get("/stats").json["sources"]:
        source = entry["source"]
        for status, runs in entry["runs"].items():
            name = "live_runs" if status in model.LIVE_STATUSES else "runs_total"
            assert found[name, source, status] == runs
        outcomes = entry["records"]
        assert sum(found["records_total", source, name] for name in outcomes if name != "read") == outcomes["read"]
        assert found["upstream_requests_total", source] == entry["requests"]
        assert found["upstream_throttled_seconds_total", source] == entry["throttled_seconds"]
    assert found["runs_total", "gone", "crashed"] == 1


def test_counters_stay_when_runs_are_pruned(api: fixtures.Api) -> None:
    """A counter that falls would look like a restart, and count everything anew."""
    add_history(api, "csv")
    fixtures.add_run(api.conn, "csv")
    before = scrape(api)
    (old,) = pruning.list_old_runs(api.conn, keep=1)
    assert pruning.delete_runs(api.conn, old, limit=100) == 1
    after = scrape(api)
    kept = {key for key in before if key[0].endswith("_total") and not key[0].startswith(("http", "process"))}
    assert kept
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


def test_source_fares_as_health_says(api: fixtures.Api) -> None:
    """The same staleness, the same times, the same age of the data."""
    add_schedule(api)
    found, health = scrape(api), api.get("/health").json["etl"]
    assert found["last_success_timestamp_seconds", "csv"] == fixtures.START.timestamp()
    assert found["last_failure_timestamp_seconds", "csv"] == fixtures.START.timestamp() + 86400
    assert found["next_run_timestamp_seconds", "csv"] == fixtures.START.timestamp() + 2 * 86400
    assert found["consecutive_failures", "csv"] == 2
    assert found["source_freshness_seconds", "csv"] == pytest.approx(health["csv"]["data_age_seconds"], abs=60)
    for source in ("csv", "coingecko"):
        assert found["source_stale", source] == health[source]["stale"]


def test_open_rejections_are_those_that_somebody_must_mend(api: fixtures.Api) -> None:
    """Neither the expected nor the resolved ones; and however many there are, a scrape looks at some only."""
    add_rejections(api, "csv", 3)
    add_rejections(api, "csv", 5, expected=True)
    add_rejections(api, "csv", 7, resolved=True)
    add_rejections(api, "coingecko", 10_050)
    found = scrape(api)
    assert (found["open_rejections", "csv"], found["open_rejections", "coingecko"]) == (3, 10_000)


def test_drifts_and_anomalies_are_counted(api: fixtures.Api) -> None:
    """Events ever seen, and what is still open."""
    add_drifts_and_anomalies(api)
    found = scrape(api)
    assert (found["drifts_total", "csv", "added"], found["open_drifts", "csv", "added"]) == (2, 1)
    assert found["anomalies_total", "csv", "records", "alert"] == 3
    assert (found["last_run_anomalies", "csv", "alert"], found["last_run_anomalies", "csv", "warn"]) == (1, 0)
    # A 304 says that what the run before it read is still all that there is.
    api.conn.execute("update runs set reading = 'full', measures = '{}' where id = (select max(run_id) from anomalies)")
    fixtures.add_run(api.conn, "csv", reading="nothing", measures="{}")
    assert scrape(api)["last_run_anomalies", "csv", "alert"] == 1
    fixtures.add_run(api.conn, "csv", reading="full", measures="{}")
    assert scrape(api)["last_run_anomalies", "csv", "alert"] == 0


def test_watermark_lag_is_that_of_the_newest_slice(api: fixtures.Api) -> None:
    """A backfill fills in the past: how far it got says nothing about today."""
    add_checkpoints(api)
    found = scrape(api)
    assert found["watermark_lag_seconds", "csv"] == pytest.approx(3600, abs=60)
    assert ("watermark_lag_seconds", "coingecko") not in found


def test_budget_is_shown_by_bucket_once(api: fixtures.Api) -> None:
    """What is left now, with what has come back since; a past month's use is none of this one's."""
    add_bucket(api)
    found = scrape(api)
    assert found["bucket_tokens", "shared"] == pytest.approx(6, abs=1)
    assert found["bucket_blocked_seconds", "shared"] == pytest.approx(60, abs=10)
    assert (found["bucket_month_used_requests", "shared"], found["bucket_month_limit_requests", "shared"]) == (0, 500)


def test_answers_are_counted_by_route_and_class(api: fixtures.Api) -> None:
    """Never by the path that was asked for; what reached no route is counted together."""
    before = scrape(api)
    for path in ("/runs/1", "/runs/2", "/nowhere/1", "/nowhere/2"):
        assert api.get(path).status_code == 404
    after = scrape(api)
    for route in ("/runs/{run_id}", metrics.NO_ROUTE):
        assert after["http_requests_total", route, "4xx"] - before.get(("http_requests_total", route, "4xx"), 0) == 2
        assert after["http_request_duration_seconds_count", route] >= 2
    assert "/nowhere" not in api.get("/metrics").text


def test_scheduler_and_pool_are_those_of_this_process(api: fixtures.Api) -> None:
    """A thread that hangs, or a pool that is used up, is seen while it is."""
    api.scheduler = model.SchedulerState(enabled=True, alive=False, heartbeat_age_seconds=31.5)
    found = scrape(api)
    assert (found["scheduler_enabled",], found["scheduler_alive",]) == (1, 0)
    assert found["scheduler_heartbeat_age_seconds",] == 31.5
    with api.database.connection():
        assert scrape(api)["pool_connections", "in_use"] == 1
    assert found["pool_connections", "in_use"] == 0
    assert (found["pool_max_connections",], found["pool_waiting_requests",]) == (fixtures.POOL_SIZE, 0)


def test_scrape_says_so_when_the_database_is_away(api: fixtures.Api) -> None:
    """Still 200, with what the process knows: a failed scrape would hide why."""
    api.trouble = errors.DatabaseUnavailableError("it is away")
    found = scrape(api)
    assert found["database_up",] == 0
    assert found["build_info", __version__] == 1
    assert not [key for key in found if key[0] == "runs_total"]


def test_openmetrics_is_given_to_who_prefers_it(api: fixtures.Api) -> None:
    """Both formats can be parsed, and have the same samples."""
    add_history(api, "csv")
    wanted = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}
    modern = api.get("/metrics", headers=wanted)
    assert modern.headers["Content-Type"] == metrics.OPENMETRICS
    families = list(openmetrics_parser.text_string_to_metric_families(modern.text))
    names = {sample.name for family in families for sample in family.samples}
    plain = api.get("/metrics", headers={"Accept": "garbage;;;q=k"})
    assert plain.headers["Content-Type"] == metrics.TEXT
    assert names == {s.name for f in parser.text_string_to_metric_families(plain.text) for s in f.samples}


def test_every_sample_is_declared_with_its_labels(api: fixtures.Api) -> None:
    """What /metrics shows is what the README tells of, and the other way round."""
    add_history(api, "csv")
    for add in (add_drifts_and_anomalies, add_checkpoints, add_schedule, add_bucket):
        add(api)
    api.scheduler = model.SchedulerState(enabled=True, alive=True, heartbeat_age_seconds=0.1)
    seen = {}
    for family in parser.text_string_to_metric_families(api.get("/metrics").text):
        total = "_total" if family.type == "counter" else ""
        seen[family.name.removesuffix("_total") + total] = family
    assert {name: family.type for name, family in seen.items()} == {
        name: each.kind.value for name, each in metrics.DECLARED.items()
    }
    for name, family in seen.items():
        assert all(set(metrics.DECLARED[name].labels) <= set(sample.labels) for sample in family.samples)
