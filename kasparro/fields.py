"""The values about fields that every layer speaks: how they drift, what they usually are, what was renamed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen


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
    """What a run must know of a drift that was seen before it."""

    id: int
    slice: str
    path: str
    kind: DriftKind
    renamed_to: str | None
    action: DriftAction


@frozen(kw_only=True)
class KnownFields:
    """What is known of one input's fields before it is read. `baseline` maps paths to shares, as usual.Usual writes
    them; it is empty for an input never read. `renames` are in force, `rejected` is what a person said is none.
    """

    baseline: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    open: tuple[OpenDrift, ...] = ()
    renames: tuple[Rename, ...] = ()
    rejected: frozenset[Rename] = frozenset()


@frozen(kw_only=True)
class FieldNotes:
    """What looking at a page's fields found, to be written with its batches.

    `baseline` names the input, `learned` what is new of its usual fields, `resolved` the ids of drifts that are over.
    """

    slice: str
    baseline: str
    found: tuple[Drift, ...] = ()
    resolved: tuple[int, ...] = ()
    learned: Mapping[str, Mapping[str, Any]] = field(factory=dict)
