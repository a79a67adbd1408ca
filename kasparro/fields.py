"""The values about fields that every layer speaks: how they drift, what they usually are, what was renamed, why
a record's give no quote, and what of a listing is known that they are compared with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

# Codes of rejections: what can be said of a record by itself, and so what a source may expect ...
RECORD_CODES = frozenset({
    "external_id_missing", "symbol_missing", "name_missing", "observed_at_missing", "price_missing",
    "price_not_positive", "wrong_currency", "currency_missing", "not_a_number", "not_an_integer", "not_a_time",
    "ambiguous_time", "precision_lost", "not_text", "bad_text", "too_long", "out_of_range", "not_an_object", "too_deep",
    "ragged_row", "undecodable", "bad_csv", "unclosed_quote", "record_too_long",
})  # fmt: skip
# ... and what is said of it beside others: `duplicates` and [drift] of its source decide about that.
REJECTION_CODES = RECORD_CODES | {"ambiguous_key", "schema_drift"}


class DriftKind(StrEnum):
    """How a field of a source differs from its baseline."""

    ADDED = "added"
    MISSING = "missing"
    TYPE_CHANGED = "type_changed"
    NULL_JUMP = "null_jump"
    RENAMED = "renamed"


class DriftAction(StrEnum):
    """What was done about a drift: told, mapped, proposed to a person; or its records not loaded, kept or not."""

    WARNED = "warned"
    MAPPED = "mapped"
    PROPOSED = "proposed"
    QUARANTINED = "quarantined"
    FAILED = "failed"


@frozen(kw_only=True)
class Drift:
    """One difference between what a source's fields were and what they are; `confidence` is from 0 to 1.

    `details` holds the field `before` and `after`, the quote fields that read it, and how sure a rename is.
    """

    path: str
    kind: DriftKind
    action: DriftAction
    confidence: float = 1.0
    renamed_to: str | None = None
    details: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Rename:
    """A rename in force: where `path` is not in a record, `renamed_to` is read instead."""

    path: str
    renamed_to: str


@frozen(kw_only=True)
class OpenDrift:
    """What a run must know of a drift that was seen before it; `baselines` are the inputs in which it is.

    `rescaled`: the field's values are others than those that were read before its first run. `held`: for it, records
    are kept out. What is replayed after `replayed_at` follows no more from what a person took back.
    """

    id: int
    path: str
    kind: DriftKind
    first_run_id: int
    first_seen_at: datetime
    rescaled: bool = False
    held: bool = False
    renamed_to: str | None = None
    baselines: tuple[str, ...] = ()
    replayed_at: datetime | None = None


@frozen(kw_only=True)
class KnownFields:
    """What is known of one input's fields before it is read. `baseline` maps paths to shares, as usual.Usual writes
    them; it is empty for an input never read. `renames` are in force, `rejected` is what a person said is none.
    `accepted` paths may say something else than before: a person said so, and they were not read to the end since.
    Drifts of values that a person first accepted and then `undone` are those of which the same holds: the quotes that
    were read before them are the measure.
    """

    baseline: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    open: tuple[OpenDrift, ...] = ()
    renames: tuple[Rename, ...] = ()
    rejected: frozenset[Rename] = frozenset()
    accepted: frozenset[str] = frozenset()
    undone: tuple[OpenDrift, ...] = ()


@frozen(kw_only=True)
class FieldNotes:
    """What looking at a page's fields found, to be written with its batches.

    `baseline` names the input, `learned` what is new of its usual fields (None: forget it), `resolved` the ids of
    drifts over in it.
    """

    slice: str
    baseline: str
    found: tuple[Drift, ...] = ()
    resolved: tuple[int, ...] = ()
    learned: Mapping[str, Mapping[str, Any] | None] = field(factory=dict)

    def part(self, *, begins_page: bool, ends_page: bool) -> "FieldNotes | None":
        """What of a page's notes goes with one of its batches: drifts with the first, what is usual now with the last.

        What is not loaded in the end is not usual.
        """
        found = self.found if begins_page else ()
        resolved, learned = (self.resolved, self.learned) if ends_page else ((), {})
        if not (found or resolved or learned):
            return None
        return evolve(self, found=found, resolved=resolved, learned=learned)


@frozen(kw_only=True)
class Earlier:
    """Which quotes records are compared with: those of runs before `run_id`, no further than `within` from them in time
    and, for a drift that was seen before, none observed after `seen_at`; of the `files` that they are from, none. What
    replays that began after `replayed_at` made of records counts as well: a map was mended.
    """

    run_id: int
    within: timedelta
    files: Sequence[str] = ()
    seen_at: datetime | None = None
    replayed_at: datetime | None = None


@frozen(kw_only=True)
class KnownListing:
    """What was read of a listing before: when it was observed last, and what an earlier quote, near to one time, says
    of `valued_at`; None for what it has not."""

    symbol_key: str
    name: str
    observed_at: datetime | None = None
    valued_at: datetime | None = None
    price_usd: Decimal | None = None
    market_cap_usd: Decimal | None = None
    volume_24h_usd: Decimal | None = None
