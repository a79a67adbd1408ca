"""What happens around every request: who asks, whether the service is ready, headers, and a line in the access log."""

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import falcon

from kasparro import errors, metrics
from kasparro.config import Secret
from kasparro.http import state
from kasparro.http.errors import Problem, not_ready
from kasparro.http.resource import Resource

logger = logging.getLogger("kasparro.http")

# Paths that need no key: probes, scrapers, and the pages that explain the rest.
_OPEN_PATHS = frozenset({"/", "/health", "/metrics", "/docs", "/openapi.json", "/favicon.ico"})
_OPEN_PREFIXES = ("/health/", "/pages/", "/docs/")


class Authentication:
    """Refuses requests without one of the client keys, where there are any."""

    def __init__(self, api_keys: Mapping[str, Secret]) -> None:
        self._keys = [(name, secret.reveal().encode()) for name, secret in api_keys.items()]

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Note the client's name, or raise the 401 Problem."""
        if not self._keys:
            return
        found = [name for key in _given_keys(req) for name in self._matching(key)]
        if found:
            state.of(req).client = found[0]
        elif req.path not in _OPEN_PATHS and not req.path.startswith(_OPEN_PREFIXES):
            raise Problem(
                401, "unauthorized", "send one of the service's keys as X-API-Key, or as Authorization: Bearer"
            )

    def _matching(self, given: bytes) -> list[str]:
        """Compares with every key, each in constant time: how long it takes tells nothing about any of them."""
        matches = [hmac.compare_digest(given, key) for _, key in self._keys]
        return [name for (name, _), match in zip(self._keys, matches, strict=True) if match]


def _given_keys(req: falcon.Request) -> list[bytes]:
    scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
    given = [req.get_header("X-API-Key"), token.strip() if scheme.lower() == "bearer" else None]
    return [key.encode("utf-8", "surrogateescape") for key in given if key]


class Gate:
    """Notes the route, knows its methods, and answers for resources that have no database yet."""

    def __init__(self, ready: Callable[[], errors.KasparroError | None]) -> None:
        self._ready = ready

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Resource, _params: dict[str, Any]
    ) -> None:
        """Answers OPTIONS. Raises a 405 for other methods than the resource has, a 503 Problem while not ready."""
        state.of(req).path = req.uri_template
        allowed = [name for name in falcon.HTTP_METHODS if hasattr(resource, f"on_{name.lower()}")] + ["OPTIONS"]
        if req.method == "OPTIONS":
            resp.status = 204
            resp.set_header("Allow", ", ".join(allowed))
            resp.complete = True
            return
        if req.method not in allowed:
            raise falcon.HTTPMethodNotAllowed(allowed)
        reason = self._ready() if resource.needs_database else None
        if reason is not None:
            raise not_ready(reason)


def common_headers(current: state.RequestState) -> dict[str, str]:
    """What says whose an answer is and how long it took, and that browsers must not guess what it is."""
    return {
        "X-Request-ID": current.request_id,
        "Server-Timing": f"total;dur={current.elapsed_ms()}",
        "X-Content-Type-Options": "nosniff",
    }


class Headers:
    """Headers that every response has."""

    def __init__(self, *, private: bool) -> None:
        self._cache_control = "private, no-cache" if private else "no-cache"
        self._vary = "Authorization, X-API-Key" if private else None

    def process_response(self, req: falcon.Request, resp: falcon.Response, *_: object) -> None:
        """Add them; what a resource has set stays."""
        resp.set_headers(common_headers(state.of(req)))
        if resp.get_header("Cache-Control") is None:
            resp.set_header("Cache-Control", self._cache_control)
        if self._vary is not None:
            resp.append_header("Vary", self._vary)


class LoggedBody:
    """A response body that counts its bytes; when the server is done with it, writes the access log and counts it."""

    def __init__(
        self, body: Iterable[bytes], method: str, current: state.RequestState, counts: metrics.HttpCounts
    ) -> None:
        self._body = body
        self._method = method
        self._state = current
        self._counts = counts
        self._bytes = 0
        self._handed_over = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._bytes += len(chunk)
            # Who never comes back for more has nobody left to send to.
            self._handed_over = True
            yield chunk
            self._handed_over = False

    def close(self) -> None:
        """Close the body beneath and write the line; WSGI servers call it once, whatever happened."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            current = self._state
            duration_ms = current.elapsed_ms()
            self._counts.add(current.path, status=current.status, seconds=duration_ms / 1000)
            fields = {
                "method": self._method,
                "path": current.path or metrics.NO_ROUTE,
                "status": current.status,
                "duration_ms": duration_ms,
                "bytes": self._bytes,
                "client_left": self._handed_over,
                "client": current.client,
                "request_id": current.request_id,
            }
            left = ", the client went away" if self._handed_over else ""
            logger.info("%s %s %d%s", fields["method"], fields["path"], current.status, left, extra=fields)
