"""GET /runs and POST /runs: what was run, and asking for a run exactly once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import api_fixtures as fixtures
import pytest

from kasparro import __version__, model

ZERO_COUNTS = {
    "read": 0, "inserted": 0, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 0, "rejected_expected": 0,
    "raw_inserted": 0, "future_dated": 0, "removed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API with two clients."""
    with fixtures.serve_clone(databases, api_keys=fixtures.KEYS) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, with no runs."""
    return shared.emptied()


def get(api: fixtures.Api, path: str, query: str = "") -> Any:
    result = api.get(path, query, fixtures.ANN)
    assert result.status_code == 200, result.text
    return result.json


def count_runs(api: fixtures.Api) -> int:
    return len(get(api, "/runs", "limit=1000")["data"])


def test_record_tells_everything_of_a_run(api: fixtures.Api) -> None:
    """Every field of the contract is there, and absent values are null."""
    first = fixtures.add_run(api.conn, "csv", "crashed")
    run_id = fixtures.add_run(
        api.conn, "csv", "failed", records_read=3, inserted=1, rejected=2, throttled_seconds=1.5, throttled=1,
        error_code="fetch", error_message="no answer", resumed_from=first, stage_seconds='{"fetch": 1.25}',
    )  # fmt: skip
    record = get(api, f"/runs/{run_id}")
    assert record["run_id"] == run_id
    assert record["counts"] == ZERO_COUNTS | {"read": 3, "inserted": 1, "rejected": 2}
    assert record["error"] == {"code": "fetch", "message": "no answer"}
    assert (record["resumed_from"], record["duration_seconds"], record["throttled_seconds"]) == (first, 10, 1.5)
    assert record["stage_seconds"] == {"fetch": 1.25}
    assert (record["anomalies"], record["drifts"], record["schema_fingerprint"]) == ([], [], None)
    assert get(api, f"/runs/{first}")["error"] is None


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_walk_is_newest_first(api: fixtures.Api, limit: int) -> None:
    """Every run once, each with its anomalies."""
    ids = [fixtures.add_run(api.conn, "csv") for _ in range(7)]
    seen: list[dict[str, Any]] = []
    target = f"/runs?limit={limit}"
    while target:
        result = api.client.simulate_get(target, headers=fixtures.ANN)
        seen += result.json["data"]
        target = fixtures.next_link(result)
    assert [row["run_id"] for row in seen] == ids[::-1]
    assert all(row["anomalies"] == [] for row in seen)


def test_filters_by_source_and_status(api: fixtures.Api) -> None:
    """Alone and together, one source or several."""
    one = fixtures.add_run(api.conn, "csv", "failed")
    two = fixtures.add_run(api.conn, "csv", "succeeded")
    three = fixtures.add_run(api.conn, "coingecko", "failed")
    fixtures.add_run(api.conn, "coinpaprika", "running")

    def ids(query: str) -> list[int]:
        return [row["run_id"] for row in get(api, "/runs", query)["data"]]

    assert ids("source=csv") == [two, one]
    assert ids("status=failed") == [three, one]
    assert ids("source=csv,coingecko&status=failed") == [three, one]
    assert ids("source=csv&status=crashed") == []
    # Named twice it is one source.
    assert ids("source=csv,csv") == [two, one]
    assert ids("source=csv,coingecko,csv&limit=2") == [three, two]


@pytest.mark.parametrize("query", ["status=done", "source=unknown", "limit=0", "cursor=x", "cursor=", "before=1"])
def test_wrong_parameter_is_refused(api: fixtures.Api, query: str) -> None:
    """A 400 names it."""
    result = api.get("/runs", query, fixtures.ANN)
    assert result.status_code == 400
    assert result.json["errors"][0]["name"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "run_id", ["0", "-1", "x", "1.5", "%00", "1e3", "9223372036854775808", "9" * 300, "+1", "%D9%A1"]
)
def test_run_that_cannot_exist_is_not_found(api: fixtures.Api, run_id: str) -> None:
    """Whatever stands in the path, it is at most a 404."""
    result = api.get(f"/runs/{run_id}", "", fixtures.ANN)
    assert (result.status_code, result.json["code"]) == (404, "not_found")


def test_post_queues_a_run(api: fixtures.Api) -> None:
    """202, where to look for it, and the scheduler is woken."""
    result = api.post_run({"source": "csv"})
    assert result.status_code == 202
    record = result.json
    assert result.headers["Location"] == f"/runs/{record['run_id']}"
    assert (record["status"], record["trigger"], record["source"]) == ("queued", "api", "csv")
    assert (record["code_version"], record["config_fingerprint"]) == (__version__, "fingerprint of csv")
    assert get(api, result.headers["Location"])["run_id"] == record["run_id"]
    assert api.wake_ups == 1


@pytest.mark.parametrize("status", ["queued", "running"])
def test_post_while_a_run_is_live_shows_that_run(api: fixtures.Api, status: str) -> None:
    """A second run of a source would only wait for the first."""
    live = fixtures.add_run(api.conn, "csv", status)
    result = api.post_run({"source": "csv"})
    assert (result.status_code, result.json["code"]) == (409, "run_live")
    assert (result.json["run"]["run_id"], result.json["run"]["status"]) == (live, status)
    assert api.wake_ups == 0
    assert api.post_run({"source": "coingecko"}).status_code == 202


def test_same_key_is_the_same_run_also_when_it_has_ended(api: fixtures.Api) -> None:
    """A client that did not hear the answer may ask again, at any time."""
    key = {"Idempotency-Key": "order-1"}
    first = api.post_run({"source": "csv"}, key).json["run_id"]
    assert api.post_run({"source": "csv"}, key).json["run_id"] == first
    api.conn.execute("update runs set status = 'succeeded', started_at = now(), finished_at = now()")
    again = api.post_run({"source": "csv"}, key)
    assert (again.status_code, again.json["run_id"], again.json["status"]) == (202, first, "succeeded")
    assert count_runs(api) == 1


def test_same_key_with_another_body_is_refused(api: fixtures.Api) -> None:
    """A key stands for one request."""
    key = {"Idempotency-Key": "order-1"}
    api.post_run({"source": "csv"}, key)
    result = api.post_run({"source": "coingecko"}, key)
    assert (result.status_code, result.json["code"]) == (422, "idempotency_key_reused")


def test_keys_of_two_clients_do_not_meet(api: fixtures.Api) -> None:
    """Nobody gets another client's run by choosing the same key."""
    api.post_run({"source": "csv"}, {"Idempotency-Key": "1"})
    other = api.post_run({"source": "coingecko"}, {"Idempotency-Key": "1", "X-API-Key": "key-of-bob-456"})
    assert other.status_code == 202


def test_twenty_posts_with_one_key_make_one_run(api: fixtures.Api) -> None:
    """At once, from many threads: all of them hear of the same run."""
    start = threading.Barrier(20)

    def post(_: int) -> tuple[int, int]:
        start.wait()
        result = api.post_run({"source": "csv"}, {"Idempotency-Key": "same"})
        return result.status_code, result.json["run_id"]

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(post, range(20)))
    assert len(answers) == 1
    assert {status for status, _ in answers} == {202}
    assert count_runs(api) == 1


def test_twenty_posts_without_a_key_make_one_run(api: fixtures.Api) -> None:
    """One is queued, the others are shown it."""
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: api.post_run({"source": "csv"}), range(20)))
    assert sorted(result.status_code for result in results) == [202] + [409] * 19
    assert len({result.json.get("run_id") or result.json["run"]["run_id"] for result in results}) == 1


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", '"csv"', "{}", '{"source": 1}', '{"source": null}', '{"source": ["csv"]}',
        '{"source": "x"}', '{"source": "csv", "full": true}', '{"source": "csv", "source": "csv"}', '{"source": NaN}',
        '{"source": "csv"} x', '{"source": "retired"}', '{"source": "cs\\u0000v"}', '{"\\ud800": 1}', "[" * 50_000,
        b"\xff", b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_wrong_body_is_refused(api: fixtures.Api, body: str | bytes) -> None:
    """A 400 that says what is wrong, and no run."""
    result = api.post_run(body)
    assert result.status_code == 400
    assert result.json["code"] in ("invalid_body", "source_disabled")
    assert result.json["errors"]
    assert count_runs(api) == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_content_types_are_refused(api: fixtures.Api, content_type: str) -> None:
    """Only JSON is read."""
    assert api.post_run({"source": "csv"}, {"Content-Type": content_type}).status_code == 415
    assert api.post_run({"source": "csv"}, {"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 202


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("br, identity", 415), ("Identity", 202)])
def test_encoded_body_is_refused(api: fixtures.Api, encoding: str, status: int) -> None:
    """Said as what it is, not as broken JSON."""
    result = api.post_run({"source": "csv"}, {"Content-Encoding": encoding})
    assert result.status_code == status
    assert result.json.get("code", "") == ("unsupported_media_type" if status == 415 else "")


def test_large_body_is_refused(api: fixtures.Api) -> None:
    """Nobody needs 64 KB to name a source."""
    assert api.post_run(json.dumps({"source": "x" * 70_000})).status_code == 413


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "\u00e9", "a\tb"])
def test_wrong_idempotency_key_is_refused(api: fixtures.Api, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    result = api.post_run({"source": "csv"}, {"Idempotency-Key": key})
    assert (result.status_code, result.json["errors"][0]["name"]) == (400, "Idempotency-Key")
    assert api.post_run({"source": "csv"}, {"Idempotency-Key": "~" * 255}).status_code == 202


def test_post_without_a_scheduler_says_so(api: fixtures.Api) -> None:
    """A run that nobody takes is not queued."""
    api.scheduler = model.SchedulerState(enabled=False, alive=False)
    result = api.post_run({"source": "csv"})
    assert (result.status_code, result.json["code"]) == (503, "no_scheduler")
    assert count_runs(api) == 0


def test_post_is_refused_where_no_keys_are_set(dsn: str) -> None:
    """Reads are open then, but nobody can start work."""
    with fixtures.serve(dsn) as api:
        result = api.post_run({"source": "csv"})
        assert (result.status_code, result.json["code"]) == (403, "api_keys_required")
        assert api.get("/runs").json["data"] == []


def test_post_with_query_parameters_is_refused(api: fixtures.Api) -> None:
    """The body says it all."""
    result = api.client.simulate_post("/runs", query_string="source=csv", json={"source": "csv"}, headers=fixtures.ANN)
    assert result.status_code == 400
