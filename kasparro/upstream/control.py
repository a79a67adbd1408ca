"""How does a test or a demo steer the stand-in while it runs? The paths under /_control.

A body that cannot be carried out is a 400 that names the field; nothing is changed then.
"""

import json
from collections.abc import Sequence
from typing import Any

import attrs
import falcon

from kasparro.upstream import checks, render
from kasparro.upstream.faults import Fault
from kasparro.upstream.options import UPSTREAMS, Limit
from kasparro.upstream.standin import Standin


class Control:
    """The control paths: requests, faults, tick, limits."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin

    def on_get_requests(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """Every request to an upstream path so far, in the order of the answers."""
        render.send(resp, render.dump(self._standin.log.entries()))

    def on_delete_requests(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """Forget the requests so far."""
        self._standin.log.clear()
        resp.status = falcon.HTTP_204

    def on_get_faults(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """The faults on the board, each with how often it fired."""
        render.send(resp, render.dump(self._standin.board.entries()))

    def on_post_faults(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Add a fault; the body's fields are those of Fault."""
        body = _body(req, [attribute.name for attribute in attrs.fields(Fault)])
        self._standin.board.add(Fault(**body))
        render.send(resp, render.dump(self._standin.board.entries()))

    def on_delete_faults(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """Take all faults off the board."""
        self._standin.board.clear()
        resp.status = falcon.HTTP_204

    def on_get_tick(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """The current tick, and whether it is pinned."""
        self._send_tick(resp)

    def on_post_tick(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Pin the tick to a number, or let it follow the wall clock with null."""
        body = _body(req, ["tick"])
        tick = body.get("tick", "nothing")
        if tick is not None and (type(tick) is not int or tick < 0):
            raise checks.FieldError("tick", "a whole number of at least 0, or null", tick)
        self._standin.ticks.pin(tick)
        self._send_tick(resp)

    def on_get_limits(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """The limits in force, by upstream."""
        self._send_limits(resp)

    def on_post_limits(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put a limit in force for `upstream`; the other fields are those of Limit, requests null for none."""
        body = _body(req, ["upstream", *(attribute.name for attribute in attrs.fields(Limit))])
        upstream = body.pop("upstream", None)
        if upstream not in UPSTREAMS:
            raise checks.FieldError("upstream", f"one of {', '.join(UPSTREAMS)}", upstream)
        self._standin.limiters[upstream].change(Limit(**body))
        self._send_limits(resp)

    def _send_tick(self, resp: falcon.Response) -> None:
        ticks = self._standin.ticks
        render.send(resp, render.dump({"tick": ticks.now(), "pinned": ticks.pinned is not None}))

    def _send_limits(self, resp: falcon.Response) -> None:
        limits = {upstream: attrs.asdict(limiter.limit) for upstream, limiter in self._standin.limiters.items()}
        render.send(resp, render.dump(limits))


def refuse_field(req: falcon.Request, resp: falcon.Response, ex: Any, params: dict[str, Any]) -> None:  # noqa: ARG001
    """Falcon's handler for FieldError: 400 with the field's name."""
    resp.status = falcon.HTTP_400
    render.send(resp, render.dump({"error": ex.message, "field": ex.field}))


def _body(req: falcon.Request, names: Sequence[str]) -> dict[str, Any]:
    """The request's JSON object, with no keys but `names`; raises FieldError."""
    text = req.bounded_stream.read()
    try:
        body = json.loads(text)
    except ValueError as ex:
        raise checks.FieldError("body", "a JSON object", text.decode(errors="replace")) from ex
    if not isinstance(body, dict):
        raise checks.FieldError("body", "a JSON object", body)
    checks.known(body, names)
    return body
