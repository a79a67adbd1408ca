"""GET /health, /health/live and /health/ready: is the service alive, can it serve, and is its data fresh?

The database gets less than a second to answer, whatever keeps it: probes give up soon after, and a thread that waits
for them is one that serves nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import falcon
from attrs import frozen

from kasparro import __version__, errors, model
from kasparro.clock import Clock
from kasparro.http import params, render
from kasparro.http.errors import RETRY_AFTER_SECONDS, not_ready
from kasparro.http.probe import Probe
from kasparro.http.resource import Resource
from kasparro.store import health, migrate
from kasparro.store.health import SourceHealth

# Seconds for a connection, one statement, and all that is done with the connection: the first and the last make 0.9.
_PROBE_SECONDS = {"wait_seconds": 0.25, "statement_seconds": 0.6, "total_seconds": 0.65}

# A success may be two intervals old, so that one failed run is no alarm, and these seconds more, for the run itself.
_INTERVALS = 2.0
_RUN_SECONDS = 60.0
_FAILED = (model.RunStatus.FAILED.value, model.RunStatus.CRASHED.value)


class Live(Resource):
    """Whether the process answers at all: no database, no key."""

    needs_database = False

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Always 200."""
        params.parse(req, {})
        resp.set_header("Cache-Control", "no-store")
        render.send(req, resp, {"status": render.dumps("alive")})


class ReadyToServe(Resource):
    """Whether requests can be served: the database answers, and its schema is current."""

    needs_database = False

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200, or a 503 Problem that says why not."""
        params.parse(req, {})
        resp.set_header("Cache-Control", "no-store")
        try:
            with self._probe.reading(**_PROBE_SECONDS) as conn:
                migrate.require_current(conn, code_version=__version__)
        except errors.KasparroError as ex:
            raise not_ready(ex) from ex
        render.send(req, resp, {"status": render.dumps("ready")})


@frozen(kw_only=True)
class Findings:
    """What a look at the database found; `error` says why there is nothing."""

    error: errors.KasparroError | None
    latency_ms: float | None = None
    version: int | None = None
    sources: Mapping[str, SourceHealth]


class Health(Resource):
    """The summary: database, schema, scheduler, and how each source fares."""

    needs_database = False

    def __init__(
        self,
        probe: Probe,
        sources: Mapping[str, model.SourceInfo],
        *,
        clock: Clock,
        scheduler_state: Callable[[], model.SchedulerState],
    ) -> None:
        self._probe = probe
        self._sources = list(sources.values())
        self._clock = clock
        self._scheduler_state = scheduler_state
        self._expected = migrate.load(migrate.FOLDER)[-1].version

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 with status ok or degraded, 503 with status down."""
        params.parse(req, {})
        resp.set_header("Cache-Control", "no-store")
        found = self._look()
        if found.error is not None:
            resp.status = 503
            resp.set_header("Retry-After", str(RETRY_AFTER_SECONDS))
        render.send(req, resp, {name: render.dumps(value) for name, value in self._members(found).items()})

    def _members(self, found: Findings) -> dict[str, Any]:
        scheduler = self._scheduler_state()
        return {
            "status": overall(self._sources, found),
            "database": {
                "connected": not isinstance(found.error, errors.DatabaseUnavailableError),
                "latency_ms": found.latency_ms,
            },
            "schema": {"version": found.version, "expected": self._expected},
            "scheduler": {"enabled": scheduler.enabled, "alive": scheduler.alive},
            "etl": {info.name: _describe(info, found.sources.get(info.name)) for info in self._sources},
            "error": found.error and _public(found.error),
        }

    def _look(self) -> Findings:
        started = self._clock.monotonic()
        try:
            with self._probe.reading(**_PROBE_SECONDS) as conn:
                schema = migrate.state(conn)
                migrate.require_current(conn, code_version=__version__)
                sources = health.list_sources(conn, [info.name for info in self._sources])
        except errors.KasparroError as ex:
            return Findings(error=ex, sources={})
        latency_ms = round((self._clock.monotonic() - started) * 1000, 3)
        return Findings(error=None, latency_ms=latency_ms, version=schema.version, sources=sources)


def overall(sources: Sequence[model.SourceInfo], found: Findings) -> str:
    """ok, degraded (an enabled source is stale or its last run failed) or down."""
    if found.error is not None:
        return "down"
    for info in sources:
        state = found.sources.get(info.name, SourceHealth())
        if info.enabled and (is_stale(info, state) or state.last_status in _FAILED):
            return "degraded"
    return "ok"


def is_stale(info: model.SourceInfo, state: SourceHealth) -> bool:
    """Whether a source has gone without a success, or its data without news, for longer than it should.

    A source that never succeeded is measured by when its next run became due: one that is not due is not stale.
    The age of the data counts only where the source says how old it may be: an archive's may be any. It may always be
    as old as a schedule that was widened makes it.
    """
    run_age = state.due_age_seconds if state.success_age_seconds is None else state.success_age_seconds
    limit = None if info.interval_seconds is None else _INTERVALS * info.interval_seconds + _RUN_SECONDS
    fresh = None if info.freshness_seconds is None else max(info.freshness_seconds, limit or 0.0)
    return _exceeds(run_age, limit) or _exceeds(state.data_age_seconds, fresh)


def _exceeds(age: float | None, limit: float | None) -> bool:
    return age is not None and limit is not None and age > limit


def _describe(info: model.SourceInfo, state: SourceHealth | None) -> dict[str, Any]:
    known = state or SourceHealth()
    age = known.data_age_seconds
    return {
        "enabled": info.enabled,
        "last_status": known.last_status,
        "last_run_at": render.utc(known.last_run_at),
        "last_success_at": render.utc(known.last_success_at),
        "last_failure_at": render.utc(known.last_failure_at),
        "data_age_seconds": None if age is None else round(age, 3),
        "stale": None if state is None else is_stale(info, state),
        "next_run_at": render.utc(known.next_run_at),
    }


def _public(error: errors.KasparroError) -> dict[str, str]:
    problem = not_ready(error)
    return {"code": problem.code, "message": problem.message}
