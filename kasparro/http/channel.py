"""What the server answers by itself: requests that never reach the application, because they are too large or no HTTP.

Waitress would send plain text; these are problems like all others. It makes them in its channel, one per connection,
which is given the task to use for them.
"""

import http
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from kasparro.clock import Clock
from kasparro.http import errors, middleware, render, state
from kasparro.http.run_request import MAX_BODY_BYTES
from kasparro.metrics import HttpCounts

# Where waitress' own words are about its settings; the others ("Content-Length is invalid") name what is wrong.
_BY_STATUS = {
    413: ("body_too_large", f"the body may have at most {MAX_BODY_BYTES} bytes"),
    431: ("headers_too_large", "the request line and the headers are too long"),
    500: ("internal_error", errors.INTERNAL_DETAIL),
}


class ProblemTask(ErrorTask):  # type: ignore[misc] # waitress has no types
    """Answers with a problem, and ends the connection: where the next request would begin is not known."""

    def execute(self) -> None:
        """Write the answer and its line in the access log."""
        # After a failure in the application `self.request` is an empty one; the client's stands in the channel.
        inbound_id = self.channel.requests[0].headers.get("X_REQUEST_ID")
        current = state.begin(inbound_id, self.channel.clock)
        status = http.HTTPStatus(self.request.error.code)
        current.status = status.value
        code, detail = _BY_STATUS.get(status.value, (status.name.lower(), str(self.request.error.body)))
        text = render.finish(errors.to_json(errors.Problem(status.value, code, detail))[1:-1], current)
        self.status = f"{status.value} {status.phrase}"
        self.response_headers += [
            ("Content-Type", render.MEDIA_PROBLEM),
            ("Cache-Control", "no-store"),
            *middleware.common_headers(current).items(),
        ]
        self.set_close_on_finish()
        self.content_length = len(text)
        # A request that could not be parsed has no method.
        body = middleware.LoggedBody([text], getattr(self.request, "command", "") or "-", current, self.channel.counts)
        try:
            for chunk in body:
                self.write(chunk)
        finally:
            body.close()


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A connection whose errors are problems."""

    error_task_class = ProblemTask

    def __init__(self, clock: Clock, counts: HttpCounts, *args: Any, **options: Any) -> None:
        self.clock = clock
        self.counts = counts
        super().__init__(*args, **options)
