"""GET /anomalies: verdicts on runs."""

from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest

from kasparro.model import Anomaly
from kasparro.store import anomalies


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API, open to everybody."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, with no runs."""
    return shared.emptied()


def verdict(metric: str = "records", severity: str = "alert", **values: Any) -> Anomaly:
    given = {"rule": "history", "value": 1000.0, "expected": 2000.5, "score": -13.9, "message": "half"} | values
    return Anomaly(metric=metric, severity=severity, **given)


def add(api: fixtures.Api, source: str, *verdicts: Anomaly) -> int:
    """A run with these verdicts."""
    run_id = fixtures.add_run(api.conn, source)
    anomalies.insert(api.conn, source, run_id, verdicts)
    return run_id


def metrics(api: fixtures.Api, query: str) -> list[str]:
    return [row["metric"] for row in api.rows("/anomalies", query)]


def test_verdict_tells_what_was_expected_of_which_run(api: fixtures.Api) -> None:
    """Every field of it; what a hard rule has no score for is null."""
    run_id = add(api, "csv", verdict(), verdict("pages", rule="partial_pages", score=None))
    pages, records = api.get("/anomalies").json["data"]
    assert records.items() >= {
        "source": "csv", "run_id": run_id, "metric": "records", "rule": "history", "severity": "alert", "value": 1000,
        "expected": 2000.5, "score": -13.9, "message": "half",
    }.items()  # fmt: skip
    assert records["created_at"].endswith("Z")
    assert (pages["rule"], pages["score"]) == ("partial_pages", None)


def test_verdicts_stand_on_their_run_in_the_order_they_were_given(api: fixtures.Api) -> None:
    """In the list of runs, and on the run itself."""
    run_id = add(api, "csv", verdict("b"), verdict("a"))
    for record in (api.get(f"/runs/{run_id}").json, api.get("/runs").json["data"][0]):
        assert [each["metric"] for each in record["anomalies"]] == ["b", "a"]


def test_filters_by_source_metric_and_severity(api: fixtures.Api) -> None:
    """Alone and together, one source or several."""
    add(api, "csv", verdict("pages", "warn"), verdict("b"))
    add(api, "coingecko", verdict("c", "warn"), verdict("pages"))
    assert metrics(api, "source=csv") == ["b", "pages"]
    assert metrics(api, "source=csv,coingecko") == ["pages", "c", "b", "pages"]
    assert metrics(api, "severity=warn") == ["c", "pages"]
    assert metrics(api, "metric=pages") == ["pages", "pages"]
    assert metrics(api, "metric=pages&severity=warn&source=csv") == ["pages"]
    assert metrics(api, "metric=null_share_rank") == []


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_walk_is_newest_first(api: fixtures.Api, limit: int) -> None:
    """Every verdict once."""
    for number in range(5):
        add(api, "csv", verdict(str(number)))
    assert [row["metric"] for row in api.walk("/anomalies", f"limit={limit}")] == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    "query", ["severity=bad", "source=unknown", "limit=0", "cursor=x", "metric=", "metric=speed", "run_id=1"]
)
def test_wrong_parameter_is_refused(api: fixtures.Api, query: str) -> None:
    """A 400 names it."""
    result = api.get("/anomalies", query)
    assert result.status_code == 400
    assert result.json["errors"][0]["name"] == query.partition("=")[0]


def test_totals_stay_when_the_run_is_pruned(api: fixtures.Api) -> None:
    """Verdicts go with their run, how many there were is remembered."""
    api.conn.execute("delete from anomaly_totals")
    add(api, "csv", verdict("a"), verdict("b", "warn"))
    add(api, "csv", verdict("a"))
    api.conn.execute("delete from runs")
    assert api.rows("/anomalies") == []
    rows = api.conn.execute("select metric, severity, anomalies from anomaly_totals order by 1, 2").fetchall()
    assert rows == [("a", "alert", 2), ("b", "warn", 1)]
