"""GET /drift: how the fields of sources differ from what they were, and the drifts of a run."""

import json
from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest

from kasparro.store import db, run_records


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """The API over four drifts of two sources, three kinds, one of them closed."""
    with fixtures.serve_clone(databases) as api:
        add(api.conn, "csv", "added", path="note", slice="2024.csv")
        renamed = {"renamed_to": "price", "confidence": 0.95, "action": "mapped", "last_run_id": 9}
        add(api.conn, "coingecko", "renamed", path="current_price", **renamed)
        api.conn.execute(
            "insert into field_renames (source, path, renamed_to, drift_id) select source, path, renamed_to, id "
            "from drifts where kind = 'renamed'"
        )
        add(api.conn, "coingecko", "missing", path="ath", status="resolved", closed_at="2024-01-03T00:00:00Z")
        add(api.conn, "csv", "missing", path="volume")
        yield api


def add(conn: db.Connection, source_name: str, kind: str, **values: Any) -> int:
    row = {
        "source": source_name, "kind": kind, "action": "warned", "first_run_id": 7, "last_run_id": 7,
        "first_seen_at": "2024-01-01T00:00:00Z", "last_seen_at": "2024-01-02T00:00:00Z", **values,
    }  # fmt: skip
    names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    return int(db.one(conn.execute(f"insert into drifts ({names}) values ({marks}) returning id", row))[0])


def test_drift_tells_everything(api: fixtures.Api) -> None:
    """What changed, how sure that is, what was done about it, and since when."""
    (row,) = api.rows("/drift", "kind=renamed")
    assert row == {
        "id": "2", "source": "coingecko", "slice": "", "path": "current_price", "kind": "renamed",
        "renamed_to": "price", "confidence": "0.95", "action": "mapped", "in_force": True, "status": "open",
        "details": {}, "first_run_id": "7", "last_run_id": "9", "first_seen_at": "2024-01-01T00:00:00Z",
        "last_seen_at": "2024-01-02T00:00:00Z", "closed_at": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 3, 2, 1]),
        ("source=csv", [4, 1]),
        ("source=csv,coingecko&kind=missing", [4, 3]),
        ("kind=null_jump", []),
        ("status=open", [4, 2, 1]),
        ("status=resolved&kind=missing", [3]),
        ("in_force=true", [2]),
        ("in_force=false&source=coingecko", [3]),
        ("limit=2", [4, 3]),
    ],
)
def test_drifts_are_those_asked_for(api: fixtures.Api, query: str, ids: list[int]) -> None:
    """The newest first."""
    assert [int(row["id"]) for row in api.rows("/drift", query)] == ids


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_walk_gives_every_drift_once(api: fixtures.Api, limit: int) -> None:
    """Page by page, whatever their size."""
    assert [int(row["id"]) for row in api.walk("/drift", f"limit={limit}")] == [4, 3, 2, 1]


@pytest.mark.parametrize("query", ["kind=lost", "source=nobody", "cursor=x", "status=shut", "in_force=1", "limit=0"])
def test_wrong_parameter_is_a_400_that_names_it(api: fixtures.Api, query: str) -> None:
    """As everywhere."""
    result = api.get("/drift", query)
    assert result.status_code == 400
    assert result.json["errors"][0]["name"] == query.split("=")[0]


def test_run_record_has_the_drifts_that_it_saw(api: fixtures.Api) -> None:
    """Not those that were away while it ran; and of very many only some, which the contract promises."""
    first, without, last = (fixtures.add_run(api.conn, "coingecko") for _ in range(3))
    api.conn.execute("insert into drifts_seen values (%s, 2), (%s, 2), (%s, 3)", (first, last, last))
    drifts = [fixtures.parse(api.get(f"/runs/{run_id}").text)["drifts"] for run_id in (first, without, last)]
    assert [[int(row["id"]) for row in rows] for rows in drifts] == [[2], [], [2, 3]]
    assert drifts[0] == api.rows("/drift", "kind=renamed")
    with api.conn.transaction(force_rollback=True):
        ids = [add(api.conn, "coingecko", "added", path=str(number)) for number in range(101)]
        api.conn.execute("insert into drifts_seen select %s, unnest(%s::bigint[])", (without, ids))
        assert api.conn.execute("select count(*) from drifts_seen where run_id = %s", (without,)).fetchone() == (101,)
        assert len(json.loads(run_records.get(api.conn, without))["drifts"]) == 100
