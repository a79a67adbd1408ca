"""What is counted of a run: what became of its records, and what it asked of its upstream."""

from attrs import frozen


@frozen(kw_only=True)
class Counts:
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

    def plus(self, other: "Counts") -> "Counts":
        """The sum, count by count."""
        return Counts(
            read=self.read + other.read,
            inserted=self.inserted + other.inserted,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            duplicate=self.duplicate + other.duplicate,
            rejected=self.rejected + other.rejected,
            rejected_expected=self.rejected_expected + other.rejected_expected,
            raw_inserted=self.raw_inserted + other.raw_inserted,
            future_dated=self.future_dated + other.future_dated,
            removed=self.removed + other.removed,
        )


@frozen(kw_only=True)
class Traffic:
    """What a run asked of its upstream. `throttled` counts 429 answers; bytes are as received, decompressed.

    `request_seconds` is what the upstream took to answer, waits for the budget not included.
    """

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    throttled_seconds: float = 0.0
    bytes_read: int = 0
    request_seconds: float = 0.0

    def plus(self, other: "Traffic") -> "Traffic":
        """The sum, count by count."""
        return Traffic(
            requests=self.requests + other.requests,
            retries=self.retries + other.retries,
            throttled=self.throttled + other.throttled,
            throttled_seconds=self.throttled_seconds + other.throttled_seconds,
            bytes_read=self.bytes_read + other.bytes_read,
            request_seconds=self.request_seconds + other.request_seconds,
        )
