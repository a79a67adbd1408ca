"""GET /stats: what every source was counted for, how long its runs take, and where it stands."""

from collections.abc import Mapping

import falcon

from kasparro import model
from kasparro.http import params, render, source_names
from kasparro.http.resource import Resource
from kasparro.store import stats
from kasparro.store.bounded import BoundedDatabase


class Stats(Resource):
    """The statistics of all sources, or of some."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._configured = tuple(sources.values())
        self._parsers: dict[str, params.Parser] = {"source": source_names.of(sources, database)}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Totals and a list of sources; without a filter, sources that are no longer configured are there too."""
        query = params.parse(req, self._parsers)
        with self._database.reading() as conn:
            found = stats.get(conn, self._configured, named=query.get("source"))
        render.send(req, resp, {"totals": found.totals, "sources": found.sources})
