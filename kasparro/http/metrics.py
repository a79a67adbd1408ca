"""GET /metrics: what Prometheus reads, from the database as it is now and from this process.

It answers 200 whatever the database does, within two seconds: a scrape that fails would hide why.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

import falcon

from kasparro import __version__, errors, metrics, model
from kasparro.http import health, params
from kasparro.http.probe import Probe
from kasparro.http.resource import Resource
from kasparro.metrics import Sample
from kasparro.store import health as source_health
from kasparro.store import metrics as figures
from kasparro.store import migrate

logger = logging.getLogger("kasparro.http")

# Seconds for a connection, one statement, and all of them; Prometheus gives up after ten.
_SCRAPE_SECONDS = {"wait_seconds": 0.25, "statement_seconds": 1.0, "total_seconds": 1.5}
_FORMATS = (metrics.TEXT.partition(";")[0], metrics.OPENMETRICS.partition(";")[0])


class Metrics(Resource):
    """All metrics of metrics.py; without a database those of this process."""

    needs_database = False

    def __init__(
        self,
        probe: Probe,
        sources: Mapping[str, model.SourceInfo],
        *,
        scheduler_state: Callable[[], model.SchedulerState],
        counts: metrics.HttpCounts,
    ) -> None:
        self._probe = probe
        self._sources = list(sources.values())
        self._scheduler_state = scheduler_state
        self._counts = counts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200, as OpenMetrics for who prefers it."""
        params.parse(req, {})
        openmetrics = req.client_prefers(_FORMATS) == _FORMATS[1]
        samples = [*self._look(), *self._of_process()]
        resp.data = metrics.render(samples, self._counts, openmetrics=openmetrics)
        resp.content_type = metrics.OPENMETRICS if openmetrics else metrics.TEXT
        resp.set_header("Cache-Control", "no-store")
        resp.append_header("Vary", "Accept")

    def _look(self) -> list[Sample]:
        """What the database says; where it says nothing in time, no more than that."""
        try:
            with self._probe.reading(**_SCRAPE_SECONDS) as conn:
                schema = migrate.state(conn)
                healths = source_health.list_sources(conn, [info.name for info in self._sources])
                found = [*figures.list_samples(conn, self._sources), *self._of_sources(healths)]
        except errors.KasparroError as ex:
            if ex.code != errors.DatabaseUnavailableError.code:
                logger.warning("the database gave no metrics", extra={"code": ex.code, "error": ex.message})
            return [(metrics.DATABASE_UP, (), 0.0)]
        found += [(metrics.DATABASE_UP, (), 1.0), (metrics.SCHEMA_EXPECTED, (), schema.expected)]
        if schema.version is not None:
            found.append((metrics.SCHEMA_VERSION, (), schema.version))
        return found

    def _of_sources(self, healths: Mapping[str, source_health.SourceHealth]) -> Iterator[Sample]:
        """How the configured sources fare: the same as /health says. What never happened has no time."""
        for info in self._sources:
            known = healths[info.name]
            label = (info.name,)
            yield metrics.ENABLED, label, float(info.enabled)
            yield metrics.STALE, label, float(info.enabled and health.is_stale(info, known))
            yield metrics.FAILURES, label, known.failures
            for metric, moment in (
                (metrics.LAST_SUCCESS, known.last_success_at),
                (metrics.LAST_FAILURE, known.last_failure_at),
                (metrics.NEXT_RUN, known.next_run_at if info.enabled else None),
            ):
                if moment is not None:
                    yield metric, label, moment.timestamp()
            if known.data_age_seconds is not None:
                yield metrics.FRESHNESS, label, known.data_age_seconds

    def _of_process(self) -> Iterator[Sample]:
        yield metrics.BUILD, (__version__,), 1.0
        yield from metrics.of_scheduler(self._scheduler_state())
        yield from metrics.of_pool(self._probe.database.stats())
