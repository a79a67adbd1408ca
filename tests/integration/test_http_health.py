"""The health endpoints, while the database answers, hangs, restarts, is away, or has never been there."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import api_fixtures as fixtures
import pytest
from wire import Wire

from kasparro import errors, model


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, empty."""
    return shared.emptied()


@pytest.fixture
def wired(dsn: str) -> Iterator[tuple[fixtures.Api, Wire]]:
    """The API behind a wire that can be frozen."""
    with Wire(dsn) as wire, fixtures.serve(dsn, through=wire.dsn) as api:
        assert api.get("/health/ready").status_code == 200
        yield api, wire
        wire.thaw()


def add_schedule(api: fixtures.Api, source: str, status: str, *, success_age_seconds: float) -> None:
    api.conn.execute(
        """
        insert into schedules (source, last_status, last_run_at, last_success_at, last_failure_at, next_run_at)
        values (%s, %s, now(), now() - %s * interval '1 second', '2024-01-01Z', '2024-01-02Z')
        """,
        (source, status, success_age_seconds),
    )


def timed(api: fixtures.Api, path: str) -> tuple[int, float]:
    started = time.monotonic()
    return api.get(path).status_code, time.monotonic() - started


def until_ready(api: fixtures.Api) -> None:
    """Ask until the service is ready again; the test's own time limit ends this."""
    while api.get("/health/ready").status_code != 200:
        time.sleep(0.05)


def test_summary_of_a_healthy_service(api: fixtures.Api) -> None:
    """Everything the contract names, with every configured source."""
    body = api.get("/health").json
    assert body["status"] == "ok"
    assert body["database"]["connected"] is True
    assert body["database"]["latency_ms"] > 0
    assert body["schema"]["version"] == body["schema"]["expected"] >= 1
    assert body["scheduler"] == {"enabled": True, "alive": True}
    assert body["etl"].keys() == fixtures.SOURCES.keys()
    assert body["etl"]["csv"].keys() >= {
        "last_status", "last_run_at", "last_success_at", "last_failure_at", "data_age_seconds", "stale", "next_run_at",
    }  # fmt: skip


def test_sources_show_their_last_runs(api: fixtures.Api) -> None:
    """As the schedule recorded them."""
    add_schedule(api, "csv", "partial", success_age_seconds=5)
    etl = api.get("/health").json["etl"]["csv"]
    assert (etl["last_status"], etl["stale"]) == ("partial", False)
    assert (etl["last_failure_at"], etl["next_run_at"]) == ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")


def test_source_that_never_ran_shows_that(api: fixtures.Api) -> None:
    """Null, not left out; and not stale, because its first run is not overdue."""
    body = api.get("/health").json
    assert body["etl"]["csv"] == {
        "enabled": True, "last_status": None, "last_run_at": None, "last_success_at": None, "last_failure_at": None,
        "data_age_seconds": None, "stale": False, "next_run_at": None,
    }  # fmt: skip
    assert body["status"] == "ok"


@pytest.mark.parametrize(
    ("source", "status", "age", "summary"),
    [
        ("csv", "succeeded", 5, "ok"),
        ("csv", "failed", 5, "degraded"),
        ("csv", "crashed", 5, "degraded"),
        ("csv", "succeeded", 700, "degraded"),
        ("retired", "failed", 700, "ok"),
    ],
)
def test_summary_is_degraded_by_an_enabled_source(
    api: fixtures.Api, source: str, status: str, age: float, summary: str
) -> None:
    """Stale, or failed last; still 200, because the service works."""
    add_schedule(api, source, status, success_age_seconds=age)
    result = api.get("/health")
    assert (result.status_code, result.json["status"]) == (200, summary)


@pytest.mark.parametrize(("source", "stale"), [("csv", False), ("coinpaprika", True), ("coingecko", False)])
def test_age_of_data_counts_by_source(api: fixtures.Api, source: str, stale: bool) -> None:
    """An archive is of any age; coinpaprika allows half an hour here, coingecko two."""
    listing = fixtures.add_listing(api.conn, source, "x")
    fixtures.add_quote(api.conn, listing, datetime.now(UTC) - timedelta(hours=1))
    etl = api.get("/health").json["etl"][source]
    assert 3599 < etl["data_age_seconds"] < 3700
    assert etl["stale"] is stale


def test_scheduler_is_shown_as_it_is(api: fixtures.Api) -> None:
    """A process without a scheduler says so."""
    api.scheduler = model.SchedulerState(enabled=False, alive=False)
    assert api.get("/health").json["scheduler"] == {"enabled": False, "alive": False}


@pytest.mark.parametrize(
    ("trouble", "connected"),
    [(errors.DatabaseUnavailableError("host 10.1.2.3 is away"), False), (errors.SchemaError("behind"), True)],
)
def test_service_that_has_not_started_is_down(
    api: fixtures.Api, trouble: errors.KasparroError, connected: bool
) -> None:
    """503 with Retry-After and the same shape; alive nevertheless."""
    api.trouble = trouble
    result = api.get("/health")
    assert (result.status_code, result.json["status"]) == (503, "down")
    assert result.headers["Retry-After"].isdigit()
    assert result.json["database"] == {"connected": connected, "latency_ms": None}
    assert result.json["etl"]["csv"]["stale"] is None
    assert "10.1.2.3" not in result.text
    assert api.get("/health/ready").status_code == 503
    assert api.get("/health/live").json["status"] == "alive"


def test_schema_that_is_behind_is_not_ready(dsn: str) -> None:
    """Also when the service had started with a current one."""
    with fixtures.serve(dsn) as api:
        api.conn.execute("delete from schema_version where version > 1")
        assert api.get("/health/ready").json["code"] == "schema"
        assert api.get("/health").json["status"] == "down"


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_hanging_database_is_reported_within_a_second(wired: tuple[fixtures.Api, Wire], path: str) -> None:
    """Neither Postgres nor the network says anything: the watchdog does."""
    api, wire = wired
    wire.freeze()
    for _ in range(3):
        status, seconds = timed(api, path)
        assert status == 503
        assert seconds < 1.0
    assert timed(api, "/health/live")[0] == 200


def test_scrape_ends_while_the_database_hangs(wired: tuple[fixtures.Api, Wire]) -> None:
    """Prometheus learns why within its time limit, and no thread stays behind."""
    api, wire = wired
    wire.freeze()
    started = time.monotonic()
    answer = api.get("/metrics")
    assert time.monotonic() - started < 2.5
    assert answer.status_code == 200
    assert "\nkasparro_database_up 0.0\n" in answer.text
    wire.thaw()
    until_ready(api)
    assert "\nkasparro_database_up 1.0\n" in api.get("/metrics").text


def test_probes_do_not_pile_up_while_the_database_hangs(wired: tuple[fixtures.Api, Wire]) -> None:
    """Thirty at once, more than the pool has connections: all are answered, none stays behind."""
    api, wire = wired
    wire.freeze()
    with ThreadPoolExecutor(30) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda _: timed(api, "/health"), range(30)))
        assert time.monotonic() - started < 3.0
    assert {status for status, _ in answers} == {503}
    wire.thaw()
    until_ready(api)


def test_reads_end_while_the_database_hangs(wired: tuple[fixtures.Api, Wire], monkeypatch: Any) -> None:
    """A thread that waits for ever is one that no probe can have."""
    monkeypatch.setattr("kasparro.store.bounded.GRACE_SECONDS", -4.5)
    api, wire = wired
    wire.freeze()
    status, seconds = timed(api, "/data")
    assert status == 503
    assert seconds < 3.0


def test_restarted_database_costs_no_request(wired: tuple[fixtures.Api, Wire]) -> None:
    """Connections that the restart broke are replaced before anybody is told."""
    api, wire = wired
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: api.get("/stats"), range(30)))
    wire.cut()
    assert [api.get(path).status_code for path in ("/data", "/health", "/stats", "/runs")] == [200] * 4


def test_exhausted_pool_is_reported_within_a_second(dsn: str) -> None:
    """Whoever holds the connections, the probe does not wait for them."""
    with fixtures.serve(dsn) as api, contextlib.ExitStack() as held:
        for _ in range(fixtures.POOL_SIZE):
            held.enter_context(api.database.connection())
        for path in ("/health", "/health/ready"):
            status, seconds = timed(api, path)
            assert status == 503
            assert seconds < 1.0


def test_database_that_was_never_there_is_reported_within_a_second(dsn: str) -> None:
    """Nothing listens there; the service answers what it can."""
    with fixtures.serve(dsn, through="host=127.0.0.1 port=1 dbname=x connect_timeout=2") as api:
        status, seconds = timed(api, "/health")
        assert status == 503
        assert seconds < 1.0
        assert api.get("/health").json["database"]["connected"] is False
