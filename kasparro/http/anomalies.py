"""GET /anomalies: verdicts on runs that were not like those before them."""

from collections.abc import Mapping

import falcon

from kasparro import model
from kasparro.http import paging, params, source_names
from kasparro.http.resource import Resource
from kasparro.store import anomalies
from kasparro.store.bounded import BoundedDatabase


class Anomalies(Resource):
    """Verdicts, the newest first."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "limit": params.LIMIT,
            "source": source_names.of(sources, database),
            "metric": params.choice(*model.JUDGED_METRICS),
            "severity": params.choice(*model.SEVERITIES),
            "cursor": params.text,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of verdicts."""
        query = params.parse(req, self._parsers)
        pages = paging.read(query, "/anomalies")
        chosen = anomalies.Filter(
            sources=query.get("source"), metric=query.get("metric"), severity=query.get("severity")
        )
        with self._database.reading() as conn:
            page = anomalies.page(conn, chosen, limit=pages.limit, before_id=pages.after_id)
        pages.send(req, resp, page.rows, page.next_id)
