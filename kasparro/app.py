"""The composition root: what the service is made of, what it needs to start, and in which order it stops.

The one place where layers meet. `serve` listens first and answers what it can while the database is still coming up;
one-shot commands wait for the database for a limited time.
"""

import logging
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from kasparro import errors, reach
from kasparro.clock import Clock, SystemClock
from kasparro.config import Config
from kasparro.etl import backfill, catalogue, faults, fetch, pipeline, prune, schedule, tenure
from kasparro.etl.readers import Reader
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.etl.readers.json_api import Get, JsonApiReader
from kasparro.etl.readers.json_history import JsonHistoryReader
from kasparro.etl.scheduler import Scheduler
from kasparro.etl.source import Kind, Source
from kasparro.http import app as http_app
from kasparro.http import server
from kasparro.model import SchedulerState, SourceInfo
from kasparro.store import db, schedules
from kasparro.store import faults as fired_faults
from kasparro.watchdog import Watchdog

logger = logging.getLogger(__name__)

# Connections. Every request thread may hold one, every run two (its own and its heartbeat's); probes need a few more.
POOL_SIZE = 24
# Seconds for which one thread may compute while another wants to. With Python's 5 ms a run that computes would slow
# down every answer of Postgres by up to that, its own batches' (measured: a third less records) and requests' alike.
_SWITCH_SECONDS = 0.0002
# The share of a lease that a run waits for one answer of a silent database: a stuck transaction ends before the lease.
_WAIT_SHARE = 0.9
# Seconds. With the short leases of tests a slow machine would look like a silent database.
_LEAST_WAIT_SECONDS = 2.0
# Seconds that runs, then open responses, get to end when the service stops; together less than the 10 s of Docker.
_RUNS_STOP_SECONDS = 3.5
_DRAIN_SECONDS = 2.0


def load_sources(config: Config) -> dict[str, Source]:
    """The sources by name. Raises ConfigError with every mistake in them and in the addresses of the database."""
    problems: list[str] = []
    sources: dict[str, Source] = {}
    try:
        sources = catalogue.load_all(config)
    except errors.ConfigError as ex:
        problems += ex.problems
    for name, dsn in (("DATABASE_URL", config.database_url), ("KASPARRO_DIRECT_DSN", config.direct_dsn)):
        try:
            if dsn is not None:
                db.check_dsn(name, dsn.reveal())
        except errors.ConfigError as ex:
            problems += ex.problems
    if config.faults is not None and sources:
        of_files = [name for name, source in sources.items() if source.files is not None]
        problems += [f"KASPARRO_FAULTS: {line}" for line in faults.parse(config.faults, sources, of_files=of_files)[1]]
    if problems:
        raise errors.ConfigError(problems)
    return sources


class App:
    """The service's object graph. `open_database` before anything that reads or writes, `close` at the end."""

    def __init__(self, config: Config, *, clock: Clock | None = None, cluster: str = "default") -> None:
        """Wire everything; touches neither network nor disk but for the source files.

        `cluster` names the embedded PostgreSQL's data. Raises ConfigError as `load_sources` does.
        """
        sys.setswitchinterval(_SWITCH_SECONDS)
        self.config = config
        self.clock = clock or SystemClock()
        self.sources = load_sources(config)
        patience = db.Patience(
            watchdog=Watchdog(self.clock), seconds=max(config.lease_seconds * _WAIT_SHARE, _LEAST_WAIT_SECONDS)
        )
        self.database = db.Database(prepare=config.prepare, max_size=POOL_SIZE, patience=patience)
        self._http = fetch.Http(self.clock)
        self.pipeline = pipeline.Pipeline(
            database=self.database,
            clock=self.clock,
            http=self._http,
            open_reader=self._open_reader,
            faults=self._make_faults(),
            settings=pipeline.Settings(
                tenure=tenure.Settings(
                    holder=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
                    lease_seconds=config.lease_seconds,
                    stall_seconds=config.stall_seconds,
                )
            ),
        )
        self._reach = reach.Reach(config, list(self.sources), self.clock, cluster=cluster)
        self._scheduler: Scheduler | None = None
        self._server: server.Server | None = None

    def __enter__(self) -> "App":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find_sources(self, names: list[str]) -> list[Source]:
        """The sources of these names, all enabled ones for none. Raises ConfigError naming what there is not."""
        unknown = [name for name in names if name not in self.sources]
        if unknown:
            raise errors.ConfigError([f"there is no source {name!r} ({', '.join(self.sources)})" for name in unknown])
        disabled = [name for name in names if not self.sources[name].enabled]
        if disabled:
            raise errors.ConfigError(
                [f"source {name!r} is not enabled: see kasparro sources list" for name in disabled]
            )
        return [source for name, source in self.sources.items() if name in names or (not names and source.enabled)]

    def check_names(self, conn: db.Connection, names: Iterable[str]) -> None:
        """Raise ConfigError for names of sources that are neither configured nor in the database."""
        known = {*self.sources, *schedules.list_sources(conn)}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise errors.ConfigError([f"there is no source {name!r} ({', '.join(sorted(known))})" for name in unknown])

    def open_database(self, stop: threading.Event, *, wait_seconds: float | None, migrate_first: bool) -> None:
        """Reach the database and open the pool; see reach.Reach.open."""
        self._reach.open(self.database, stop, wait_seconds=wait_seconds, migrate_first=migrate_first)

    def migrate(self, stop: threading.Event, *, wait_seconds: float | None) -> list[int]:
        """Bring the schema up to date; see reach.Reach.migrate. Opens no pool."""
        return self._reach.migrate(stop, wait_seconds=wait_seconds)

    def serve(
        self,
        stop: threading.Event,
        *,
        scheduler: bool,
        migrate_first: bool,
        once_listening: Callable[[], None] | None = None,
        before_schedule: Callable[[], None] | None = None,
    ) -> None:
        """Listen, then open the database, then schedule; returns after `stop` is set and everything has ended.

        `once_listening` is called when the address is ours, `before_schedule` once requests can be answered. Raises
        ConfigError when the address cannot be listened on, SchemaError when the schema does not fit.
        """
        self._reach.require_way()
        if scheduler:
            self._scheduler = Scheduler(self.pipeline, self.sources, self.clock)
        wsgi = self.wsgi()
        self._server = server.Server(wsgi, self.config.host, self.config.port, counts=wsgi.counts)
        try:
            self._server.start()
        except errors.ConfigError as ex:
            name = self.config.port_setting
            raise errors.ConfigError([problem.replace("KASPARRO_PORT:", f"{name}:") for problem in ex.problems]) from ex
        logger.info("listening", extra={"host": self.config.host, "port": self._server.port})
        try:
            if once_listening is not None:
                once_listening()
            self.open_database(stop, wait_seconds=None, migrate_first=migrate_first)
            if before_schedule is not None:
                before_schedule()
            if self._scheduler is not None and not stop.is_set():
                self._scheduler.start()
                self._start_pruning(stop)
            stop.wait()
        except errors.StoppedError:
            pass
        finally:
            self._stop_serving()

    def pruner(self, stop: threading.Event) -> prune.Pruner:
        """What forgets old records, until `stop` is set."""
        return prune.Pruner(self.database, self.pipeline.committer, self.clock, stop)

    @property
    def port(self) -> int | None:
        """The port that the service listens on, once it does."""
        return self._server.port if self._server is not None else None

    def close(self) -> None:
        """Let go of everything that was opened."""
        self.database.close()
        self._http.close()
        self._reach.close()

    def backfill_task(self, source: Source, part: backfill.Part, *, again: bool) -> pipeline.Task:
        """To read this slice of the source's past, beside its live runs; `again`: even if it was read already."""
        endpoint = catalogue.endpoint(source, self.config)

        def open_reader(given: Source, get: Get) -> Reader:
            return JsonHistoryReader(given, endpoint, get, part=part, again=again)

        return pipeline.Task(
            slice=part.slice,
            beside_live=True,
            open_reader=open_reader,
            compiler=backfill.compile_source,
        )

    def source_infos(self) -> dict[str, SourceInfo]:
        """What the API tells of the configured sources."""
        now = self.clock.now()
        return {
            name: SourceInfo(
                name=name,
                enabled=source.enabled,
                interval_seconds=schedule.longest_gap_seconds(source.schedule, now=now),
                freshness_seconds=source.freshness_seconds,
                monthly_requests=source.limits.monthly_requests,
                config_fingerprint=source.fingerprint,
                bucket=source.bucket,
                burst=None if source.limits.requests is None else source.limits.burst,
                tokens_per_second=source.limits.as_limit().per_second,
            )
            for name, source in self.sources.items()
        }

    def _open_reader(self, source: Source, get: Get) -> Reader:
        if source.kind is Kind.CSV_FILES:
            return CsvFilesReader(source)
        return JsonApiReader(source, catalogue.endpoint(source, self.config), get)

    def _make_faults(self) -> faults.Faults:
        if self.config.faults is None:
            return faults.NoFaults()
        configured, _ = faults.parse(self.config.faults, self.sources)
        return faults.Injector(faults=configured, remember=self._remember_fault, disconnect=self._disconnect)

    def _remember_fault(self, fault: str, times: int, run_id: int | None) -> bool:
        with self.database.apart() as conn:
            return fired_faults.claim(conn, fault=fault, times=times, run_id=run_id)

    def _disconnect(self, conn: object) -> None:
        """Cut this connection, or the one that the pool lends next."""
        with self.database.apart() as own:
            if conn is not None:
                fired_faults.terminate(own, conn)
                return
            with self.database.connection() as other:
                fired_faults.terminate(own, other)

    def wsgi(self) -> http_app.App:
        infos: Mapping[str, SourceInfo] = self.source_infos()
        return http_app.create(
            database=self.database,
            clock=self.clock,
            sources=infos,
            api_keys=self.config.api_keys,
            scheduler_state=self._scheduler_state,
            wake_scheduler=self._wake_scheduler,
            ready=lambda: self._reach.trouble,
        )

    def _scheduler_state(self) -> SchedulerState:
        if self._scheduler is None:
            return SchedulerState(enabled=False, alive=False)
        return self._scheduler.state()

    def _wake_scheduler(self) -> None:
        if self._scheduler is not None:
            self._scheduler.wake()

    def _start_pruning(self, stop: threading.Event) -> None:
        """Forget old raw records once a day, where that is set. Killed with the process, the thread harms nothing."""
        days = self.config.raw_retention_days
        if days is not None:
            pruner = self.pruner(stop)
            threading.Thread(target=pruner.prune_daily, kwargs={"raw_days": days}, name="prune", daemon=True).start()

    def _stop_serving(self) -> None:
        """Runs first, then requests: a run's end is written while the API still says so."""
        if self._scheduler is not None:
            self._scheduler.stop(seconds=_RUNS_STOP_SECONDS)
        if self._server is not None:
            self._server.stop(drain_seconds=_DRAIN_SECONDS)
