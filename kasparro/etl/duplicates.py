"""When do rows of a file contradict each other, and what must a checkpoint keep to tell? Pure decisions.

A file that is read anew because it was edited is a correction: it may contradict itself, but not what it said before.
store/contradictions.py goes by this.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kasparro.model import Checkpoint, Page


def since(page: Page, start: Checkpoint, *, started_at: datetime) -> datetime | None:
    """Since when this version of the file is being read; None for the only one there was."""
    if not page.anew:
        return None
    kept_since = start.position.get("since")
    return datetime.fromisoformat(kept_since) if kept_since else started_at


def kept(page: Page, start: Checkpoint, *, started_at: datetime) -> Mapping[str, Any]:
    """What the position after a page holds of this."""
    moment = since(page, start, started_at=started_at)
    return {"since": moment.isoformat()} if moment is not None and not page.last else {}
