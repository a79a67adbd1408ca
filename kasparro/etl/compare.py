"""Stage: the fields of a page against what they usually are, before anything of it is normalised.

What differs is told once a run, and the source's policy says what becomes of it: a certain rename is read by its new
name from this page on, and what would only give rejections, or wrong quotes, is not loaded. Nothing is written here:
the notes go with the page's batches.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import evolve

from kasparro.etl import content, drift, inputs, profile, refusals, usual
from kasparro.etl.content import Past
from kasparro.etl.drift import Difference
from kasparro.etl.field_map import FieldMap
from kasparro.etl.field_rules import REQUIRED_FIELDS
from kasparro.etl.job import Job
from kasparro.etl.normalise import Compiler, Normaliser
from kasparro.etl.policies import Policy
from kasparro.etl.profile import Profile
from kasparro.etl.scales import Change, Finding
from kasparro.etl.source import Kind
from kasparro.etl.usual import Usual
from kasparro.fields import Drift, DriftAction, DriftKind, FieldNotes, KnownFields, OpenDrift, Rename
from kasparro.model import BACKFILL_PREFIX, Page

logger = logging.getLogger(__name__)

_ACTIONS = {
    Policy.WARN: DriftAction.WARNED,
    Policy.QUARANTINE: DriftAction.QUARANTINED,
    Policy.FAIL: DriftAction.FAILED,
}
# How far after the start of its run a record may be: clocks differ, and a run takes a while.
_AHEAD = timedelta(minutes=5)


class Watch:
    """Looks at the pages of one slice while they are read. `normalise` and `refusal` are those of the last page.

    `resumes`: part of the slice was loaded before.
    """

    def __init__(self, job: Job, slice_name: str, compiler: Compiler, past: Past, *, resumes: bool = False) -> None:
        self.normalise = compiler(job.source)
        self.refusal: refusals.Refusal | None = None
        self._job = job
        self._slice = slice_name
        # Whose fields those of the slice are compared with.
        self._input = inputs.name_of(job.source, slice_name)
        self._compile = compiler
        self._past = past
        self._resumes = resumes
        self._source = job.source
        self._known: KnownFields | None = None
        self._baseline: dict[str, Usual] = {}
        self._seen = Profile(fields={})
        self._told: set[tuple[str, DriftKind]] = set()
        self._disputed: set[str] = set()
        # Quote fields that listings gave as before.
        self._as_before: set[str] = set()
        self._page: Page | None = None

    def look(self, page: Page) -> FieldNotes | None:
        """What there is to write about the fields of a page; None for an input of which nothing was read."""
        if not page.records and not (page.last and self._seen.records):
            return None
        known = self._known = self._known or self._begin()
        seen = profile.look(page.records, nested=self._source.kind is Kind.JSON_API)
        self._seen = profile.merge(self._seen, seen)
        self._page = page
        self._job.note_profile(self._seen, self._input)
        rules = inputs.rules(self._source, self._maps, self._baseline, known)
        found = self._changed_content(page, seen, known)
        found += drift.differences(self._baseline, seen, rules, page=self._seen.pages - 1)
        if page.last:
            found += drift.differences(self._baseline, self._seen, rules)
        told = self._tell(found, known)
        notes = FieldNotes(slice=self._slice, baseline=self._input, found=told)
        if self.refusal is not None or not page.last:
            return notes if told else None
        is_over = [one for one in self._open(known) if self._is_over(one, rules)]
        still = [one for one in self._open(known) if one not in is_over]
        notes = evolve(notes, resolved=tuple(one.id for one in is_over), learned=self._learned(still, known, rules))
        return notes if notes.found or notes.resolved or notes.learned else None

    def _begin(self) -> KnownFields:
        known = self._past.find_known(self._input)
        self._baseline = {path: usual.parse(kept) for path, kept in known.baseline.items()}
        self._put_in_force(known.renames)
        return known

    def _put_in_force(self, renames: Sequence[Rename]) -> None:
        renamed = self._source.renamed(renames)
        if renamed != self._source:
            self._source = renamed
            self.normalise = self._compile(renamed)

    def _changed_content(self, page: Page, seen: Profile, known: KnownFields) -> list[Difference]:
        """The fields by which listings say something else on this page than before, but for what a person accepted."""
        is_within_file = self._source.kind is Kind.CSV_FILES and not self._begins_file(page)
        if self._slice.startswith(BACKFILL_PREFIX) or is_within_file:
            return []
        changes = self._changes(page, known)
        self._as_before |= {name for name, finding in changes.items() if finding.change is Change.NONE}
        found = {}
        for name, finding in changes.items():
            # An id that is made of symbol and name alone has no path of its own.
            reads = self._maps[name].reads or self._maps["symbol" if name == "external_id" else name].reads
            for path in (path for paths in reads for path in paths):
                if finding.change is not Change.NONE and path in seen.fields and path not in known.accepted:
                    found[path] = Difference(
                        path=path,
                        kind=DriftKind.TYPE_CHANGED,
                        before=self._baseline.get(path),
                        after=usual.of(seen.fields[path], seen.records),
                        certain=finding.change is Change.CERTAIN,
                        rescaled=True,
                        factor=finding.factor,
                        example=finding.example,
                    )
        return list(found.values())

    def _begins_file(self, page: Page) -> bool:
        """Whether a page is the first one of a file: of what comes behind it in the file, that was compared."""
        return self._seen.pages == 1 and (page.anew or not self._resumes)

    def _changes(self, page: Page, known: KnownFields) -> dict[str, Finding]:
        """How each quote field changed; since a drift of its values that is open, where there is one.

        What was loaded since such a drift was seen is no measure of whether it is over.
        """
        drifts = [one for one in (*known.undone, *self._open(known)) if one.rescaled]
        since = {
            name: one for one in sorted(drifts, key=lambda one: -one.first_run_id) for name in self._names(one.path)
        }
        read = content.Read(
            whole=self._source.reads_all,
            now=self._job.run.started_at if self._source.kind is Kind.JSON_API else None,
            begins=self._seen.pages == 1,
            doubted=frozenset(since),
            held=frozenset(name for name, one in since.items() if one.held and one in known.open) - self._as_before,
        )
        files = [self._slice] if self._source.kind is Kind.CSV_FILES else []
        found: dict[str, Finding] = {}
        for before in {None, *since.values()}:
            pairs = self._pairs(page, self.normalise, before, files)
            changes = content.changes(pairs, self._past.find_names, read)
            found |= {name: finding for name, finding in changes.items() if since.get(name) is before}
        return found

    def _pairs(
        self, page: Page, read: Normaliser, before: OpenDrift | None = None, files: Sequence[str] = ()
    ) -> list[content.Pair]:
        """A sample of the page's records, each with what is known of its listing."""
        items = [read(record, page.constants) for record in profile.sample(page.records)]
        earlier = content.earlier(self._job.run.id, whole=self._source.reads_all, drift=before, files=files)
        return list(zip(items, self._past.find_listings(items, earlier), strict=True))

    def _tell(self, found: Sequence[Difference], known: KnownFields) -> tuple[Drift, ...]:
        """The drifts that this run has not told of yet, logged; one that was open before is no news."""
        news = []
        unproven = self._unproven(found, known)
        for each in self._by_policy(found):
            if {each.path, each.renamed_to} & self._disputed:
                # A field that is gone from one page is, of all that was read, null more often: that is no news.
                continue
            proven = each.certain and unproven.isdisjoint(self._names(each.path))
            drifted = self._judge(evolve(each, certain=proven), known)
            self._told.add((each.path, each.kind))
            self._disputed |= {path for path in (each.path, each.renamed_to) if path is not None}
            news.append(drifted)
            before = (one for one in known.open if (one.path, one.kind) == (each.path, each.kind))
            is_old = any(one.renamed_to == each.renamed_to for one in before)
            fields = {
                "slice": self._slice,
                "drift": drifted.kind.value,
                "path": drifted.path,
                "renamed_to": drifted.renamed_to,
                "action": drifted.action.value,
                "confidence": drifted.confidence,
                **{name: drifted.details[name] for name in ("fields", "rescaled", "factor", "example")},
            }
            logger.log(logging.INFO if is_old else logging.WARNING, "field drifted", extra=fields)
        self._put_in_force([_rename(each) for each in news if each.action is DriftAction.MAPPED])
        return tuple(news)

    def _unproven(self, found: Sequence[Difference], known: KnownFields) -> frozenset[str]:
        """The quote fields that the last page does not give as before, were new certain renames in force."""
        certain = [each for each in found if each.kind is DriftKind.RENAMED and each.certain]
        renames = [Rename(path=each.path, renamed_to=str(each.renamed_to)) for each in certain]
        renames = [each for each in renames if each not in known.renames and each.path not in self._disputed]
        names = {name for each in renames for name in self._names(each.path)}
        if not names or self._page is None:
            return frozenset()
        lookback = self._source.since.lookback_seconds if self._source.since else 0
        times = content.Times(lookback=timedelta(seconds=lookback), until=self._job.run.started_at + _AHEAD)
        pairs = self._pairs(self._page, self._compile(self._source.renamed(renames)))
        return content.unproven(pairs, names, times)

    def _by_policy(self, found: Sequence[Difference]) -> Iterator[Difference]:
        """The differences that somebody wants to know of; a rename that nobody does is two other things."""
        policies = self._source.drift
        for each in found:
            parts = [each]
            if each.kind is DriftKind.RENAMED and policies.renamed is Policy.IGNORE:
                parts = [
                    Difference(path=each.path, kind=DriftKind.MISSING, before=each.before),
                    Difference(path=str(each.renamed_to), kind=DriftKind.ADDED, after=each.after),
                ]
            for part in parts:
                if policies.of(part.kind, required=self._is_required(part.path)) is not Policy.IGNORE:
                    yield part

    def _judge(self, each: Difference, known: KnownFields) -> Drift:
        """What is done about a difference. Only a field that quotes are made of can keep its page from being loaded."""
        names = self._names(each.path)
        policy = self._source.drift.of(each.kind, required=self._is_required(each.path))
        action = DriftAction.WARNED
        if each.kind is DriftKind.RENAMED and policy is Policy.MAP:
            in_force = Rename(path=each.path, renamed_to=str(each.renamed_to)) in known.renames
            action = DriftAction.MAPPED if each.certain or in_force else DriftAction.PROPOSED
        if not names:
            # There is nothing to map, and nothing to lose.
            action, policy = DriftAction.WARNED, Policy.WARN
        if (each.rescaled and each.certain) or (each.kind is DriftKind.RENAMED and action is not DriftAction.MAPPED):
            # Under its old name the field is missing, whatever is read there.
            missing = self._source.drift.of(DriftKind.MISSING, required=self._is_required(each.path))
            policy = max(policy, missing, key=lambda one: one.severity)
        if names and policy in (Policy.QUARANTINE, Policy.FAIL) and not self._job.accept_rejections:
            action, keep = _ACTIONS[policy], policy is Policy.QUARANTINE
            self.refusal = self.refusal or refusals.of_drift(each, self._slice, names[0], keep=keep)
        # As it is put back by whoever rejects: of all pages, not of this one.
        before = each.before and self._baseline[each.path]
        return Drift(
            path=each.path,
            kind=each.kind,
            renamed_to=each.renamed_to,
            action=action,
            confidence=each.confidence,
            details=_details(evolve(each, before=before), names, self._input),
        )

    def _open(self, known: KnownFields) -> list[OpenDrift]:
        """The open drifts of this input."""
        return [one for one in known.open if self._input in one.baselines]

    def _is_over(self, one: OpenDrift, rules: drift.Rules) -> bool:
        if (one.path, one.kind) in self._told:
            return False
        if one.rescaled:
            return not self._as_before.isdisjoint(self._names(one.path))
        return drift.is_over(one.kind, one.path, self._baseline, self._seen, rules)

    def _learned(
        self, still: Collection[OpenDrift], known: KnownFields, rules: drift.Rules
    ) -> dict[str, dict[str, Any] | None]:
        """What is usual now, of fields that no drift is about: those of an open one are when somebody says so."""
        paths = {path for one in still for path in (one.path, one.renamed_to) if path is not None} | self._disputed
        learned = drift.learn(self._baseline, self._seen, rules, apart_from=paths)
        # What a person decided about stands there only until it was read.
        decided = {path for path, kept in known.baseline.items() if {"accepted", "undone"} & {*kept}} - paths
        learned |= {path: self._baseline[path] for path in decided & {*self._seen.fields} - {*learned}}
        return {path: None if each is None else each.as_json() for path, each in learned.items()}

    def _names(self, path: str) -> list[str]:
        """The quote fields that read a path."""
        return [name for name, spec in self._maps.items() if any(path in paths for paths in spec.reads)]

    @property
    def _maps(self) -> Mapping[str, FieldMap]:
        return inputs.maps_of(self._source, self._slice)

    def _is_required(self, path: str) -> bool:
        return any(name in REQUIRED_FIELDS for name in self._names(path))


def _rename(each: Drift) -> Rename:
    return Rename(path=each.path, renamed_to=str(each.renamed_to))


def _details(each: Difference, names: list[str], input_name: str) -> dict[str, Any]:
    return {
        "fields": names,
        "before": each.before.as_json() if each.before else None,
        "after": each.after.as_json() if each.after else None,
        "margin": each.margin,
        "rescaled": each.rescaled,
        "factor": each.factor,
        "example": each.example,
        "baselines": [input_name],
    }
