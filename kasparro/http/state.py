"""What the service knows of a request while it answers it: its id, when it came, who asks."""

import re
import uuid

import falcon
from attrs import define

from kasparro.clock import Clock

# Where it stands in the WSGI environment: there before Falcon begins, and still there when a stream ends.
KEY = "kasparro.request"
# Inbound ids that may be kept: nothing that could break a header, a log line or a shell command.
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@define(kw_only=True)
class RequestState:
    """One request. `client` is the name of its API key; `path` the route's template, never what was asked for."""

    request_id: str
    clock: Clock
    started: float
    client: str | None = None
    path: str | None = None
    status: int = 0

    def elapsed_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return round((self.clock.monotonic() - self.started) * 1000, 3)


def begin(inbound_id: str | None, clock: Clock) -> RequestState:
    """The state of a request that has just arrived; `inbound_id` is kept where it is safe."""
    keep = inbound_id is not None and _SAFE_ID.fullmatch(inbound_id)
    request_id = inbound_id if inbound_id is not None and keep else uuid.uuid4().hex
    return RequestState(request_id=request_id, clock=clock, started=clock.monotonic())


def of(req: falcon.Request) -> RequestState:
    """The state of this request."""
    found: RequestState = req.env[KEY]
    return found
