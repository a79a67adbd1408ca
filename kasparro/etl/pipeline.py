"""One run of one source, its stages in order. Read `Pipeline.run` and `Pipeline._ingest` first: they are the story.

What each stage decides lives in its own file, how a batch is written in commit.py and store/, holding the lease in
tenure.py. This file owns the order of the stages and what a run's end is called.
"""

import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from kasparro import errors, log
from kasparro.clock import Clock
from kasparro.etl import ahead, ask, checkpoint, compare, endings, fetch, normalise, refusals, tenure
from kasparro.etl.commit import Batch, Committer
from kasparro.etl.faults import Faults, NoFaults
from kasparro.etl.job import Job, Progress
from kasparro.etl.purse import Purse
from kasparro.etl.readers import BATCH_RECORDS, Reader
from kasparro.etl.readers.json_api import Get
from kasparro.etl.source import Order, Source
from kasparro.model import LIVE, Checkpoint, RunResult, RunStatus, Trigger
from kasparro.store import schedules
from kasparro.store.db import Database
from kasparro.store.run_endings import Ending
from kasparro.tallies import Traffic

logger = logging.getLogger(__name__)

# Records from which on a batch is judged by its share of rejections; of fewer, a few say nothing.
_JUDGED_RECORDS = 100
# What a run failed of when a batch was not loaded for its rejections.
TOO_MANY_REJECTIONS = "too_many_rejections"
# Codes of slices that fail their run, whatever became of the others: there is something to mend.
_WORST = frozenset({TOO_MANY_REJECTIONS, refusals.SCHEMA_DRIFT})

OpenReader = Callable[[Source, Get], Reader]


@frozen(kw_only=True)
class Settings:
    """What running sources takes; see tenure.Settings."""

    tenure: tenure.Settings
    batch_records: int = BATCH_RECORDS


@frozen(kw_only=True)
class Task:
    """What a run is to do, where that is not to read what the source has now.

    `slice` names the run's part of the source. A run `beside_live` holds a lease of that slice alone, any other the
    source's own. `open_reader` reads, and what `compiler` makes normalises, instead of the source's own; `work` is done
    instead of reading. With `accept_rejections` neither too many rejections nor a drift keep a batch from being loaded.
    """

    slice: str = LIVE
    beside_live: bool = False
    open_reader: OpenReader | None = None
    compiler: normalise.Compiler = normalise.compile_source
    work: Callable[[Job], None] | None = None
    accept_rejections: bool = False


LIVE_TASK = Task()


class Pipeline:
    """Runs sources. One for the process; any thread may call it."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        http: fetch.Http,
        open_reader: OpenReader,
        settings: Settings,
        faults: Faults | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._http = http
        self._open_reader = open_reader
        self._settings = settings
        self._faults = faults or NoFaults()
        self._tenure = tenure.Tenure(database, clock, settings.tenure, self._faults)
        self.committer = Committer(database, clock, lease_seconds=settings.tenure.lease_seconds)
        self._running: dict[str, Job] = {}

    def run(
        self,
        source: Source,
        *,
        trigger: Trigger,
        stop: threading.Event,
        watch: Callable[[Progress], None] | None = None,
        task: Task = LIVE_TASK,
    ) -> RunResult | None:
        """Do `task` for `source`, mostly: ingest what is new; however the run ends, its record says so.

        None when a scheduled run turns out not to be due any more. Raises BusyError when somebody else runs the
        source, StoppedError when told to stop before it began, LeaseLostError when somebody took over meanwhile, and
        DatabaseError when the end cannot be written.
        """
        key = f"{source.name}/{task.slice}" if task.beside_live else source.name
        claim = tenure.Claim(source=source, key=key, slice=task.slice, trigger=trigger)
        claimed = self._tenure.claim(claim, stop)
        if claimed is None:
            return None
        run, lease = claimed
        job = Job(
            run=run,
            lease=lease,
            source=source,
            clock=self._clock,
            stop=stop,
            watch=watch,
            faults=self._faults,
            accept_rejections=task.accept_rejections,
        )
        self._running[key] = job
        try:
            with log.bind(run_id=run.id, source=source.name), self._tenure.heartbeat(job):
                logger.info("run started", extra={"trigger": run.trigger.value, "resumed_from": run.resumed_from})
                return self._finish(job, self._attempt(job, task))
        except errors.KasparroError as ex:
            ex.run_id = run.id
            raise
        finally:
            self._running.pop(key, None)

    def _finish(self, job: Job, ending: Ending) -> RunResult:
        """Write how the run ended; of one that hangs over that, too."""
        try:
            result = self.committer.retried(lambda: self._tenure.end(job, ending), pause=self.committer.sleep)
        except errors.StalledError as ex:
            return self._finish(job, endings.ending(job, RunStatus.CRASHED, ex))
        job.at("finish", "after")
        endings.log(result, ending)
        return result

    def list_due(self, sources: Sequence[str]) -> list[str]:
        """Which of `sources` are due or queued and not being run by anybody."""
        with self._database.connection() as conn:
            return schedules.list_due(conn, sources)

    def close_dead_slices(self, sources: Iterable[Source]) -> None:
        """Close runs of parts of the sources whose processes died."""
        self._tenure.close_dead_slices(sources)

    def schedule(self, latest: Mapping[str, float]) -> None:
        """Make every source due: a new one at once, a known one within the seconds given (its own interval)."""
        with self._database.transaction() as conn:
            schedules.ensure(conn, latest)

    def abandon(self) -> None:
        """Close the runs whose threads did not come back: the process is about to end."""
        for job in list(self._running.values()):
            try:
                self._tenure.abandon(job)
            except errors.KasparroError as ex:
                logger.warning("run left open", extra={"run_id": job.run.id, "error": ex.message})

    def _attempt(self, job: Job, task: Task) -> Ending:
        """Do the work and say how it ended."""
        try:
            self.committer.rename_fields(job)
            if task.work is not None:
                task.work(job)
            else:
                self._ingest(job, task)
        except errors.StoppedError as ex:
            return endings.ending(job, RunStatus.INTERRUPTED, ex)
        except errors.DeferredError as ex:
            return endings.ending(job, RunStatus.DEFERRED, ex)
        except errors.StalledError as ex:
            return endings.ending(job, RunStatus.CRASHED, ex)
        except errors.LeaseLostError:
            raise
        except errors.KasparroError as ex:
            return endings.ending(job, RunStatus.FAILED, ex)
        except Exception:
            logger.exception("run failed: this is a bug")
            bug = errors.KasparroError("unexpected error; the log has the traceback", code="internal_error")
            return endings.ending(job, RunStatus.FAILED, bug)
        return endings.of_slices(job, worst=_WORST)

    def _ingest(self, job: Job, task: Task) -> None:
        purse = Purse(self._database, self.committer, job)
        reader = (task.open_reader or self._open_reader)(job.source, ask.asker(self._http, job, purse))
        compiled = task.compiler(job.source)

        def compiler(source: Source) -> normalise.Normaliser:
            # Of thousands of files each would compile the same.
            return compiled if source is job.source else task.compiler(source)

        for slice_name in reader.slices():
            job.slices += 1
            try:
                self._ingest_slice(job, reader, compiler, slice_name)
            except errors.SliceError as ex:
                logger.error("slice failed", extra={"slice": slice_name, "code": ex.code, "error": ex.message})
                job.slice_errors.append(ex)
        self.committer.match(job)

    def _ingest_slice(self, job: Job, reader: Reader, compiler: normalise.Compiler, slice_name: str) -> None:
        start = self.committer.find_checkpoint(job, slice_name)
        newest, in_order = checkpoint.pending(start), job.source.order is Order.SORTED
        past, resumes = self.committer.past(job), bool(start.position)
        watch = compare.Watch(job, slice_name, compiler, past, resumes=resumes)
        batches_to_come = self._prepare(job, reader, watch, start)
        for batch in ahead.ahead(batches_to_come, check=job.check, name=f"read-{job.source.name}"):
            if batch.refusal is not None:
                self._refuse(job, batch, batch.refusal)
                continue
            newest = checkpoint.newest(batch.items, newest, started_at=job.run.started_at)
            reached = checkpoint.reached(batch.page, newest, in_order=in_order) if batch.ends_page else None
            self._judge(job, batch)
            if batch.items or batch.notes or (reached is not None and not checkpoint.same_place(reached, start)):
                self.committer.load(job, batch, reached)

    def _refuse(self, job: Job, batch: Batch, refusal: refusals.Refusal) -> None:
        """Load nothing of a page that drifted too far: keep all its records, then end its slice where it is."""
        self.committer.quarantine(job, evolve(batch, items=refusals.refused(batch.items, refusal)))
        if batch.ends_page or not refusal.keep:
            raise errors.SliceError(refusal.message, code=refusals.SCHEMA_DRIFT)

    def _judge(self, job: Job, batch: Batch) -> None:
        """Load no batch that is mostly rejected: keep its rejections, end its slice where it is."""
        total = len(batch.items)
        if job.accept_rejections or total < _JUDGED_RECORDS:
            return
        rejected = sum(item.rejection is not None and not item.rejection.expected for item in batch.items)
        limit = job.source.rejected_share_limit
        if rejected <= limit * total:
            return
        self.committer.quarantine(job, batch)
        reasons = Counter(item.rejection.code for item in batch.items if item.rejection is not None)
        where = f"{batch.page.slice}: " if batch.page.slice else ""
        raise errors.SliceError(
            f"{where}{rejected} of {total} records of a batch were rejected, mostly {reasons.most_common(1)[0][0]}; "
            f"at most a share of {limit:g} may be (max_rejected_share). Look at kasparro rejections list, mend the "
            "field map, or take them with kasparro run --accept-rejections",
            code=TOO_MANY_REJECTIONS,
        )

    def _prepare(self, job: Job, reader: Reader, watch: compare.Watch, start: Checkpoint) -> Iterator[Batch]:
        """Read, compare, normalise, batch by batch. A page without records is one empty batch: it may end its slice.

        A page of a file is one batch: what is committed of a file is what its checkpoint proves the next time.
        """
        pages = reader.read(start.slice, start)
        # Whoever asks for what is new, from a watermark on, says that what came before it was read well.
        since = job.source.since is not None and start.watermark is not None
        proven = since or (job.source.files is not None and bool(start.position))
        size = self._settings.batch_records if job.source.files is None else sys.maxsize
        while True:
            with job.stage("read"):
                page = next(pages, None)
                if page is None:
                    return
                job.pages += 1
                proven = proven and not page.anew
                job.seen.note_page(page, proven=proven)
                records = page.records
                if job.at("read", page=job.pages) and records:
                    records = [normalise.spoil(records[0]), *records[1:]]
            job.add_traffic(Traffic(bytes_read=page.bytes_read))
            with job.stage("compare"):
                notes = watch.look(page)
            for begin in range(0, max(len(records), 1), size):
                with job.stage("normalise"):
                    job.at("normalise", page=job.pages)
                    items = [watch.normalise(record, page.constants) for record in records[begin : begin + size]]
                ends_page = begin + size >= len(records)
                some = notes and notes.part(begins_page=begin == 0, ends_page=ends_page)
                refusal = watch.refusal
                yield Batch(page=page, items=items, ends_page=ends_page, notes=some, refusal=refusal)
            if watch.refusal is not None:
                return
