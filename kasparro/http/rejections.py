"""GET /rejections: records that gave no quote, and why."""

from collections.abc import Mapping

import falcon

from kasparro import fields, model
from kasparro.http import paging, params, source_names
from kasparro.http.resource import Resource
from kasparro.store import rejection_records
from kasparro.store.bounded import BoundedDatabase


class Rejections(Resource):
    """Rejected records, the newest first, each with its payload."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "limit": params.LIMIT,
            "source": source_names.of(sources, database),
            "code": params.choice(*sorted(fields.REJECTION_CODES)),
            "resolved": params.yes_or_no,
            "expected": params.yes_or_no,
            "cursor": params.text,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of rejections."""
        query = params.parse(req, self._parsers)
        pages = paging.read(query, "/rejections")
        chosen = rejection_records.Filter(
            sources=query.get("source"),
            code=query.get("code"),
            resolved=query.get("resolved"),
            expected=query.get("expected"),
        )
        with self._database.reading() as conn:
            page = rejection_records.page(conn, chosen, limit=pages.limit, before_id=pages.after_id)
        pages.send(req, resp, page.rows, page.next_id)
