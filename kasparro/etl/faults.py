"""Which failures are to be injected, where and how often? Inert unless KASPARRO_FAULTS says otherwise.

A run calls `Faults.hit` at every place where it could die. This file decides and acts; what a fault needs of Postgres
(to remember that it fired, to cut a connection) is handed in.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from attrs import evolve, field, frozen

from kasparro.errors import DatabaseError, FetchError, InjectedError

logger = logging.getLogger(__name__)

_BOTH = ("before", "after")
# Stage -> the moments at which it can be hit; one without is hit in its middle.
STAGES: dict[str, tuple[str, ...]] = {
    "claim": _BOTH,
    "fetch": _BOTH,
    "read": (),
    "normalise": (),
    "copy": (),
    "load": _BOTH,
    "raw": _BOTH,
    "checkpoint": _BOTH,
    "commit": _BOTH,
    "identify": _BOTH,
    "finish": _BOTH,
}
# What each stage's place can be narrowed down to.
PAGED = frozenset({"fetch", "read", "normalise"})
BATCHED = frozenset({"copy", "load", "raw", "checkpoint", "commit"})
# Kind -> what it does, and the only stage where it makes sense, if there is one.
KINDS: dict[str, tuple[str, str]] = {
    "error": ("the run fails", ""),
    "exit": ("the process kills itself (SIGKILL)", ""),
    "hang": ("nothing moves any more, until the lease is lost", ""),
    "db-disconnect": ("the database connection is terminated", ""),
    "slow": ("a pause of seconds=S (1)", ""),
    "http-429": ("as if the upstream answered 429, with Retry-After: S for seconds=S", "fetch"),
    "http-500": ("as if the upstream answered 500", "fetch"),
    "truncate": ("as if the answer broke off", "fetch"),
    "bad-record": ("the page's first record is spoiled", "read"),
}
# Kinds that last, or ask for, so many seconds.
_TIMED = ("slow", "http-429")
FORM = "source:stage[:before|:after][:page=N|:batch=N]:kind[:times=N][:seconds=S]"
# Between source, stage and kind.
_LEAST_COLONS = 2
# Exit status of a process that SIGKILL ended, as shells report it.
_KILLED = 137
# Seconds of one bit of a hang; long, because whoever waits is told at once when to stop.
_HANG_SECONDS = 3600.0


@frozen(kw_only=True)
class Place:
    """Where a run is: before or after (`moment`) a stage of a source. Pages and batches count from 1 in every run."""

    source: str
    stage: str
    moment: str = "before"
    run_id: int | None = None
    page: int = 0
    batch: int = 0


class Faults(Protocol):
    """What a run asks at every place where it could die."""

    def hit(self, place: Place, *, wait: Callable[[float], None], conn: object = None) -> bool:
        """Do to the run what is meant for this place, if anything is. True: the record at hand is to be spoiled.

        `wait` waits for some seconds and raises when the run is to stop; `conn` is the connection of the transaction
        that is open, if one is.
        """


class NoFaults:
    """Nothing ever happens."""

    def hit(self, place: Place, *, wait: Callable[[float], None], conn: object = None) -> bool:  # noqa: ARG002
        return False


@frozen(kw_only=True)
class Fault:
    """One failure to inject: at its place, `times` times in the life of a database."""

    source: str
    stage: str
    kind: str
    moment: str = "before"
    page: int | None = None
    batch: int | None = None
    times: int = 1
    seconds: float | None = None

    def __str__(self) -> str:
        """Its text, as KASPARRO_FAULTS has it; faults that do the same have the same."""
        parts = [self.source, self.stage, self.moment if STAGES[self.stage] else ""]
        parts += [f"page={self.page}" if self.page else "", f"batch={self.batch}" if self.batch else "", self.kind]
        parts += [f"times={self.times}" if self.times > 1 else ""]
        parts += [f"seconds={self.seconds:g}" if self.seconds is not None else ""]
        return ":".join(part for part in parts if part)

    def fits(self, place: Place) -> bool:
        """Whether this is its place."""
        return (
            (self.source, self.stage) == (place.source, place.stage)
            and (not STAGES[self.stage] or self.moment == place.moment)
            and self.page in (None, place.page)
            and self.batch in (None, place.batch)
        )


def parse(text: str, sources: Iterable[str], *, of_files: Collection[str] = ()) -> tuple[list[Fault], list[str]]:
    """The faults of KASPARRO_FAULTS, and one line for everything in it that cannot be, saying what could.

    Nothing is fetched for those of the `sources` that are `of_files`.
    """
    faults: list[Fault] = []
    problems: list[str] = []
    entries = [part.strip() for part in text.split(",") if part.strip()]
    for entry in entries:
        if entry.count(":") < _LEAST_COLONS:
            problems.append(f"{entry!r}: must have a source, a stage and a kind")
            continue
        fault, wrong = _parse_one(entry, sorted(sources))
        if fault is not None and not wrong:
            if fault.stage == "fetch" and fault.source in of_files:
                wrong = [f"{fault.source} is read from files: nothing is fetched (read)"]
            elif fault in faults:
                wrong = ["stands twice; times=2 makes it happen twice"]
            else:
                faults.append(fault)
        problems += [f"{entry!r}: {line}" for line in wrong]
    if not entries:
        problems.append(f"{text!r}: holds no fault")
    if not entries or any(entry.count(":") < _LEAST_COLONS for entry in entries):
        problems.append(f"write {FORM}, of the stages {', '.join(STAGES)} and the kinds {', '.join(KINDS)}")
    return faults, problems


def _kinds_at(stage: str) -> list[str]:
    """The kinds that make sense at a stage."""
    return [kind for kind, (_, only) in KINDS.items() if only in ("", stage)]


def _words_at(stage: str) -> list[str]:
    """What a fault may say of a stage."""
    places = [name for name, stages in (("page=N", PAGED), ("batch=N", BATCHED)) if stage in stages]
    return [*STAGES[stage], *places, "times=N", "seconds=S", *_kinds_at(stage)]


def _parse_one(entry: str, sources: Sequence[str]) -> tuple[Fault | None, list[str]]:
    source, stage, *words = entry.split(":")
    problems = [] if source in sources else [f"there is no source {source!r} ({', '.join(sources)})"]
    if stage not in STAGES:
        return None, [*problems, f"there is no stage {stage!r} ({', '.join(STAGES)})"]
    fault = Fault(source=source, stage=stage, kind="")
    said: set[str] = set()
    for word in words:
        fault, problem = _take(fault, word)
        name = "before or after" if word in _BOTH else word.partition("=")[0]
        problems += [problem] if problem else [f"{name} stands twice"] if name in said else []
        said.add(name)
    if not fault.kind and not problems:
        problems.append(f"says not what is to happen ({', '.join(_kinds_at(stage))})")
    only = KINDS[fault.kind][1] if fault.kind else ""
    if only and stage != only:
        problems.append(f"{fault.kind} can only happen at {only}")
    if fault.seconds is not None and fault.kind and fault.kind not in _TIMED:
        problems.append(f"seconds= means nothing to {fault.kind} (only to {', '.join(_TIMED)})")
    return fault, problems


def _take(fault: Fault, word: str) -> tuple[Fault, str]:
    """The fault with one more word of its text, or what is wrong with the word."""
    name, equals, value = word.partition("=")
    if word in KINDS:
        return (
            (evolve(fault, kind=word), "") if not fault.kind else (fault, f"{fault.kind} and {word}: only one of them")
        )
    if word in _BOTH:
        moments = STAGES[fault.stage]
        return (evolve(fault, moment=word), "") if moments else (fault, f"{fault.stage} has no before and after")
    if not equals or name not in ("page", "batch", "times", "seconds"):
        return fault, f"{word!r} means nothing here ({', '.join(_words_at(fault.stage))})"
    if name == "seconds":
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        return (evolve(fault, seconds=seconds), "") if 0 <= seconds <= 86400 else (fault, f"{word!r}: from 0 to 86400")
    if not (value.isascii() and value.isdecimal()) or not 1 <= int(value) <= 10**9:
        return fault, f"{word!r}: must be a whole number from 1"
    stages = {"page": PAGED, "batch": BATCHED}.get(name, frozenset(STAGES))
    if fault.stage not in stages:
        return fault, f"{fault.stage} has no {name} (only {', '.join(sorted(stages))})"
    number = int(value)
    if name == "page":
        return evolve(fault, page=number), ""
    return (evolve(fault, batch=number) if name == "batch" else evolve(fault, times=number)), ""


@frozen(kw_only=True)
class Injector:
    """Makes faults happen.

    `remember(fault, times, run_id)` writes down that one fires, where that survives what it does, and says whether it
    may; `disconnect(conn)` cuts that connection, or with None the one that is used next.
    """

    faults: Sequence[Fault]
    remember: Callable[[str, int, int | None], bool]
    disconnect: Callable[[object], None]
    _spent: set[str] = field(factory=set)

    def hit(self, place: Place, *, wait: Callable[[float], None], conn: object = None) -> bool:
        """See Faults.hit."""
        spoil = False
        for fault in self.faults:
            text = str(fault)
            if text in self._spent or not fault.fits(place):
                continue
            try:
                if not self.remember(text, fault.times, place.run_id):
                    self._spent.add(text)
                    continue
            except DatabaseError as ex:
                logger.warning(
                    "fault not injected: it cannot be remembered", extra={"fault": text, "error": ex.message}
                )
                continue
            logger.warning("fault injected", extra={"fault": text, "run_id": place.run_id})
            spoil = self._fire(fault, wait, conn) or spoil
        return spoil

    def _fire(self, fault: Fault, wait: Callable[[float], None], conn: object) -> bool:
        """Let it happen. True when a record is to be spoiled."""
        if fault.kind == "error":
            raise InjectedError(f"injected by KASPARRO_FAULTS: {fault}")
        if fault.kind == "exit":
            die()
        while fault.kind == "hang":
            wait(_HANG_SECONDS)
        if fault.kind == "db-disconnect":
            self.disconnect(conn)
        if fault.kind == "slow":
            wait(1.0 if fault.seconds is None else fault.seconds)
        if fault.kind == "http-429":
            raise FetchError(f"{fault}", code="http_429", status=429, retry_after_seconds=fault.seconds)
        if fault.kind == "http-500":
            raise FetchError(f"{fault}", code="http_500", status=500)
        if fault.kind == "truncate":
            raise FetchError(f"{fault}", code="truncated")
        return fault.kind == "bad-record"


def die() -> None:
    """End this process as kill -9 does. What was logged goes out first."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    # The first process of a container cannot kill itself; this ends it as abruptly.
    os._exit(_KILLED)
