"""GET /compare-runs: two runs of a source beside each other."""

import json
from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API, open to everybody."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, with no runs."""
    return shared.emptied()


def compare(api: fixtures.Api, query: str) -> Any:
    result = api.get("/compare-runs", query)
    assert result.status_code == 200, result.text
    return result.json


def profile(inputs: str | None = None, **types: str) -> str:
    """A profile of two records with these fields, each of one type."""
    paths = {path: {"seen": 2, "null": 0, "types": {kind: 2}} for path, kind in types.items()}
    return json.dumps({"records": 2, "paths": paths, "inputs": inputs})


def add_anomaly(api: fixtures.Api, run_id: int, **values: Any) -> None:
    row = {"source": "csv", "metric": "records", "rule": "history", "severity": "alert", "message": "m", **values}
    names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    api.conn.execute(f"insert into anomalies (run_id, {names}) values ({run_id}, {marks})", row)


def test_every_count_and_duration_has_delta_and_ratio(api: fixtures.Api) -> None:
    """Of the first run against the second; the records themselves are there as well."""
    counts = {"requests": 4, "stage_seconds": '{"load": 3.0}', "measures": '{"records": 9}', "reading": "full"}
    b = fixtures.add_run(api.conn, "csv", records_read=8, inserted=6, rejected=2, **counts)
    counts |= {"requests": 2, "stage_seconds": '{"load": 1.5, "read": 1}', "measures": '{"records": 3}'}
    a = fixtures.add_run(api.conn, "csv", records_read=4, inserted=4, **counts)
    found = compare(api, f"a={a}&b={b}")
    assert (found["a"]["run_id"], found["b"]["run_id"], found["alike"]) == (a, b, True)
    assert found["counts"]["read"] == {"a": 4, "b": 8, "delta": -4, "ratio": 0.5}
    assert found["counts"]["rejected"] == {"a": 0, "b": 2, "delta": -2, "ratio": 0}
    assert found["counts"].keys() == found["a"]["counts"].keys()
    assert found["traffic"]["requests"] == {"a": 2, "b": 4, "delta": -2, "ratio": 0.5}
    assert found["durations"]["duration_seconds"] == {"a": 10, "b": 10, "delta": 0, "ratio": 1}
    assert found["stage_seconds"]["load"] == {"a": 1.5, "b": 3, "delta": -1.5, "ratio": 0.5}
    assert found["stage_seconds"]["read"] == {"a": 1, "b": None, "delta": None, "ratio": None}
    assert found["measures"]["records"]["ratio"] == 0.333333


def test_ratio_is_null_when_there_was_nothing_before(api: fixtures.Api) -> None:
    """Nobody divides by zero."""
    b = fixtures.add_run(api.conn, "csv")
    a = fixtures.add_run(api.conn, "csv", records_read=4, inserted=4)
    found = compare(api, f"a={a}&b={b}")
    assert found["counts"]["inserted"] == {"a": 4, "b": 0, "delta": 4, "ratio": None}
    assert found["counts"]["updated"] == {"a": 0, "b": 0, "delta": 0, "ratio": None}
    assert (found["stage_seconds"], found["measures"], found["anomalies"]) == ({}, {}, [])


def test_run_is_like_itself_when_it_is_compared_with_itself(api: fixtures.Api) -> None:
    """An odd question has a plain answer."""
    run_id = fixtures.add_run(api.conn, "csv", records_read=4, inserted=4)
    found = compare(api, f"a={run_id}&b={run_id}")
    assert found["counts"]["read"] == {"a": 4, "b": 4, "delta": 0, "ratio": 1}
    assert found["configuration"]["changed"] is False


def test_source_stands_for_its_last_two_finished_runs(api: fixtures.Api) -> None:
    """Of what it has now: neither live runs, nor replays, nor those of other sources."""
    fixtures.add_run(api.conn, "csv", "failed")
    b = fixtures.add_run(api.conn, "csv", "failed")
    a = fixtures.add_run(api.conn, "csv", "succeeded")
    fixtures.add_run(api.conn, "csv", "succeeded", slice="replay")
    fixtures.add_run(api.conn, "coingecko", "succeeded")
    fixtures.add_run(api.conn, "csv", "running")
    found = compare(api, "source=csv")
    assert (found["a"]["run_id"], found["b"]["run_id"]) == (a, b)


def test_b_is_null_when_only_one_run_finished(api: fixtures.Api) -> None:
    """What there is of the one run is still shown."""
    a = fixtures.add_run(api.conn, "csv", records_read=4, inserted=4)
    found = compare(api, "source=csv")
    assert (found["a"]["run_id"], found["b"], found["alike"]) == (a, None, None)
    assert found["counts"]["read"] == {"a": 4, "b": None, "delta": None, "ratio": None}
    assert found["configuration"] == {"changed": None, "a": "f", "b": None}
    assert found["schema"]["added"] is None


def test_fields_that_came_went_or_changed_are_named(api: fixtures.Api) -> None:
    """From what both runs saw; without that of both nothing is claimed."""
    b = fixtures.add_run(api.conn, "csv", profile=profile(id="text", was="number", price="number"))
    a = fixtures.add_run(api.conn, "csv", profile=profile(id="text", now="number", price="text"))
    c = fixtures.add_run(api.conn, "csv", config_fingerprint="g", code_version="1")
    found = compare(api, f"a={a}&b={b}")["schema"]
    assert (found["added"], found["missing"]) == (["now"], ["was"])
    assert found["type_changed"] == [{"path": "price", "a": "text", "b": "number"}]
    other = compare(api, f"a={c}&b={b}")
    assert (other["schema"]["added"], other["schema"]["type_changed"]) == (None, None)
    assert other["configuration"] == {"changed": True, "a": "g", "b": "f"}
    assert other["code"] == {"changed": True, "a": "1", "b": "0"}


def test_same_fields_are_no_difference(api: fixtures.Api) -> None:
    """Empty lists say that it was looked; of different files nothing is claimed."""
    a, b, other = (
        fixtures.add_run(api.conn, "csv", profile=profile(files, id="text"), schema_fingerprint="x")
        for files in ("one", "one", "two")
    )
    expected = {"changed": False, "a": "x", "b": "x", "added": [], "missing": [], "type_changed": []}
    assert compare(api, f"a={a}&b={b}")["schema"] == expected
    assert set(compare(api, f"a={a}&b={other}")["schema"].values()) == {"x", None}


def test_verdicts_on_both_runs_are_shown(api: fixtures.Api) -> None:
    """The newest first, and on each record its own."""
    b, a = fixtures.add_run(api.conn, "csv"), fixtures.add_run(api.conn, "csv")
    add_anomaly(api, b, metric="records")
    add_anomaly(api, a, metric="inserted")
    found = compare(api, f"a={a}&b={b}")
    assert [(each["run_id"], each["metric"]) for each in found["anomalies"]] == [(a, "inserted"), (b, "records")]
    assert [each["metric"] for each in found["a"]["anomalies"]] == ["inserted"]


@pytest.mark.parametrize(
    ("query", "status", "names"),
    [
        ("", 400, "ab"), ("a={0}", 400, "b"), ("b={0}", 400, "a"), ("a={0}&b={1}&source=csv", 400, ["source"]),
        ("a={0}&source=csv", 400, ["source"]), ("source=nobody", 400, ["source"]),
        ("source=csv,coingecko", 400, ["source"]), ("a=x&b={0}", 400, "a"), ("a=0&b={0}", 400, "a"),
        ("a=-1&b={0}", 400, "a"), ("a={0}&b=99999999999999999999", 400, "b"), ("a=&b={0}", 400, "a"),
        ("a={0}&b={1}&c=3", 400, "c"), ("a={0}&a={1}&b={1}", 400, "a"), ("a={0}&b={2}", 400, "b"),
        ("a={0}&b={3}", 400, "b"), ("a={4}&b={3}", 400, "ab"), ("a={0}&b=999999", 404, ""), ("a=999999&b={0}", 404, ""),
        ("source=coinpaprika", 404, ""), ("a={0}&b={1}", 200, ""), ("source=csv", 200, ""),
    ],
)  # fmt: skip
def test_wrong_question_is_refused_by_name(api: fixtures.Api, query: str, status: int, names: str | list[str]) -> None:
    """Runs 0 and 1 are of csv and over, 2 is of another source, 3 is running and 4 queued."""
    runs = (("csv", "succeeded"), ("csv", "failed"), ("coingecko", "succeeded"), ("csv", "running"))
    ids = [fixtures.add_run(api.conn, source, state) for source, state in runs]
    ids.append(fixtures.add_run(api.conn, "csv", "queued", slice="x"))
    result = api.get("/compare-runs", query.format(*ids))
    assert result.status_code == status, result.text
    assert [each["name"] for each in result.json.get("errors", ())] == list(names)
