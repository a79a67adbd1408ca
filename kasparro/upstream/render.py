"""How an answer gets into a Falcon response: JSON as compact UTF-8, refusals, and bytes that were made before."""

import json
from typing import Any

import falcon

from kasparro.upstream import refusals

JSON_TYPE = "application/json; charset=utf-8"


def dump(value: Any) -> bytes:
    """The value as compact JSON; floats as Python writes them, text unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def send(resp: falcon.Response, body: bytes) -> None:
    """Answer 200 with JSON that is already made."""
    resp.content_type = JSON_TYPE
    resp.data = body


def refuse(resp: falcon.Response, refusal: refusals.Refusal) -> None:
    """Answer with the refusal's status, headers and body."""
    resp.status = refusal.status
    for name, value in refusal.headers.items():
        resp.set_header(name, value)
    if isinstance(refusal.body, str):
        resp.content_type = "text/plain; charset=utf-8"
        resp.data = refusal.body.encode()
    else:
        resp.content_type = JSON_TYPE
        resp.data = dump(refusal.body)
