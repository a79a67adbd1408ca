"""When do rows of a file contradict each other, and what must a checkpoint keep to tell? Pure decisions.

A file that is read anew because it was edited is a correction: it may contradict itself, but not what it said before.
A last row that may still grow contradicts nothing when it has grown. store/contradictions.py goes by this.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kasparro.model import Checkpoint, Normalised, Page


def since(page: Page, start: Checkpoint, *, started_at: datetime) -> datetime | None:
    """Since when this version of the file is being read; None for the only one there was."""
    if not page.anew:
        return None
    kept_since = start.position.get("since")
    return datetime.fromisoformat(kept_since) if kept_since else started_at


def unended(start: Checkpoint) -> Sequence[str]:
    """The content hashes of the last row, when it had no end the last time."""
    return tuple(start.position.get("unended", ()))


def kept(page: Page, items: Sequence[Normalised], start: Checkpoint, *, started_at: datetime) -> Mapping[str, Any]:
    """What the position after a page holds of this; `items` are its last records."""
    found: dict[str, Any] = {}
    moment = since(page, start, started_at=started_at)
    if moment is not None and not page.last:
        found["since"] = moment.isoformat()
    if page.unended:
        found["unended"] = [item.content_hash for item in items[-page.unended :]]
    return found
