"""Client keys: who is asked for one, what is accepted, and that a key shows up nowhere."""

import logging
from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest

LOCKED = ["/data", "/assets", "/assets/x", "/stats", "/runs", "/runs/1", "/nothing", "/data/", "/healthy", "/metrics/x"]


@pytest.fixture(scope="module")
def api(databases: Any) -> Iterator[fixtures.Api]:
    """The API with two clients."""
    with fixtures.serve_clone(databases, api_keys=fixtures.KEYS) as api:
        yield api


@pytest.mark.parametrize("path", LOCKED)
def test_request_without_a_key_is_refused(api: fixtures.Api, path: str) -> None:
    """401 with what to send, before anything else is said about the path."""
    result = api.get(path)
    assert (result.status_code, result.json["code"]) == (401, "unauthorized")
    assert result.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_probe_needs_no_key(api: fixtures.Api, path: str) -> None:
    """A health check has no secrets."""
    assert api.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/metrics"])
def test_open_path_is_not_asked_for_a_key(api: fixtures.Api, path: str) -> None:
    """Whatever is there, a key is not what is missing."""
    assert api.get(path).status_code != 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "key-of-ann-123"},
        {"Authorization": "Bearer key-of-bob-456"},
        {"Authorization": "bearer  key-of-bob-456 "},
        {"X-API-Key": "wrong", "Authorization": "Bearer key-of-ann-123"},
    ],
)
def test_either_header_is_accepted(api: fixtures.Api, headers: dict[str, str]) -> None:
    """One right key is enough."""
    assert api.get("/data", "", headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "key-of-ann-12"},
        {"X-API-Key": "key-of-ann-1234"},
        {"X-API-Key": "KEY-OF-ANN-123"},
        {"X-API-Key": ""},
        {"X-API-Key": "ann"},
        {"X-API-Key": "ann:key-of-ann-123"},
        {"X-API-Key": "\u00ff"},
        {"Authorization": "Basic key-of-ann-123"},
        {"Authorization": "key-of-ann-123"},
        {"Authorization": "Bearer"},
    ],
)
def test_wrong_key_is_refused(api: fixtures.Api, headers: dict[str, str]) -> None:
    """Nearly right is wrong."""
    assert api.get("/data", "", headers).status_code == 401


def test_key_in_the_query_string_does_not_count(api: fixtures.Api) -> None:
    """Addresses end up in logs."""
    assert api.get("/data", "api_key=key-of-ann-123").status_code == 401


def test_access_log_names_the_client_and_never_the_key(api: fixtures.Api, caplog: Any) -> None:
    """Who it was, not how that was proven."""
    with caplog.at_level(logging.DEBUG):
        api.get("/data", "", {"Authorization": "Bearer key-of-bob-456"})
        api.get("/data", "", {"X-API-Key": "key-of-ann-123-wrong"})
    lines = [record for record in caplog.records if hasattr(record, "client")]
    assert [line.client for line in lines] == ["bob", None]
    assert not any("key-of" in str(vars(record)) for record in caplog.records)


def test_answers_are_private_where_keys_are_set(api: fixtures.Api) -> None:
    """No shared cache gives one client's answer to another."""
    result = api.get("/data", "", fixtures.ANN)
    assert result.headers["Cache-Control"] == "private, no-cache"
    assert {word.strip() for word in result.headers["Vary"].split(",")} == {"Accept", "Authorization", "X-API-Key"}
