"""Readers: how each kind of source becomes pages of records, with the position after each page."""

from collections.abc import Iterator
from typing import Protocol

from kasparro.model import Checkpoint, Page

# Records that commit together: half as dear per record as 2,000 (measured), and still a fraction of a second of work.
BATCH_RECORDS = 5000


class Reader(Protocol):
    """What the pipeline asks of every kind of source."""

    def slices(self) -> list[str]:
        """The names of the source's slices, in a stable order."""

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        """What is new in a slice since its checkpoint; the last page has `last` set.

        Raises SliceError when this slice cannot be read, FetchError when an upstream gives no usable answer.
        """
