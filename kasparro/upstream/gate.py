"""What happens before and after every answer of an upstream path: key, limit, faults; then the request log.

A refused key costs no request of the limit, and a request over the limit uses up no fault, as with an upstream that
turns its callers away at the door.
"""

from collections.abc import Sequence
from typing import Any

import falcon
from attrs import evolve, field, frozen

from kasparro.upstream import access, faults, refusals, render, ticks
from kasparro.upstream.options import COINGECKO, COINPAPRIKA
from kasparro.upstream.requestlog import Entry
from kasparro.upstream.standin import Standin


@frozen(kw_only=True)
class Visit:
    """What the gate knows of a request to an upstream; `at` and `monotonic` are its arrival."""

    upstream: str
    at: str
    monotonic: float
    key: str | None = None
    fired: Sequence[faults.Fault] = field(factory=tuple)


class Gate:
    """Falcon middleware in front of the upstream paths; /_control passes untouched."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let the request pass, or answer it here."""
        upstream = upstream_of(req.path)
        if upstream is None:
            return
        clock = self._standin.clock
        visit = Visit(upstream=upstream, at=clock.now().isoformat(), monotonic=clock.monotonic())
        req.context.visit = visit
        refusal = self._judge(req, visit)
        if refusal is not None:
            render.refuse(resp, refusal)
            resp.complete = True

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,  # noqa: ARG002
        req_succeeded: bool,  # noqa: ARG002, FBT001
    ) -> None:
        """Spoil the answer where a fault says so, and write the request down."""
        visit: Visit | None = getattr(req.context, "visit", None)
        if visit is None:
            return
        if visit.fired and resp.status_code == 200 and resp.data is not None:
            body, promised = faults.spoil(resp.data, visit.fired)
            # A stream keeps the promised length as it is, where data would have it corrected.
            resp.data = None
            resp.stream = [body]
            resp.content_length = promised
        entry = Entry(
            at=visit.at,
            monotonic=visit.monotonic,
            upstream=visit.upstream,
            method=req.method,
            path=req.path,
            query={
                name: "***" if name.lower() in access.KEY_PARAMETERS else value for name, value in query(req).items()
            },
            status=resp.status_code,
            key=access.mask(visit.key),
        )
        self._standin.log.add(entry)

    def _judge(self, req: falcon.Request, visit: Visit) -> refusals.Refusal | None:
        standin = self._standin
        stamp = ticks.stamp_milliseconds(standin.ticks.seconds())
        entry = access.check(visit.upstream, standin.options, req.get_header, query(req), stamp=stamp)
        visit = _replace(req, visit, key=entry.key)
        if entry.refusal is not None:
            return entry.refusal
        limiter = standin.limiters[visit.upstream]
        wait_seconds = limiter.spend(visit.monotonic)
        if wait_seconds is not None:
            return refusals.too_many(visit.upstream, limiter.limit, wait_seconds, standin.clock)
        page = query(req).get("page", "1")
        fired = standin.board.take(visit.upstream, req.path, int(page) if page.isdecimal() else 1)
        _replace(req, visit, fired=fired)
        for fault in fired:
            if fault.kind == "slow":
                standin.clock.wait(standin.stopping, fault.seconds)
        for fault in fired:
            if fault.kind == "status":
                return refusals.failure(visit.upstream, fault.status, fault.retry_after)
        return None


def upstream_of(path: str) -> str | None:
    """Which upstream a path belongs to; None for the control paths."""
    if path.startswith("/v1/"):
        return COINPAPRIKA
    return COINGECKO if path.startswith("/api/v3/") else None


def query(req: falcon.Request) -> dict[str, str]:
    """The query's parameters; one given several times as a comma-separated list."""
    return {name: ",".join(value) if isinstance(value, list) else value for name, value in req.params.items()}


def _replace(req: falcon.Request, visit: Visit, **changes: Any) -> Visit:
    changed = evolve(visit, **changes)
    req.context.visit = changed
    return changed
