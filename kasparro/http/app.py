"""The API's table of contents: which path is answered by what, and what happens around every request.

A new path is one file with a resource and one line in ROUTES.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import falcon
from attrs import frozen

from kasparro import errors, log, model
from kasparro import metrics as figures
from kasparro.clock import Clock
from kasparro.config import Secret
from kasparro.http import (
    anomalies,
    assets,
    compare_runs,
    data,
    drift,
    health,
    metrics,
    middleware,
    openapi,
    params,
    rejections,
    runs,
    state,
    static,
    stats,
)
from kasparro.http import errors as problems
from kasparro.http.probe import Probe, Ready
from kasparro.http.resource import Resource
from kasparro.http.streams import Streams
from kasparro.store import db
from kasparro.store.bounded import BoundedDatabase

WsgiApp = falcon.App[falcon.Request, falcon.Response]


@frozen(kw_only=True)
class Parts:
    """What resources are made of; each line of ROUTES takes out what its resource needs."""

    database: BoundedDatabase
    sources: Mapping[str, model.SourceInfo]
    clock: Clock
    streams: Streams
    requests: runs.Requests
    scheduler_state: Callable[[], model.SchedulerState]
    probe: Probe
    counts: figures.HttpCounts
    keys_needed: bool


ROUTES: Sequence[tuple[str, Callable[[Parts], Resource]]] = (
    ("/data", lambda p: data.Data(p.database, p.sources, p.streams)),
    ("/assets", lambda p: assets.Assets(p.database, p.sources)),
    ("/assets/{slug}", lambda p: assets.Asset(p.database, p.sources)),
    ("/stats", lambda p: stats.Stats(p.database, p.sources)),
    ("/runs", lambda p: runs.Runs(p.database, p.sources, p.requests)),
    ("/runs/{run_id}", lambda p: runs.Run(p.database)),
    ("/rejections", lambda p: rejections.Rejections(p.database, p.sources)),
    ("/compare-runs", lambda p: compare_runs.CompareRuns(p.database, p.sources)),
    ("/anomalies", lambda p: anomalies.Anomalies(p.database, p.sources)),
    ("/drift", lambda p: drift.Drifts(p.database, p.sources)),
    (
        "/health",
        lambda p: health.Health(p.probe, p.sources, clock=p.clock, scheduler_state=p.scheduler_state),
    ),
    ("/health/live", lambda _: health.Live()),
    ("/health/ready", lambda p: health.ReadyToServe(p.probe)),
    (
        "/metrics",
        lambda p: metrics.Metrics(p.probe, p.sources, scheduler_state=p.scheduler_state, counts=p.counts),
    ),
    ("/openapi.json", lambda p: openapi.OpenApi(openapi.build(p.sources, keys_needed=p.keys_needed))),
    ("/", lambda _: static.Page("dashboard.html", parsers={"every": params.whole(1, 86_400)})),
    ("/docs", lambda _: static.Page("docs.html")),
    ("/favicon.ico", lambda _: static.Icon()),
    ("/pages/{name}", lambda _: static.page_files()),
    ("/docs/{name}", lambda _: static.reader_files()),
)


class App(WsgiApp):
    """Falcon, with a state for every request from its first moment, and a log line after its last byte.

    `counts` is what was answered, for whoever answers in its stead too.
    """

    def __init__(self, clock: Clock, counts: figures.HttpCounts, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        self.counts = counts

    def __call__(self, env: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        current = state.begin(env.get("HTTP_X_REQUEST_ID"), self._clock)
        env[state.KEY] = current

        def note_status(status: str, *rest: Any) -> Any:
            current.status = int(status[:3])
            return start_response(status, *rest)

        with log.bind(request_id=current.request_id):
            body = super().__call__(env, note_status)
        return middleware.LoggedBody(body, env["REQUEST_METHOD"], current, self.counts)


def create(
    *,
    database: db.Database,
    clock: Clock,
    sources: Mapping[str, model.SourceInfo],
    api_keys: Mapping[str, Secret],
    scheduler_state: Callable[[], model.SchedulerState],
    wake_scheduler: Callable[[], None],
    ready: Ready,
) -> App:
    """The WSGI application."""
    bounded = BoundedDatabase(database, clock)
    counts = figures.HttpCounts(path for path, _ in ROUTES)
    guarded = bool(api_keys)
    parts = Parts(
        database=bounded,
        sources=sources,
        clock=clock,
        streams=Streams(bounded),
        requests=runs.Requests(
            bounded, sources, allowed=guarded, scheduler_state=scheduler_state, wake_scheduler=wake_scheduler
        ),
        scheduler_state=scheduler_state,
        probe=Probe(bounded, ready),
        counts=counts,
        keys_needed=guarded,
    )
    around = [middleware.Headers(private=guarded), middleware.Authentication(api_keys), middleware.Gate(ready)]
    app = App(clock, counts, middleware=around)
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(Exception, problems.handle_bug)
    app.add_error_handler(falcon.HTTPError, problems.handle_falcon)
    app.add_error_handler(errors.KasparroError, problems.handle_ours)
    for path, make in ROUTES:
        app.add_route(path, make(parts))
    return app
