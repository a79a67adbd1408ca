"""Which path leads where: the stand-in upstreams as one WSGI app.

A source is pointed here by base URL: http://host:port/v1 for CoinPaprika, http://host:port/api/v3 for CoinGecko.
"""

import threading
from typing import Any

import falcon

from kasparro import clock as clocks
from kasparro.upstream import checks, control, refusals, render, standin
from kasparro.upstream.coingecko_paths import CoinGecko
from kasparro.upstream.coinpaprika_paths import CoinPaprika
from kasparro.upstream.control import Control
from kasparro.upstream.gate import Gate
from kasparro.upstream.options import Options

# (path, resource, suffix of its on_get_... methods)
ROUTES = (
    ("/v1/tickers", CoinPaprika, "tickers"),
    ("/v1/tickers/{id}", CoinPaprika, "ticker"),
    ("/v1/tickers/{id}/historical", CoinPaprika, "historical"),
    ("/v1/coins", CoinPaprika, "coins"),
    ("/api/v3/ping", CoinGecko, "ping"),
    ("/api/v3/coins/list", CoinGecko, "list"),
    ("/api/v3/coins/markets", CoinGecko, "markets"),
    ("/api/v3/coins/{id}/market_chart/range", CoinGecko, "range"),
    ("/_control/requests", Control, "requests"),
    ("/_control/faults", Control, "faults"),
    ("/_control/tick", Control, "tick"),
    ("/_control/limits", Control, "limits"),
)


def create(
    options: Options, *, clock: clocks.Clock | None = None, stopping: threading.Event | None = None
) -> falcon.App[falcon.Request, falcon.Response]:
    """The app for these options; setting `stopping` ends slow answers early."""
    state = standin.build(options, clock=clock or clocks.SystemClock(), stopping=stopping or threading.Event())
    app = falcon.App(middleware=[Gate(state)])
    resources = {kind: kind(state) for kind in (CoinPaprika, CoinGecko, Control)}
    for path, kind, suffix in ROUTES:
        app.add_route(path, resources[kind], suffix=suffix)
    app.add_error_handler(refusals.RefusedError, _refuse)
    app.add_error_handler(checks.FieldError, control.refuse_field)
    app.add_error_handler(falcon.HTTPRouteNotFound, _not_found)
    return app


def _refuse(req: falcon.Request, resp: falcon.Response, ex: Any, params: dict[str, Any]) -> None:  # noqa: ARG001
    render.refuse(resp, ex.refusal)


def _not_found(req: falcon.Request, resp: falcon.Response, ex: Any, params: dict[str, Any]) -> None:  # noqa: ARG001
    render.refuse(resp, refusals.not_found(req.path))
