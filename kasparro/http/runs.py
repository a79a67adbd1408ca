"""GET /runs and /runs/{run_id}: what was run and how it went. POST /runs: run a source now."""

from collections.abc import Callable, Mapping

import falcon

from kasparro import errors, model
from kasparro.http import paging, params, render, run_request, source_names, state
from kasparro.http.errors import Problem
from kasparro.http.resource import Resource
from kasparro.store import run_records, run_requests
from kasparro.store.bounded import BoundedDatabase
from kasparro.store.run_requests import Answer, Outcome

# How often to ask again when the run that stood in the way has just ended. Twice in a row is already hard to arrange.
_ATTEMPTS = 5


class Runs(Resource):
    """The run records, newest first, and the place to ask for a run."""

    def __init__(
        self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo], requests: "Requests"
    ) -> None:
        self._database = database
        self._requests = requests
        self._parsers: dict[str, params.Parser] = {
            "limit": params.LIMIT,
            "source": source_names.of(sources, database),
            "status": params.choice(*(status.value for status in model.RunStatus)),
            "cursor": params.text,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of run records."""
        query = params.parse(req, self._parsers)
        pages = paging.read(query, "/runs")
        with self._database.reading() as conn:
            page = run_records.page(
                conn,
                sources=query.get("source"),
                status=query.get("status"),
                limit=pages.limit,
                before_id=pages.after_id,
            )
        pages.send(req, resp, page.rows, page.next_id)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """202 with the run that is queued now, or was by the same key before."""
        params.parse(req, {})
        record, run_id = self._requests.take(req)
        resp.status = 202
        resp.set_header("Location", f"/runs/{run_id}")
        render.send_object(req, resp, record)


class Run(Resource):
    """One run."""

    def __init__(self, database: BoundedDatabase) -> None:
        self._database = database

    def on_get(self, req: falcon.Request, resp: falcon.Response, *, run_id: str) -> None:
        """Its record, with anomalies and drifts."""
        params.parse(req, {})
        try:
            found = params.run_id(run_id)
        except ValueError:
            raise errors.NotFoundError(f"there is no run {run_id[:100]!r}") from None
        with self._database.reading() as conn:
            record = run_records.get(conn, found)
        render.send_object(req, resp, record)


class Requests:
    """Takes requests for runs, where somebody may ask and somebody would run them."""

    def __init__(
        self,
        database: BoundedDatabase,
        sources: Mapping[str, model.SourceInfo],
        *,
        allowed: bool,
        scheduler_state: Callable[[], model.SchedulerState],
        wake_scheduler: Callable[[], None],
    ) -> None:
        self._database = database
        self._sources = sources
        self._allowed = allowed
        self._scheduler_state = scheduler_state
        self._wake_scheduler = wake_scheduler

    def take(self, req: falcon.Request) -> tuple[str, int]:
        """The record and id of the run that the request gets.

        Raises Problem: 403 without client keys, 400 and 415 for a wrong request, 409 while another run is live, 422
        for a key that stands for another request, 503 where no scheduler would take it.
        """
        if not self._allowed:
            raise Problem(403, "api_keys_required", "runs can be asked for only where KASPARRO_API_KEYS is set")
        info = self._sources[run_request.read_source(req, self._sources)]
        key = run_request.read_key(req)
        if not self._scheduler_state().enabled:
            raise Problem(503, "no_scheduler", "no scheduler runs in this process, so nobody would take the run")
        # Clients choose keys independently of each other.
        scoped_key = None if key is None else f"{state.of(req).client}:{key}"
        answer, record = self._queue(info, scoped_key)
        if answer.outcome is Outcome.LIVE:
            detail = f"a run of {info.name} is already queued or running"
            raise Problem(409, "run_live", detail, members={"run": record})
        if answer.outcome is Outcome.KEY_REUSED:
            raise Problem(422, "idempotency_key_reused", "this Idempotency-Key was used for another source before")
        if answer.outcome is Outcome.QUEUED:
            self._wake_scheduler()
        return record, answer.run_id

    def _queue(self, info: model.SourceInfo, key: str | None) -> tuple[Answer, str]:
        for _ in range(_ATTEMPTS):
            with self._database.writing() as conn:
                answer = run_requests.insert_queued(
                    conn, source=info.name, config_fingerprint=info.config_fingerprint, idempotency_key=key
                )
                if answer is not None:
                    return answer, run_records.get(conn, answer.run_id)
        raise errors.ConflictError(f"runs of {info.name} come and go too fast to queue one")
