"""GET /stats: counters that pruning never lowers, durations, and zeros where nothing happened yet."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import api_fixtures as fixtures
import pytest
from psycopg.types.json import Jsonb

from kasparro import model
from kasparro.store import buckets, checkpoints, totals

STATUSES = [status.value for status in model.RunStatus]
NOTHING = {"read": 0, "inserted": 0, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 0}


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, empty."""
    return shared.emptied()


def by_source(api: fixtures.Api, query: str = "") -> dict[str, Any]:
    return {entry["source"]: entry for entry in api.get("/stats", query).json["sources"]}


def add_totals(api: fixtures.Api, source: str) -> None:
    api.conn.execute(
        """
        insert into source_totals (source, records_read, inserted, rejected, requests, retries, throttled_seconds)
        values (%s, 10, 7, 3, 5, 2, 1.5)
        """,
        (source,),
    )
    api.conn.execute(
        "insert into run_totals (source, status, runs, seconds) values (%s, 'succeeded', 4, 40)", (source,)
    )


def test_open_rejections_are_counted_by_code(api: fixtures.Api) -> None:
    """Each code with its newest, expected ones apart; what is resolved is not open."""
    api.conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at, last_seen_at,
            resolved_at
        )
        select
            'csv', 'a.csv', code, gen_random_uuid(), 'normalise', 'number ' || n, gen_random_uuid(), expected, n,
            %(at)s, %(at)s, case when n = 4 then now() end
        from (values ('not_text', false, 3), ('price_missing', true, 2), ('price_missing', false, 4))
            as k (code, expected, most),
            generate_series(1, most) n
        """,
        {"at": fixtures.START},
    )
    found = by_source(api)
    counts = [(one["code"], one["expected"], one["records"]) for one in found["csv"]["open_rejections"]]
    assert counts == [("price_missing", False, 3), ("price_missing", True, 2), ("not_text", False, 3)]
    newest = found["csv"]["open_rejections"][-1]["newest"]
    assert (newest["message"], newest["run_id"], newest["last_seen_at"]) == ("number 3", 3, "2024-01-01T00:00:00Z")
    assert found["coingecko"]["open_rejections"] == []


def test_source_that_never_ran_has_zeros_and_nulls(api: fixtures.Api) -> None:
    """Every configured source is there from the first second."""
    found = by_source(api)
    assert list(found) == sorted(fixtures.SOURCES)
    entry = found["coingecko"]
    assert entry["runs"] == dict.fromkeys(STATUSES, 0)
    assert entry["records"] == NOTHING
    assert entry["duration"] == {"last": None, "median": None, "p95": None}
    assert (entry["last_success_at"], entry["last_failure_at"], entry["last_run"]) == (None, None, None)
    assert (entry["requests"], entry["retries"], entry["throttled_seconds"]) == (0, 0, 0)
    assert entry["budget"] == {"tokens": None, "month_used": None, "month_limit": 10_000}
    assert entry["checkpoint"] == {"position": None, "watermark": None, "slices": 0}


def test_totals_are_zeros_when_nothing_ever_ran(api: fixtures.Api) -> None:
    """Zeros, never null: whoever adds them up need not know."""
    assert api.get("/stats").json["totals"] == {
        "runs": dict.fromkeys(STATUSES, 0),
        "records": NOTHING,
        "requests": 0,
        "retries": 0,
        "throttled_seconds": 0,
    }


def test_source_whose_runs_all_failed_has_durations_and_no_success(api: fixtures.Api) -> None:
    """What failed took its time as well."""
    for _ in range(2):
        fixtures.add_run(api.conn, "csv", "failed", error_code="x", error_message="y")
        totals.count_run(api.conn, "csv", status="failed", seconds=10)
    api.conn.execute("insert into schedules (source, last_failure_at) values ('csv', '2024-01-01T00:00:10Z')")
    entry = by_source(api)["csv"]
    assert entry["runs"] == dict.fromkeys(STATUSES, 0) | {"failed": 2}
    assert (entry["records"], entry["duration"]) == (NOTHING, {"last": 10, "median": 10, "p95": 10})
    assert (entry["last_success_at"], entry["last_failure_at"]) == (None, "2024-01-01T00:00:10Z")
    assert entry["last_run"]["error"] == {"code": "x", "message": "y"}


def test_source_that_was_removed_is_there_whatever_was_counted(api: fixtures.Api) -> None:
    """If only a run that crashed before its first batch; its budget is nobody's any more."""
    totals.count_run(api.conn, "crashed", status="crashed", seconds=1)
    add_totals(api, "removed")
    fixtures.add_run(api.conn, "removed")
    found = by_source(api)
    assert list(found) == sorted((*fixtures.SOURCES, "crashed", "removed"))
    assert found["crashed"]["runs"]["crashed"] == 1
    assert found["crashed"]["records"] == NOTHING
    assert found["removed"]["budget"] == {"tokens": None, "month_used": None, "month_limit": None}
    assert found["removed"]["last_run"]["status"] == "succeeded"


@pytest.mark.parametrize("path", ["/stats", "/data", "/assets", "/runs", "/drift", "/anomalies", "/rejections"])
def test_source_that_was_added_since_may_be_asked_about(api: fixtures.Api, path: str) -> None:
    """It was run by another process; what neither that nor this one knows is a mistake."""
    query = "source=csv,added"
    refused = api.get(path, query)
    assert (refused.status_code, refused.json["errors"][0]["name"]) == (400, "source")
    api.conn.execute("insert into schedules (source) values ('added')")
    assert api.get(path, query).status_code == 200
    assert "known are added, coin" in api.get(path, "source=added,nobody").json["detail"]
    if path == "/stats":
        add_totals(api, "added")
        add_totals(api, "removed")
        found = api.get(path, query).json
        assert [each["source"] for each in found["sources"]] == ["added", "csv"]
        assert found["totals"]["records"]["read"] == 10


def test_budget_is_what_is_left_now(api: fixtures.Api) -> None:
    """With what came back since it was last paid from, never above the burst; a new month begins at nothing."""
    assert by_source(api)["coinpaprika"]["budget"] == {"tokens": 20, "month_used": 0, "month_limit": 500}
    api.conn.execute(
        """
        insert into buckets (name, tokens, refilled_at, month, month_used)
        values (
            'shared', 1, now() - interval '10 seconds', date_trunc('month', now() at time zone 'UTC'), 7
        )
        """
    )
    for name in ("coinpaprika", "retired"):
        budget = by_source(api)[name]["budget"]
        assert 6 <= budget["tokens"] < 20
        assert budget["month_used"] == 7
    api.conn.execute("update buckets set refilled_at = now() - interval '1 hour', month = '2024-01-01'")
    assert by_source(api)["coinpaprika"]["budget"] == {"tokens": 20, "month_used": 0, "month_limit": 500}


def test_budget_has_no_tokens_where_nothing_limits_the_rate(api: fixtures.Api) -> None:
    """Not even where the limit was lifted after the bucket had been paid from."""
    api.conn.execute("insert into buckets (name, tokens) values ('lifted', 0)")
    (budget,) = buckets.list_budgets(api.conn, [fixtures.source("free", bucket="lifted")])
    assert budget.tokens is None


def test_totals_add_up_all_sources(api: fixtures.Api) -> None:
    """Sources that are no longer configured included."""
    add_totals(api, "csv")
    add_totals(api, "removed")
    found = api.get("/stats").json["totals"]
    assert found["records"] == NOTHING | {"read": 20, "inserted": 14, "rejected": 6}
    assert (found["requests"], found["retries"], found["throttled_seconds"]) == (10, 4, 3)
    assert found["runs"] == dict.fromkeys(STATUSES, 0) | {"succeeded": 8}
    assert by_source(api)["removed"]["records"]["read"] == 10


def test_filter_by_source_filters_totals_too(api: fixtures.Api) -> None:
    """What is shown is what is added up."""
    add_totals(api, "csv")
    add_totals(api, "removed")
    body = api.get("/stats", "source=csv,coingecko").json
    assert [entry["source"] for entry in body["sources"]] == ["coingecko", "csv"]
    assert body["totals"]["records"]["read"] == 10
    assert api.get("/stats", "source=removed").status_code == 400


def test_counts_come_from_totals_not_from_runs(api: fixtures.Api) -> None:
    """Pruning runs lowers nothing; live runs are counted where they are."""
    add_totals(api, "csv")
    fixtures.add_run(api.conn, "csv", "running")
    assert by_source(api)["csv"]["runs"] == dict.fromkeys(STATUSES, 0) | {"succeeded": 4, "running": 1}
    api.conn.execute("delete from runs")
    assert by_source(api)["csv"]["runs"]["succeeded"] == 4


def test_durations_are_of_the_last_hundred_finished_runs(api: fixtures.Api) -> None:
    """Older runs, live ones and crashed ones say nothing about how long a run takes now."""
    for seconds in [9999] * 5 + list(range(1, 101)):
        fixtures.add_run(api.conn, "csv", finished_at=fixtures.START + timedelta(seconds=seconds))
    fixtures.add_run(api.conn, "csv", "crashed", finished_at=fixtures.START + timedelta(days=9))
    fixtures.add_run(api.conn, "csv", "running")
    assert by_source(api)["csv"]["duration"] == {"last": 100, "median": 50.5, "p95": 95.05}


def test_last_run_is_the_whole_record(api: fixtures.Api) -> None:
    """The same as /runs shows, of the newest run."""
    fixtures.add_run(api.conn, "csv", "failed")
    fixtures.add_run(api.conn, "csv", "running")
    assert by_source(api)["csv"]["last_run"] == api.get("/runs", "source=csv").json["data"][0]


def test_last_success_and_failure_come_from_the_schedule(api: fixtures.Api) -> None:
    """In UTC, as everywhere."""
    api.conn.execute(
        """
        insert into schedules (source, last_success_at, last_failure_at)
        values ('csv', '2024-01-02T03:04:05+02:00', '2024-01-01T00:00:00.5Z')
        """
    )
    entry = by_source(api)["csv"]
    assert entry["last_success_at"] == "2024-01-02T01:04:05Z"
    assert entry["last_failure_at"] == "2024-01-01T00:00:00.5Z"


def test_checkpoint_is_that_of_the_live_stream_or_a_summary(api: fixtures.Api) -> None:
    """However many files an archive has, the answer stays small."""
    api.conn.execute(
        """
        insert into checkpoints (source, slice, position, watermark, run_id)
        values
            ('coingecko', '', '{"page": 3}', '2024-01-01T00:00:00Z', 1),
            ('csv', 'a.csv', '{"offset": 1}', '2024-01-01T00:00:00Z', 1),
            ('csv', 'b.csv', '{"offset": 2}', '2024-01-03T00:00:00Z', 1)
        """
    )
    found = by_source(api)
    assert found["coingecko"]["checkpoint"] == {
        "position": {"page": 3},
        "watermark": "2024-01-01T00:00:00Z",
        "slices": 1,
    }
    assert found["csv"]["checkpoint"] == {"position": None, "watermark": "2024-01-03T00:00:00Z", "slices": 2}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T02:00:00.12+02:00", "2024-01-01T00:00:00.12Z"),
        ("2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.000001Z"),
    ],
)
def test_watermark_looks_the_same_everywhere(api: fixtures.Api, stored: str, shown: str) -> None:
    """In the statistics and in the checkpoint that a run's record keeps: no digit more than needed."""
    api.conn.execute(
        "insert into checkpoints (source, slice, position, watermark, run_id) values ('csv', 'a', '{}', %s, 1)",
        (stored,),
    )
    kept = checkpoints.summary(api.conn, "csv", "")
    fixtures.add_run(api.conn, "csv", checkpoint_before=Jsonb(kept), checkpoint_after=Jsonb(kept))
    entry = by_source(api)["csv"]
    assert entry["checkpoint"]["watermark"] == shown
    for name in ("checkpoint_before", "checkpoint_after"):
        assert entry["last_run"][name] == {"slices": 1, "latest": {"a": {"position": {}, "watermark": shown}}}
