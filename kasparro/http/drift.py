"""GET /drift: how the fields of sources differ from what they were."""

from collections.abc import Mapping

import falcon

from kasparro import fields, model
from kasparro.http import paging, params, source_names
from kasparro.http.resource import Resource
from kasparro.store import drift_records
from kasparro.store.bounded import BoundedDatabase


class Drifts(Resource):
    """Drifts, open and closed, the newest first."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "limit": params.LIMIT,
            "source": source_names.of(sources, database),
            "kind": params.choice(*(kind.value for kind in fields.DriftKind)),
            "status": params.choice("open", "accepted", "rejected", "resolved"),
            "in_force": params.yes_or_no,
            "cursor": params.text,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of drifts."""
        query = params.parse(req, self._parsers)
        pages = paging.read(query, "/drift")
        chosen = drift_records.Filter(
            sources=query.get("source"),
            kind=query.get("kind"),
            status=query.get("status"),
            in_force=query.get("in_force"),
        )
        with self._database.reading() as conn:
            page = drift_records.page(conn, chosen, limit=pages.limit, before_id=pages.after_id)
        pages.send(req, resp, page.rows, page.next_id)
