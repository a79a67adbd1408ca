"""Do the answers keep what the OpenAPI document promises, whatever is sent?

Schemathesis makes the requests out of the document, right ones and wrong ones, and holds every answer against it: its
status, media type, headers and every member of the body. Here the document is closed: a member that it does not name
fails, though clients should ignore what they do not know.
"""

from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from kasparro.http import openapi
from kasparro.model import Anomaly
from kasparro.store import anomalies

# Requests of each operation. More find nothing more: all that they reach is the parsers and one statement.
EXAMPLES = 12
# What the document cannot say: a cursor is one that the API gave, and some parameters do not go together.
NOT_CHECKED = [positive_data_acceptance]


def close(node: Any) -> Any:
    """The document with every object allowing no members but those it names."""
    if isinstance(node, list):
        return [close(member) for member in node]
    if not isinstance(node, dict):
        return node
    closed = {name: close(member) for name, member in node.items()}
    if "allOf" in closed:
        return {**closed, "allOf": node["allOf"], "unevaluatedProperties": False}
    return {"additionalProperties": False, **closed} if isinstance(node.get("properties"), dict) else closed


def closed_document() -> dict[str, Any]:
    """The document of the API below, all of it closed but for Problem: that is part of larger ones, which are."""
    document = openapi.build(fixtures.SOURCES, keys_needed=True)
    problem = document["components"]["schemas"]["Problem"]
    closed = close(document)
    closed["components"]["schemas"]["Problem"] = problem
    return dict(closed)


class Relay:
    """The application that the requests are for: there is none yet when the tests are collected."""

    app: Any = None

    def __call__(self, env: Any, start_response: Any) -> Any:
        return self.app(env, start_response)


RELAY = Relay()
CONTRACT = schemathesis.openapi.from_dict(closed_document())
CONTRACT.app = RELAY


@pytest.fixture(scope="module", autouse=True)
def api(databases: Any) -> Iterator[None]:
    """The API with a few rows of everything."""
    with fixtures.serve_clone(databases, api_keys=fixtures.KEYS) as api:
        for name in ("csv", "coingecko"):
            listing = fixtures.add_listing(api.conn, name, f"{name}-btc", slug="btc-bitcoin")
            fixtures.add_quote(api.conn, listing, fixtures.START, "1e-30")
            run_id = fixtures.add_run(api.conn, name, error_code="rejections", error_message="one")
            measured = {"reading": "full", "measures": '{"records": 3, "price_move_pct": 0.25}'}
            run_id = fixtures.add_run(api.conn, name, stage_seconds='{"read": 1.5}', **measured)
            verdict = Anomaly(
                metric="records", rule="min_records", severity="alert", value=3, expected=9, message="few"
            )
            anomalies.insert(api.conn, name, run_id, [verdict])
            api.conn.execute(
                """
                insert into drifts (source, path, kind, action, first_run_id, last_run_id)
                values (%(source)s, 'price', 'missing', 'warned', %(run_id)s, %(run_id)s)
                """,
                {"source": name, "run_id": run_id},
            )
            api.conn.execute(
                """
                insert into rejections (
                    source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at,
                    last_seen_at
                )
                values (
                    %(source)s, '', 'price_missing', '', 'normalise', '', gen_random_uuid(), false, %(run_id)s, now(),
                    now()
                )
                """,
                {"source": name, "run_id": run_id},
            )
        RELAY.app = api.client.app
        yield


@CONTRACT.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_keep_the_contract(case: schemathesis.Case) -> None:
    """Each answer is one that the document promises."""
    case.call_and_validate(headers=fixtures.ANN, excluded_checks=NOT_CHECKED)
