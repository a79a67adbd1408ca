"""Errors of every kind are application/problem+json, name the request, and give nothing away."""

import logging
from collections.abc import Iterator
from typing import Any

import api_fixtures as fixtures
import pytest
from falcon import testing

from kasparro import errors
from kasparro.store import quotes, stats

MEMBERS = {"type", "title", "status", "detail", "code", "errors", "request_id", "api_latency_ms"}


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, ready and empty."""
    return shared.emptied()


def problem(result: testing.Result, status: int, code: str) -> Any:
    """The body, after checking what every problem has."""
    assert result.status_code == status
    assert result.headers["Content-Type"] == "application/problem+json"
    assert result.headers["Cache-Control"] == "no-store"
    body = result.json
    assert body.keys() == MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == result.headers["X-Request-ID"]
    return body


@pytest.mark.parametrize("path", ["/nothing", "/data/1", "/runs/1/2", "/health/none", "//nothing", "/%00", "/\u00e9"])
def test_unknown_path_is_a_problem(api: fixtures.Api, path: str) -> None:
    """404, also for what no route was made of."""
    problem(api.get(path), 404, "not_found")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(("path", "allowed"), [("/data", "GET, HEAD, OPTIONS"), ("/runs", "GET, HEAD, POST, OPTIONS")])
def test_wrong_method_says_what_is_allowed(api: fixtures.Api, method: str, path: str, allowed: str) -> None:
    """405 with Allow."""
    result = api.client.simulate_request(method, path)
    problem(result, 405, "method_not_allowed")
    assert set(result.headers["Allow"].split(", ")) == set(allowed.split(", "))


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_unknown_method_is_refused_like_a_wrong_one(api: fixtures.Api) -> None:
    """A method that HTTP does not know is no 500 either."""
    problem(api.client.simulate_request("BREW", "/data"), 405, "method_not_allowed")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("path", ["/data", "/runs", "/runs/1", "/assets/x", "/health/live"])
def test_options_says_what_is_allowed(api: fixtures.Api, path: str) -> None:
    """The very list that a wrong method is told, and no type of a body that is not there."""
    result = api.client.simulate_options(path)
    assert (result.status_code, result.text) == (204, "")
    assert "Content-Type" not in result.headers
    assert "X-Request-ID" in result.headers
    for method in ("DELETE", "BREW"):
        assert api.client.simulate_request(method, path).headers["Allow"] == result.headers["Allow"]
    assert set(result.headers["Allow"].split(", ")) >= {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", ["/data/", "/assets/", "/runs/", "/health/", "/health/live/"])
def test_trailing_slash_does_not_matter(api: fixtures.Api, path: str) -> None:
    """/data/ is /data."""
    assert api.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/runs/1", "/assets/x"])
def test_path_without_parameters_refuses_any(api: fixtures.Api, path: str) -> None:
    """A parameter that would be ignored is a mistake."""
    body = problem(api.get(path, "verbose=1"), 400, "invalid_parameters")
    assert body["errors"] == [{"name": "verbose", "message": "is not known here"}]


def test_bug_is_a_500_that_gives_nothing_away(api: fixtures.Api, monkeypatch: Any, caplog: Any) -> None:
    """The client gets the request id, the log the rest."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(stats, "get", fail)
    body = problem(api.get("/stats", "", {"X-Request-ID": "r-1"}), 500, "internal_error")
    assert "secret" not in str(body)
    logged = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert (logged.request_id, "secret detail" in str(logged.exc_info)) == ("r-1", True)


def test_refused_statement_is_a_500_that_gives_nothing_away(api: fixtures.Api, monkeypatch: Any, caplog: Any) -> None:
    """What Postgres says is for the operator."""

    def fail(conn: Any, *_: object, **__: object) -> None:
        conn.execute("select secret_column from assets")

    monkeypatch.setattr(quotes, "page", fail)
    assert "secret_column" not in str(problem(api.get("/data"), 500, "internal_error"))
    assert "secret_column" in caplog.text


def test_slow_statement_is_ended_and_said_so(api: fixtures.Api, monkeypatch: Any) -> None:
    """503 query_timeout, and the connection is as good as before."""
    monkeypatch.setattr("kasparro.http.data._COUNT_SECONDS", 0.05)
    monkeypatch.setattr(quotes, "count", lambda conn, _: conn.execute("select pg_sleep(5)"))
    body = problem(api.get("/data", "count=exact"), 503, "query_timeout")
    assert "longer than 0.05 s" in body["detail"]
    assert api.get("/data").status_code == 200


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        (
            errors.DatabaseUnavailableError("connection to server at 10.1.2.3 failed"),
            "database_unavailable",
            "does not",
        ),
        (errors.SchemaError("the schema is at 1, this code needs 2"), "schema", "needs 2"),
        (errors.KasparroError("/secret/path is missing", code="embedded"), "embedded", "still starting"),
    ],
)
def test_request_before_the_service_is_ready_is_a_503(
    api: fixtures.Api, trouble: errors.KasparroError, code: str, said: str
) -> None:
    """With Retry-After, a code, and no addresses or paths."""
    api.trouble = trouble
    for path in ("/data", "/assets", "/assets/x", "/stats", "/runs", "/runs/1", "/health/ready"):
        result = api.get(path)
        body = problem(result, 503, code)
        assert said in body["detail"]
        assert not {"10.1.2.3", "secret"} & set(body["detail"].replace("/", " ").split())
        assert result.headers["Retry-After"].isdigit()
    assert api.get("/health/live").status_code == 200


def test_inbound_request_id_is_kept_when_safe(api: fixtures.Api) -> None:
    """And replaced when not, on errors as well."""
    assert api.get("/nothing", "", {"X-Request-ID": "abc:1"}).headers["X-Request-ID"] == "abc:1"
    assert api.get("/nothing", "", {"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


@pytest.mark.parametrize("path", ["/data", "/nothing", "/health/live", "/data?bogus=1"])
def test_every_response_has_the_common_headers(api: fixtures.Api, path: str) -> None:
    """Whatever the answer is."""
    headers = api.client.simulate_get(path).headers
    assert len(headers["X-Request-ID"]) == 32
    assert headers["Server-Timing"].startswith("total;dur=")
    assert headers["Cache-Control"]


def test_access_log_has_one_line_a_request(api: fixtures.Api, caplog: Any) -> None:
    """With the route, not with what was asked for."""
    with caplog.at_level(logging.INFO, logger="kasparro.http"):
        result = api.get("/runs/99", "", {"X-Request-ID": "r-2"})
        api.get("/data", "format=csv")
    first, second = [record for record in caplog.records if hasattr(record, "duration_ms")]
    assert (first.method, first.path, first.status) == ("GET", "/runs/{run_id}", 404)
    assert (first.bytes, first.client, first.request_id) == (len(result.content), None, "r-2")
    assert second.bytes > 0
