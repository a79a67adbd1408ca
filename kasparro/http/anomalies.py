"""GET /anomalies: verdicts on runs that were not like those before them."""

from collections.abc import Mapping

import falcon

from kasparro import model
from kasparro.http import paging, params
from kasparro.http.resource import Resource
from kasparro.store import anomalies
from kasparro.store.bounded import BoundedDatabase

# What a run may be judged by, as the log, its record and the verdicts name it.
METRICS = (
    "records", "inserted", "rejected_share", "duration_seconds", "new_listings", "vanished_listings", "price_move_pct",
    "pages", "data_age_seconds", "null_share_market_cap_usd", "null_share_volume_24h_usd", "null_share_change_24h_pct",
    "null_share_rank", "null_share_circulating_supply",
)  # fmt: skip


class Anomalies(Resource):
    """Verdicts, the newest first."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "limit": params.LIMIT,
            "source": params.sources(sources),
            "metric": params.choice(*METRICS),
            "severity": params.choice("warn", "alert"),
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
