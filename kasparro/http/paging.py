"""Pages: how large, where one begins, and how the next one is reached; the same for everything that comes in pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import falcon
from attrs import field, frozen

from kasparro.http import cursor, params, render
from kasparro.http.errors import FieldError

# Parameters that say how to page or show, not what: a cursor survives a change of them.
_NOT_FILTERS = frozenset({"limit", "cursor", "offset", "count", "format"})


@frozen(kw_only=True)
class Paging:
    """What a request says about pages; `position` is the key behind which its page begins, None for the start."""

    query: params.Query
    path: str
    scope: str
    limit: int
    position: Sequence[Any] | None = field(default=None)

    @property
    def after_id(self) -> int | None:
        """The position where it is a single id."""
        return None if self.position is None else int(self.position[0])

    def pagination(self, resp: falcon.Response, next_position: Sequence[str | int] | None) -> dict[str, Any]:
        """The `pagination` member of the answer; sets the Link header when there is a next page."""
        next_cursor = None
        if next_position is not None:
            next_cursor = cursor.encode(next_position, self.scope)
            resp.set_header("Link", self.query.next_link(self.path, next_cursor))
        return {"limit": self.limit, "has_more": next_cursor is not None, "next_cursor": next_cursor}

    def send(self, req: falcon.Request, resp: falcon.Response, rows: str, next_id: int | None) -> None:
        """Answer with a page that is keyed by ids; `rows` is the text of a JSON array."""
        pagination = self.pagination(resp, None if next_id is None else [next_id])
        render.send(req, resp, {"data": rows, "pagination": render.dumps(pagination)})


def read(
    query: params.Query, path: str, *, shape: Sequence[type] = (int,), defaults: Mapping[str, Any] | None = None
) -> Paging:
    """What the query says about pages; `shape` is that of the key, `defaults` those of its filters.

    Raises the 400 Problem for a cursor that does not belong to this query, or that comes with an offset.
    """
    filters = {name: value for name, value in query.values.items() if name not in _NOT_FILTERS}
    scope = cursor.scope(path, {**(defaults or {}), **filters})
    limit = query.get("limit", params.DEFAULT_LIMIT)
    text = query.get("cursor")
    if text is None:
        return Paging(query=query, path=path, scope=scope, limit=limit)
    if "offset" in query.values:
        message = "goes without the other: a cursor already says where the page begins"
        raise query.invalid(FieldError("cursor", message), FieldError("offset", message))
    try:
        position = cursor.decode(text, scope, shape)
    except ValueError as ex:
        raise query.invalid(FieldError("cursor", str(ex))) from None
    return Paging(query=query, path=path, scope=scope, limit=limit, position=position)
