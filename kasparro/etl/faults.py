"""Which failures are to be injected, where and how often? Inert unless KASPARRO_FAULTS says otherwise.

A run calls `Faults.hit` at every place where it could die. This file decides; what a fault needs of Postgres (to
remember that it fired, to cut a connection) is handed in.
"""

from collections.abc import Callable
from typing import Protocol

from attrs import frozen


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
