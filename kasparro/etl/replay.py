"""What do kept records say today? Normalise raw records again, without asking any upstream.

Replaying is idempotent: which record a quote belongs to follows from the raw records alone (store/replays.py), so a
replay that was killed is simply started again. Nothing is missing meanwhile: new quotes come before stale ones go.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from attrs import evolve

from kasparro.etl import backfill, commit, content, normalise, profile, refusals
from kasparro.etl.commit import Committer
from kasparro.etl.job import Job
from kasparro.etl.readers import json_text
from kasparro.etl.source import Source
from kasparro.model import BACKFILL_PREFIX, REPLAY, Normalised, Page
from kasparro.store import ambiguous, batches, checkpoints, contradictions, held_drifts, replays
from kasparro.store.batches import Origin
from kasparro.store.db import Connection, Database
from kasparro.store.quote_writes import Gone
from kasparro.store.replays import Kept, Owned, Wanted
from kasparro.tallies import Counts

logger = logging.getLogger(__name__)

# Records that are read, and committed, together.
_PAGE_RECORDS = 1000


class Replay:
    """The work of one replay run, for pipeline.Task.

    Afterwards `not_replayed` counts rejections that could not be, and `reread` files that the next run reads anew. For
    what else stands in a file's other rows only the file knows: rows that were accepted may contradict each other now.
    """

    def __init__(self, database: Database, committer: Committer, wanted: Wanted) -> None:
        self._database = database
        self._committer = committer
        self._wanted = wanted
        self.not_replayed = 0
        self.reread = 0

    def work(self, job: Job) -> None:
        """Normalise the wanted records again; of a whole source, take away what no longer follows from them."""
        if not self._wanted.rejected:
            # Records of the time in which a rename was in force are read as they were then.
            self._committer.rename_fields(job, with_ended=True)
        self._wanted = evolve(self._wanted, apart_from=self._kept_out(job))
        if job.source.files is not None and self._wanted.code in (None, contradictions.CODE):
            self._look_again(job)
        self._reload(job)
        if self._wanted.rejected:
            with self._database.connection() as conn:
                self.not_replayed = replays.count_not_replayable(conn, self._wanted)
        else:
            if self._remove_stale(job):
                # A quote at a key that its record no longer yields stood in the way of others.
                self._reload(job)
            self._remove_empty_listings(job)
        self._committer.match(job)
        with self._database.connection() as conn:
            self.reread = checkpoints.count_reread(conn, job.source.name)

    def _kept_out(self, job: Job) -> list[int]:
        """The drifts whose records stay out: today's map still gives other values than were known, and nobody said that
        those are right."""
        past = self._committer.past(job)
        with self._database.connection() as conn:
            held = held_drifts.list_rescaled(conn, job.source.name)
            undecided = held_drifts.list_undecided(conn, job.source.name) if held else frozenset()
        kept_out = []
        for each in held:
            items = self._sample(job, each.drift.id)
            # What was read by one that a person took back is no measure of those that came after it.
            undone = (one.drift for one in held if one.rejected and one.fields & each.fields)
            before = min([each.drift, *undone], key=lambda one: one.first_run_id)
            is_file = job.source.files is not None
            files = each.drift.baselines if is_file else ()
            earlier = content.earlier(job.run.id, whole=job.source.reads_all, drift=before, files=files)
            pairs = list(zip(items, past.find_listings(items, earlier), strict=True))
            now = None if is_file else each.drift.first_seen_at
            read = content.Read(whole=job.source.reads_all, now=now, doubted=each.fields)
            changes = content.changes(pairs, past.find_names, read)
            if content.stays_out(changes, each.fields, undecided, accepted=each.accepted, rejected=each.rejected):
                kept_out.append(each.drift.id)
                logger.warning("records not replayed", extra={"drift_id": each.drift.id, "path": each.drift.path})
        return kept_out

    def _sample(self, job: Job, drift_id: int) -> list[Normalised]:
        wanted = Wanted(source=job.source.name, rejected=True, drift_id=drift_id)
        with self._database.connection() as conn:
            kept, _ = replays.list_kept(conn, wanted, after=replays.FIRST_HASH, limit=profile.SAMPLE_RECORDS)
        return _Normaliser(job.source).items_of(kept)

    def _look_again(self, job: Job) -> None:
        """Which of the rows that contradicted each other still do, wherever their records stand."""
        wanted = Wanted(source=job.source.name, rejected=True, code=contradictions.CODE)
        self._each(job, wanted, batches.look_again)
        self._in_pages(job, ambiguous.remember)
        self._in_pages(job, ambiguous.forget)

    def _in_pages(self, job: Job, step: Callable[..., ambiguous.Key | None]) -> None:
        """Do this to all keys of the source, some of them in each transaction."""
        after: ambiguous.Key | None = None
        ends: list[ambiguous.Key | None] = []

        def take(conn: Connection) -> Counts:
            # Once a try: what is tried again begins where the last page that was committed ended.
            ends[:] = [step(conn, job.source.name, after=after, limit=_PAGE_RECORDS)]
            return Counts()

        while True:
            job.check()
            self._committer.commit(job, (), take)
            job.note_batch(REPLAY, 0)
            after = ends[0]
            if after is None:
                return

    def _reload(self, job: Job) -> None:
        self._each(job, self._wanted, batches.reload)

    def _each(self, job: Job, wanted: Wanted, load: Callable[[Connection, Origin], Counts]) -> None:
        """Load the wanted records again, a page at a time."""
        normaliser = _Normaliser(job.source)
        origin = commit.origin_of(job, Page(slice=REPLAY, records=()))
        for page in self._kept(job, wanted):
            page.sort(key=lambda kept: (kept.last_seen_at, kept.content_hash))
            with job.stage("normalise"):
                job.at("normalise", page=job.pages)
                items = normaliser.items_of(page)
            self._committer.commit(job, items, lambda conn: load(conn, origin))
            job.note_batch(REPLAY, len(items))

    def _kept(self, job: Job, wanted: Wanted) -> Iterator[list[Kept]]:
        after: UUID | None = replays.FIRST_HASH

        def read() -> tuple[list[Kept], UUID | None]:
            with self._database.connection() as conn:
                return replays.list_kept(conn, wanted, after=after or replays.FIRST_HASH, limit=_PAGE_RECORDS)

        while after is not None:
            job.check()
            with job.stage("read"):
                page, after = self._committer.retried(read, pause=job.pause)
                job.pages += 1
                job.at("read", page=job.pages)
            if page:
                yield page

    def _remove_stale(self, job: Job) -> int:
        """How many quotes went because their own raw records no longer yield their keys, or are kept out by now."""
        normaliser = _Normaliser(job.source)
        origin = commit.origin_of(job, Page(slice=REPLAY, records=()))
        total = 0
        for page in self._owned(job):
            with job.stage("normalise"):
                items = normaliser.items_of([owned.record for owned in page])
                items = [
                    refusals.kept_out(item) if owned.kept_out else item for owned, item in zip(page, items, strict=True)
                ]
            stale = {owned.gone: item for owned, item in zip(page, items, strict=True) if not _yields(item, owned)}
            if not stale:
                continue
            removed = 0

            def remove(conn: Connection, stale: Sequence[Gone] = tuple(stale)) -> Counts:
                nonlocal removed
                counts = batches.remove(conn, origin, stale)
                removed = counts.removed
                return counts

            self._committer.commit(job, list(stale.values()), remove)
            job.note_batch(REPLAY, 0)
            total += removed
        return total

    def _owned(self, job: Job) -> Iterator[list[Owned]]:
        after = None

        def read() -> list[Owned]:
            with self._database.connection() as conn:
                return replays.list_owned(conn, self._wanted, after=after, limit=_PAGE_RECORDS)

        while True:
            job.check()
            with job.stage("read"):
                page = self._committer.retried(read, pause=job.pause)
            if not page:
                return
            after = (page[-1].listing_id, page[-1].observed_at)
            yield page

    def _remove_empty_listings(self, job: Job) -> None:
        def remove(conn: Connection) -> Counts:
            replays.remove_empty_listings(conn, job.source.name)
            return Counts()

        self._committer.commit(job, (), remove)
        job.note_batch(REPLAY, 0)


class _Normaliser:
    """Sees records as the field maps of their source do today, under the hashes that they are kept by."""

    def __init__(self, source: Source) -> None:
        self._live = normalise.compile_source(source)
        self._past = backfill.compile_source(source) if source.backfill is not None else self._live

    def items_of(self, page: Sequence[Kept]) -> list[Normalised]:
        """What the records give, in their order."""
        records = json_text.records(f"[{','.join(kept.payload for kept in page)}]", "")
        return [
            evolve(self._of(kept)(record, kept.constants), content_hash=kept.content_hash.hex)
            for record, kept in zip(records, page, strict=True)
        ]

    def _of(self, kept: Kept) -> normalise.Normaliser:
        return self._past if kept.slice.startswith(BACKFILL_PREFIX) else self._live


def _yields(item: Normalised, owned: Owned) -> bool:
    if item.quote is None:
        return False
    return (item.external_id, item.quote.observed_at) == (owned.external_id, owned.observed_at)
