"""What is counted of a run: what became of its records, and what it asked of its upstream."""

from typing import Self

from attrs import asdict, frozen


@frozen(kw_only=True)
class _Tally:
    def plus(self, other: Self) -> Self:
        """The sum, count by count."""
        return type(self)(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@frozen(kw_only=True)
class Counts(_Tally):
    """What happened to records: read = inserted + updated + unchanged + duplicate + rejected, always.

    `removed` counts quotes, not records: what a replay, a contradiction or the rest of a half-written line took away.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    rejected_expected: int = 0
    raw_inserted: int = 0
    future_dated: int = 0
    removed: int = 0


@frozen(kw_only=True)
class Traffic(_Tally):
    """What a run asked of its upstream. `throttled` counts 429 answers; bytes are as received, decompressed.

    `request_seconds` is what the upstream took to answer, waits for the budget not included.
    """

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    throttled_seconds: float = 0.0
    bytes_read: int = 0
    request_seconds: float = 0.0
