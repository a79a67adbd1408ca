"""What one run keeps in mind while it goes on: its tallies, its clockwork and why it may have to stop."""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from attrs import frozen

from kasparro import errors, log
from kasparro.clock import Clock
from kasparro.etl import ahead, profile
from kasparro.etl.faults import Faults, Place
from kasparro.etl.profile import Profile
from kasparro.etl.seen import Seen
from kasparro.etl.source import Source
from kasparro.model import Lease, Run
from kasparro.tallies import Traffic

# Seconds between two looks at whether the lease is lost while a run waits.
_LOOK_SECONDS = 0.2


@frozen(kw_only=True)
class Progress:
    """Where a run stands, for whoever watches it."""

    run_id: int
    source: str
    slice: str
    records_read: int


class Job:
    """The moving parts of one run, shared by the thread that reads, the one that loads and the heartbeat."""

    def __init__(
        self,
        *,
        run: Run,
        lease: Lease,
        source: Source,
        clock: Clock,
        stop: threading.Event,
        watch: Callable[[Progress], None] | None,
        faults: Faults,
        accept_rejections: bool = False,
    ) -> None:
        self.run = run
        self.lease = lease
        self.source = source
        self._lost: errors.KasparroError | None = None
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.slices = 0
        self.slice_errors: list[errors.KasparroError] = []
        self.batches = 0
        self.pages = 0
        self.answers = 0
        self.accept_rejections = accept_rejections
        self.seen = Seen()
        # What the fields of the slices before, and those of this one, look like.
        self._profiles: tuple[Profile | None, Profile | None] = (None, None)
        self._inputs: set[str] = set()
        self._faults = faults
        self._clock = clock
        self._stop = stop
        self._watch = watch
        self._traffic = Traffic()
        # Traffic that the batch under way writes, and how many batches were committed when it began.
        self._under_way = (0, Traffic())
        self._traffic_lock = threading.Lock()
        self._records_read = 0
        self._moved_at = clock.monotonic()

    @property
    def idle_seconds(self) -> float:
        """How long nothing has moved."""
        return self._clock.monotonic() - self._moved_at

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block for stage `name`, which is on its log lines. Its ends are signs of life."""
        self._moved_at = started = self._clock.monotonic()
        try:
            with log.bind(stage=name):
                yield
        finally:
            self._moved_at = self._clock.monotonic()
            self.seconds[name] += self._moved_at - started

    def monotonic(self) -> float:
        """The job's clock: seconds since an arbitrary moment."""
        return self._clock.monotonic()

    def now(self) -> datetime:
        """The time of day, for messages: what counts is the database's."""
        return self._clock.now()

    def show_life(self) -> None:
        """Whoever waits for good reason says so, or the run counts as hung."""
        self._moved_at = self._clock.monotonic()

    def at(self, stage: str, moment: str = "before", *, page: int = 0, conn: object = None) -> bool:
        """Let happen what is injected here. True: the record at hand is to be spoiled. See faults.Faults.hit."""
        place = Place(
            source=self.source.name,
            stage=stage,
            moment=moment,
            run_id=self.run.id,
            page=page,
            batch=self.batches + 1,
        )
        return self._faults.hit(place, wait=self.pause, conn=conn)

    def lose(self, why: errors.KasparroError) -> None:
        """The lease is gone, or let go: `check` raises this from now on."""
        self._lost = why

    def check(self) -> None:
        """Raise StoppedError when told to stop, and before that why the lease is gone or is let go.

        To the thread that reads ahead, the run's failure elsewhere is such a word too: it must ask nobody any more.
        """
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        if self._stop.is_set():
            raise errors.StoppedError("the process was asked to stop")
        if ahead.is_unwanted():
            raise errors.StoppedError("nobody wants any more what this thread reads")

    def pause(self, seconds: float) -> None:
        """Wait, unless told to stop or the lease is lost; what `check` raises ends it within a fraction of a second."""
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            self._clock.wait(self._stop, min(left, _LOOK_SECONDS))
            self.check()
        self.check()

    def note_profile(self, seen: Profile, baseline: str) -> None:
        """What the fields of this input look like so far, page by page; the run's record tells of all its inputs."""
        before = self.profile if seen.pages == 1 else self._profiles[0]
        self._profiles = (before, seen)
        self._inputs.add(baseline)

    @property
    def profile(self) -> Profile | None:
        """What the fields of everything read look like; None of nothing."""
        before, seen = self._profiles
        return seen if before is None or seen is None else profile.merge(before, seen)

    @property
    def inputs(self) -> str | None:
        """Sixteen hex digits that differ where the fields are those of other files; None for what is one thing."""
        names = "\n".join(sorted(self._inputs))
        return hashlib.blake2b(names.encode(), digest_size=8).hexdigest() if names else None

    def add_traffic(self, traffic: Traffic) -> None:
        """Count what was asked of the upstream; it is written with the next batch."""
        with self._traffic_lock:
            self._traffic = self._traffic.plus(traffic)

    def take_traffic(self) -> Traffic:
        """What was counted since it was last written, for the batch that begins now."""
        with self._traffic_lock:
            taken, self._traffic = self._traffic, Traffic()
            self._under_way = (self.batches, taken)
        return taken

    def unwritten_traffic(self, *, batches: int) -> Traffic:
        """What no batch has written, when the database has so many: of the last one's commit nobody may have heard."""
        with self._traffic_lock:
            before, taken = self._under_way
            return self._traffic if batches > before else self._traffic.plus(taken)

    def note_batch(self, slice_name: str, records: int) -> None:
        """A batch is committed."""
        self.batches += 1
        self._records_read += records
        if self._watch is not None:
            read = self._records_read
            self._watch(Progress(run_id=self.run.id, source=self.source.name, slice=slice_name, records_read=read))
