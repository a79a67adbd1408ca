"""Does the OpenAPI document say what the API does? Paths, methods and parameters are asked of the API itself."""

import json
import re
from typing import Any

import pytest
from falcon import testing
from openapi_spec_validator import OpenAPIV31SpecValidator

from kasparro import model
from kasparro.clock import SystemClock
from kasparro.config import Secret
from kasparro.http import app, openapi

KEY = {"X-API-Key": "a-key-of-somebody"}
SOURCES = {
    name: model.SourceInfo(
        name=name,
        enabled=True,
        interval_seconds=60.0,
        freshness_seconds=None,
        monthly_requests=None,
        config_fingerprint="f",
    )
    for name in ("coingecko", "csv")
}
# What every path answers, and the document says once for all.
EVERYWHERE = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    """The API without a database: what is wrong with a request is found before one is needed."""
    created = app.create(
        database=None,  # type: ignore[arg-type] # nothing here gets as far
        clock=SystemClock(),
        sources=SOURCES,
        api_keys={"somebody": Secret(KEY["X-API-Key"])},
        scheduler_state=lambda: model.SchedulerState(enabled=True, alive=True),
        wake_scheduler=lambda: None,
        ready=lambda: None,
    )
    return testing.TestClient(created)


DOCUMENT = openapi.build(SOURCES, keys_needed=True)
OPERATIONS = [
    pytest.param(path, method, id=f"{method} {path}") for path, item in DOCUMENT["paths"].items() for method in item
]


def example(path: str) -> str:
    """A path that leads to the route."""
    return re.sub(r"\{\w+\}", "1", path)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """What a $ref stands for."""
    *_, kind, name = node.get("$ref", "/").split("/")
    return DOCUMENT["components"][kind][name] if "$ref" in node else node


def parameters(path: str, method: str, place: str) -> dict[str, Any]:
    """The operation's parameters in the query, the path or the headers: name -> schema."""
    found = [resolve(parameter) for parameter in DOCUMENT["paths"][path][method].get("parameters", ())]
    return {parameter["name"]: parameter["schema"] for parameter in found if parameter["in"] == place}


def refusal(client: testing.TestClient, path: str, method: str, query: str) -> dict[str, Any]:
    """The 400 for this query."""
    result = client.simulate_request(method.upper(), example(path), query_string=query, headers=KEY)
    assert result.status_code == 400, result.text
    return dict(result.json)


def test_document_is_valid_openapi() -> None:
    """A tool for OpenAPI 3.1 understands it, whether keys are needed or not, with sources or without."""
    for sources, keys_needed in ((SOURCES, True), ({}, False)):
        OpenAPIV31SpecValidator(openapi.build(sources, keys_needed=keys_needed)).validate()


def test_document_has_every_path_and_no_other() -> None:
    """A route that is not described fails here, and a description without a route."""
    assert set(DOCUMENT["paths"]) == {path for path, _ in app.ROUTES}


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_document_has_every_method_of_a_path(client: testing.TestClient, path: str) -> None:
    """What OPTIONS allows is described, and nothing else."""
    allowed = client.simulate_options(example(path), headers=KEY).headers["Allow"].split(", ")
    assert {name.lower() for name in set(allowed) - EVERYWHERE} == set(DOCUMENT["paths"][path])


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_document_has_every_parameter_of_an_operation(client: testing.TestClient, path: str, method: str) -> None:
    """The API lists what it knows when it is sent something that it does not."""
    listed = refusal(client, path, method, "bogus=1")["detail"].partition("valid parameters are ")[2]
    assert list(parameters(path, method, "query")) == [name for name in listed.split(", ") if name]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_document_has_every_word_that_a_parameter_may_be(client: testing.TestClient, path: str, method: str) -> None:
    """Choices are those that the API names when it is sent another."""
    for name, schema in parameters(path, method, "query").items():
        words = resolve(schema).get("enum")
        if words is not None:
            (error,) = refusal(client, path, method, f"{name}=bogus~")["errors"]
            assert error["message"] == f"must be one of {', '.join(words)}, got 'bogus~'"


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_document_has_every_field_of_a_path(path: str) -> None:
    """Each {field} is a parameter."""
    for method in DOCUMENT["paths"][path]:
        assert set(parameters(path, method, "path")) == set(re.findall(r"\{(\w+)\}", path))


def test_document_asks_for_a_key_where_the_api_does(client: testing.TestClient) -> None:
    """Without a key those operations are a 401, and no others."""
    for path, item in DOCUMENT["paths"].items():
        status = client.simulate_options(example(path)).status_code
        assert all((status == 401) == bool(operation["security"]) for operation in item.values()), path


def test_document_names_the_configured_sources() -> None:
    """Readers can choose a source; where there is none, any name may be tried."""
    assert DOCUMENT["components"]["schemas"]["ConfiguredSource"]["enum"] == ["coingecko", "csv"]
    assert "enum" not in openapi.build({}, keys_needed=False)["components"]["schemas"]["ConfiguredSource"]


def test_document_is_served_without_a_key(client: testing.TestClient) -> None:
    """/openapi.json is this document; who has it gets a 304."""
    first = client.simulate_get("/openapi.json")
    assert json.loads(first.text) == DOCUMENT
    assert client.simulate_get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
