"""GET /openapi.json: what the API promises, as OpenAPI 3.1.

The promises stand in contract/*.toml, a file for each resource; what holds for every operation is added here, once.
"""

import json
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import falcon

from kasparro import __version__
from kasparro.http import params, render
from kasparro.http.resource import Resource
from kasparro.http.static import Content, send_content

_FOLDER = Path(__file__).with_name("contract")
_TITLES = {
    "400": "The request is wrong.",
    "401": "A key is needed, or the one that was sent is wrong.",
    "403": "This service takes no such request.",
    "404": "There is no such thing.",
    "409": "It is under way already.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or is encoded.",
    "422": "The request contradicts an earlier one.",
    "500": "A failure of the service; its log has it under the request_id.",
    "503": "Something that is needed is away for a moment, such as the database.",
}
_HEADERS = ("X-Request-ID", "Server-Timing")
_HEADERS_BY_STATUS = {"401": ("WWW-Authenticate",), "503": ("Retry-After",)}

Node = dict[str, Any]


class OpenApi(Resource):
    """The document."""

    needs_database = False

    def __init__(self, document: Node) -> None:
        self._content = Content(json.dumps(document, separators=(",", ":")).encode(), falcon.MEDIA_JSON)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The same for everybody; needs no key."""
        params.parse(req, {})
        send_content(req, resp, self._content)


def build(sources: Collection[str], *, keys_needed: bool) -> Node:
    """The document of a service with these sources, which asks for a key or does not."""
    document: Node = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        _merge(document, tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    document["info"]["version"] = __version__
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        _require_all(schema)
        if "allOf" in schema:
            schemas[name] = _join(_flat(document, schema))
    if sources:
        schemas["ConfiguredSource"]["enum"] = sorted(sources)
    for operation in operations(document):
        _complete(document, operation, keys_needed=keys_needed)
    return document


def operations(document: Node) -> Iterator[Node]:
    """Every operation of every path."""
    for methods in document["paths"].values():
        yield from methods.values()


def _merge(into: Node, new: Node, where: str) -> None:
    """Add `new`; a thing that is said twice is a mistake."""
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value, where)
        elif name in into:
            raise ValueError(f"{where}: {name} is defined a second time")
        else:
            into[name] = value


def _require_all(schema: Any) -> None:
    """Say that every member is always there, wherever the file does not say which are: absent values are null."""
    if isinstance(schema, list):
        for member in schema:
            _require_all(member)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("required", list(schema["properties"]))
            for member in schema["properties"].values():
                _require_all(member)
        for name in ("items", "anyOf"):
            _require_all(schema.get(name))


def _complete(document: Node, operation: Node, *, keys_needed: bool) -> None:
    """Add what every operation has: errors, headers, and the members of every JSON body.

    Two keys are the files' own: `problems`, status -> codes of what the operation may end as, and `database`, false
    where it answers without one.
    """
    problems = operation.pop("problems", {}) | {"500": ["internal_error"]}
    if operation.pop("database", True):
        # Whatever keeps the service from its database has a code of its own: the list is open.
        problems["503"] = []
    if "security" not in operation:
        operation["security"] = [{"ApiKey": []}, {"Bearer": []}] if keys_needed else []
        problems |= {"401": ["unauthorized"]} if keys_needed else {}
    responses = operation["responses"]
    for response in responses.values():
        media = response.get("content", {}).get(falcon.MEDIA_JSON)
        if media is not None:
            media["schema"] = _with_envelope(document, media["schema"])
    for status in sorted(problems):
        # What else the file says of it stays, such as that browsers are answered with a page.
        response = {"description": _TITLES[status], **responses.get(status, {})}
        content = {render.MEDIA_PROBLEM: {"schema": _problem(problems[status])}}
        responses[status] = {**response, "content": content | response.get("content", {})}
    for status, response in responses.items():
        names = (*_HEADERS, *_HEADERS_BY_STATUS.get(status, ()))
        shown = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        response["headers"] = shown | response.get("headers", {})


def _problem(codes: Sequence[str]) -> Node:
    schema: Node = {"$ref": "#/components/schemas/Problem"}
    return {"allOf": [schema, {"properties": {"code": {"enum": list(codes)}}}]} if codes else schema


def _with_envelope(document: Node, schema: Node) -> Node:
    """The schema of a body: all that it shows, and the members that render.finish adds, in one flat object."""
    parts = [*_flat(document, schema), *_flat(document, {"$ref": "#/components/schemas/Envelope"})]
    return schema if len(parts) == 1 else _join(parts)


def _join(parts: Sequence[Node]) -> Node:
    return {
        "type": "object",
        "properties": {name: member for part in parts for name, member in part["properties"].items()},
        "required": [name for part in parts for name in part["required"]],
    }


def _flat(document: Node, schema: Node) -> list[Node]:
    """The objects that make up this schema, those of its `allOf` included; none where it names no members."""
    if "$ref" in schema:
        return _flat(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    _require_all(schema)
    parts = [part for member in schema.get("allOf", ()) for part in _flat(document, member)]
    return [*parts, schema] if "properties" in schema else parts
