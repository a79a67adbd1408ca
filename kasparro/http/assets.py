"""GET /assets and /assets/{slug}: what listings of several sources have in common, and what they say it costs."""

from collections.abc import Mapping

import falcon

from kasparro import errors, model
from kasparro.http import paging, params, render, source_names
from kasparro.http.resource import Resource
from kasparro.store import assets
from kasparro.store.assets import AssetFilter
from kasparro.store.bounded import BoundedDatabase

# Seconds a price counts for the consensus where no source says how fresh it has to be.
_DEFAULT_FRESHNESS_SECONDS = 3600.0
# Longer than any slug, and still short enough to be named in an error.
_MAX_SLUG_CHARACTERS = 500


class Assets(Resource):
    """The search over assets."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "q": params.text,
            "symbol": params.symbols,
            "source": source_names.of(sources, database),
            "limit": params.LIMIT,
            "cursor": params.text,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of assets in the order of their ids."""
        query = params.parse(req, self._parsers)
        pages = paging.read(query, "/assets")
        chosen = AssetFilter(text=query.get("q"), symbols=query.get("symbol"), sources=query.get("source"))
        with self._database.reading() as conn:
            page = assets.page(conn, chosen, limit=pages.limit, after_id=pages.after_id or 0)
        pages.send(req, resp, page.rows, page.next_id)


class Asset(Resource):
    """One asset."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        own = {info.name: info.freshness_seconds for info in sources.values() if info.freshness_seconds is not None}
        slowest = max(own.values(), default=_DEFAULT_FRESHNESS_SECONDS)
        # Whoever disables or removes a source does not want it to have a say any more.
        self._max_age_seconds = {info.name: own.get(info.name, slowest) for info in sources.values() if info.enabled}

    def on_get(self, req: falcon.Request, resp: falcon.Response, *, slug: str) -> None:
        """The asset with its listings, the latest quote of each source, and the consensus price.

        An archive has no freshness of its own: its price counts while it is as young as the slowest live source may be.
        """
        params.parse(req, {})
        if "\x00" in slug or len(slug) > _MAX_SLUG_CHARACTERS:
            raise errors.NotFoundError("there is no such asset")
        with self._database.reading() as conn:
            text = assets.get(conn, slug, max_age_seconds=self._max_age_seconds)
        render.send_object(req, resp, text)
