"""Every error as application/problem+json (RFC 9457): one table from code to status, and no internals in a 500."""

import http
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import falcon
from attrs import asdict, frozen

from kasparro import errors
from kasparro.http import render, state

logger = logging.getLogger("kasparro.http")

# Seconds after which to try again what is away for a moment: a restart of Postgres takes about that long.
RETRY_AFTER_SECONDS = 5

# What our errors mean to a client, by code: the status, and what to say where their own message is for the operator.
_BY_CODE: dict[str, tuple[int, str | None]] = {
    "not_found": (404, None),
    "query_timeout": (503, None),
    "schema": (503, None),
    "database_unavailable": (503, "the database does not answer; try again in a moment"),
    "conflict": (503, "the database is busy with the same rows; try again in a moment"),
}
# What a status is not complete without.
_HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="kasparro"'},
    503: {"Retry-After": str(RETRY_AFTER_SECONDS)},
}
# What a client reads of a failure that is ours.
INTERNAL_DETAIL = "something went wrong here; the log has it under this request_id"


@frozen
class FieldError:
    """What is wrong with one parameter, header or member of the body; `name` is None where it cannot be told."""

    name: str | None
    message: str


class Problem(errors.KasparroError):
    """An error of the API itself: the status, and what the client should read.

    `fields` name what was wrong, `members` are further members of the body as JSON text.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fields: Sequence[FieldError] = (),
        members: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.fields = fields
        self.members = members or {}


def describe(ex: errors.KasparroError) -> Problem:
    """The problem to show for an error of ours; what is not in the table shows nothing of itself."""
    if isinstance(ex, Problem):
        return ex
    status, detail = _BY_CODE.get(ex.code, (500, INTERNAL_DETAIL))
    code = ex.code if status != 500 else "internal_error"
    return Problem(status, code, detail or ex.message)


def not_ready(ex: errors.KasparroError) -> Problem:
    """The problem to show while the service has not started: whatever keeps it from that, it is a 503."""
    known = describe(ex)
    detail = known.message if known.status != 500 else "the service is still starting; try again in a moment"
    return Problem(503, ex.code, detail)


def handle_ours(req: falcon.Request, resp: falcon.Response, ex: errors.KasparroError, _params: dict[str, Any]) -> None:
    """Falcon's error handler for errors that somebody raised on purpose."""
    problem = describe(ex)
    if problem.status >= 500:
        fields = {"request_id": state.of(req).request_id, "code": ex.code}
        logger.error("request failed: %s", ex.message, extra=fields, exc_info=ex if problem.status == 500 else None)
    _send(req, resp, problem)


def handle_falcon(req: falcon.Request, resp: falcon.Response, ex: falcon.HTTPError, _params: dict[str, Any]) -> None:
    """Falcon's error handler for its own errors: no such path, no such method, a malformed request."""
    status = http.HTTPStatus(ex.status_code)
    detail = ex.description or f"{status.phrase}: {req.method} {req.path[:200]}"
    resp.set_headers(ex.headers or {})
    _send(req, resp, Problem(status.value, status.name.lower(), detail))


def handle_bug(req: falcon.Request, resp: falcon.Response, ex: Exception, _params: dict[str, Any]) -> None:
    """Falcon's error handler for everything else: logged in full, shown as nothing but a 500."""
    logger.error("request failed by a bug", extra={"request_id": state.of(req).request_id}, exc_info=ex)
    _send(req, resp, Problem(500, "internal_error", INTERNAL_DETAIL))


def _send(req: falcon.Request, resp: falcon.Response, problem: Problem) -> None:
    resp.status = problem.status
    resp.stream = None
    resp.set_header("Cache-Control", "no-store")
    for name in ("ETag", "Link"):
        resp.delete_header(name)
    resp.set_headers(_HEADERS.get(problem.status, {}))
    render.send_object(req, resp, to_json(problem), media_type=render.MEDIA_PROBLEM)


def to_json(problem: Problem) -> str:
    """The problem as the text of a JSON object, without the members that every body has."""
    body = {
        "type": "about:blank",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "errors": [asdict(field, filter=_is_told) for field in problem.fields],
    }
    return render.dumps(body)[:-1] + "".join(f',"{name}":{member}' for name, member in problem.members.items()) + "}"


def _is_told(_attribute: object, value: object) -> bool:
    return value is not None
