"""How an answer becomes bytes: JSON text is put together, never parsed again, and every body says whose it is.

Postgres hands over rows as JSON text; they are joined with what the service adds, and the time it took comes last.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import falcon

from kasparro.http import state

MEDIA_PROBLEM = "application/problem+json"


def dumps(value: Any) -> str:
    """JSON text of what the service itself says; ASCII, so that no odd character of a request can break it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def utc(moment: datetime | None) -> str | None:
    """A time as Postgres renders it elsewhere: RFC 3339 in UTC, microseconds only where there are some."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z" if "." in text else text + "Z"


def send(req: falcon.Request, resp: falcon.Response, members: Mapping[str, str]) -> None:
    """Answer with a JSON object of these members, each given as JSON text."""
    _send(req, resp, ",".join(f'"{name}":{text}' for name, text in members.items()), falcon.MEDIA_JSON)


def send_object(req: falcon.Request, resp: falcon.Response, text: str, *, media_type: str = falcon.MEDIA_JSON) -> None:
    """Answer with this JSON object, given as text, and the members that every body has."""
    _send(req, resp, text.strip()[1:-1], media_type)


def _send(req: falcon.Request, resp: falcon.Response, inner: str, media_type: str) -> None:
    resp.data = finish(inner, state.of(req))
    resp.content_type = media_type


def finish(inner: str, current: state.RequestState) -> bytes:
    """A JSON object with these members, given as text without the braces, and those that every body has."""
    comma = "," if inner else ""
    body = f'{{{inner}{comma}"request_id":"{current.request_id}","api_latency_ms":'.encode()
    return b"%s%.3f}" % (body, current.elapsed_ms())
