"""What every resource has in common: HEAD is GET without the body, and who may be asked before the service is ready."""

from collections.abc import Callable
from typing import Any

import falcon


class Resource:
    """One path. `needs_database` is False for what must answer before the database was ever reached."""

    needs_database = True

    # Takes the request, the response, and the fields of the path by name.
    on_get: Callable[..., None]

    def on_head(self, req: falcon.Request, resp: falcon.Response, **path: Any) -> None:
        """The same headers as GET; Falcon leaves the body out."""
        self.on_get(req, resp, **path)
