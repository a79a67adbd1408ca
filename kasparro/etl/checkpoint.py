"""How far has a slice been read? Pure decisions on positions and watermarks.

For an unsorted source only the page that completes its slice moves the watermark; until then the candidate waits in
the position, so that a resumed run ends with the same watermark as an undisturbed one.
"""

from collections.abc import Sequence
from datetime import datetime

from kasparro.model import Checkpoint, Normalised, Page


def newest(items: Sequence[Normalised], known: datetime | None, *, started_at: datetime) -> datetime | None:
    """The newest observation of these and `known` that is not ahead of the run's start: a watermark's candidate."""
    moments = [item.quote.observed_at for item in items if item.quote is not None]
    return max((moment for moment in (*moments, known) if moment and moment <= started_at), default=None)


def reached(page: Page, candidate: datetime | None, *, in_order: bool = False) -> Checkpoint | None:
    """The checkpoint after a page; None where it changes nothing.

    `in_order`: the source's records come sorted by time, so that every page proves the watermark, not only the last.
    """
    if page.last or in_order:
        return Checkpoint(slice=page.slice, position=page.position, watermark=candidate, validators=page.validators)
    if not page.position:
        return None
    waiting = {"newest": candidate.isoformat()} if candidate else {}
    return Checkpoint(slice=page.slice, position={**page.position, **waiting}, validators=page.validators)


def pending(start: Checkpoint) -> datetime | None:
    """The watermark's candidate that an interrupted read left behind."""
    waiting = start.position.get("newest")
    return datetime.fromisoformat(waiting) if waiting else None


def same_place(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints stand at the same place of the same input."""
    return one.position == other.position and one.validators == other.validators
