"""GET /rejections: which records gave no quote, and why."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import api_fixtures as fixtures
import pytest

from kasparro.store import db


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """The API over six rejections: of two sources, three codes, one resolved, one expected."""
    with fixtures.serve_clone(databases) as api:
        add(api.conn, "csv", "not_a_number", payload='{"price": "1.50e3", "n": 0.10}', field="price_usd")
        add(api.conn, "csv", "not_a_time", resolved=True)
        add(api.conn, "coingecko", "price_missing", expected=True, external_id="dead-coin")
        add(api.conn, "csv", "not_a_number", payload='{"text": "' + "x" * 9000 + '"}')
        add(api.conn, "coingecko", "not_a_number", payload=None)
        add(api.conn, "csv", "ragged_row", payload='{"nul": "\\u0000"}')
        yield api


def add(
    conn: db.Connection, source_name: str, code: str, *, payload: str | None = "{}", resolved: bool = False, **more: Any
) -> None:
    row = {
        "source": source_name, "code": code, "hash": uuid4(), "payload": payload, "resolved": resolved,
        "field": None, "expected": False, "external_id": None, **more,
    }  # fmt: skip
    if payload is not None:
        conn.execute(
            """
            insert into raw_records (source, content_hash, slice, payload, run_id, first_seen_at, last_seen_at)
            values (%(source)s, %(hash)s, '', %(payload)s, 1, now(), now())
            """,
            row,
        )
    conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, field, message, external_id, content_hash, expected, run_id,
            first_seen_at, last_seen_at, resolved_at
        )
        values (
            %(source)s, '2024.csv', %(code)s, %(hash)s::text, 'normalise', %(field)s, 'is wrong', %(external_id)s,
            %(hash)s, %(expected)s, 7, '2024-01-01T00:00:00Z', '2024-01-02T00:00:00Z',
            case when %(resolved)s then timestamptz '2024-01-03T00:00:00Z' end
        )
        """,
        row,
    )


def test_rejection_tells_everything(api: fixtures.Api) -> None:
    """Why, where from, since when, and the record itself, to the last digit."""
    (row,) = [each for each in api.rows("/rejections") if each["field"]]
    payload = row.pop("payload")
    assert payload == {"price": "1.50e3", "n": "0.10"}
    assert row == {
        "id": "1", "source": "csv", "slice": "2024.csv", "stage": "normalise", "code": "not_a_number",
        "field": "price_usd", "message": "is wrong", "external_id": None, "expected": False, "attempts": "1",
        "run_id": "7", "first_seen_at": "2024-01-01T00:00:00Z", "last_seen_at": "2024-01-02T00:00:00Z",
        "resolved_at": None, "payload_bytes": "30",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("source=csv", [6, 4, 2, 1]),
        ("source=csv,coingecko&code=not_a_number", [5, 4, 1]),
        ("resolved=true", [2]),
        ("resolved=false&source=csv", [6, 4, 1]),
        ("expected=true", [3]),
        ("expected=false&resolved=false", [6, 5, 4, 1]),
        ("code=bad_csv", []),
        ("limit=2", [6, 5]),
    ],
)
def test_rejections_are_those_asked_for(api: fixtures.Api, query: str, ids: list[int]) -> None:
    """The newest first."""
    assert [int(row["id"]) for row in api.rows("/rejections", query)] == ids


@pytest.mark.parametrize("limit", [1, 2, 4, 100])
def test_walk_gives_every_rejection_once(api: fixtures.Api, limit: int) -> None:
    """Page by page, whatever their size."""
    assert [int(row["id"]) for row in api.walk("/rejections", f"limit={limit}&resolved=false")] == [6, 5, 4, 3, 1]


def test_payload_is_left_out_when_it_is_large_or_gone(api: fixtures.Api) -> None:
    """Its size is told; of one that was pruned there is none."""
    rows = {int(row["id"]): row for row in api.rows("/rejections")}
    assert (rows[4]["payload"], rows[4]["payload_bytes"]) == (None, "9012")
    assert (rows[5]["payload"], rows[5]["payload_bytes"]) == (None, None)
    assert rows[6]["payload"] == {"nul": "\x00"}


@pytest.mark.parametrize(
    "query", ["resolved=maybe", "expected=1", "source=nobody", "cursor=x", "order=asc", "code=", "code=nope", "limit=0"]
)
def test_wrong_parameter_is_a_400_that_names_it(api: fixtures.Api, query: str) -> None:
    """As everywhere."""
    result = api.get("/rejections", query)
    assert result.status_code == 400
    assert result.json["errors"][0]["name"] == query.split("=")[0]
