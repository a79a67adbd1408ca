"""Totals: what was ever counted for a source. They only grow, whatever is pruned: Prometheus counters rest on them."""

from collections.abc import Sequence

from attrs import asdict

from kasparro.fields import DriftKind
from kasparro.store.db import Connection
from kasparro.tallies import Counts, Traffic


def count_up(conn: Connection, source: str, counts: Counts, traffic: Traffic) -> None:
    """Add what a batch did to its source."""
    conn.execute(
        """
        insert into source_totals as t (
            source, records_read, inserted, updated, unchanged, duplicate, rejected, rejected_expected, raw_inserted,
            future_dated, removed, requests, retries, throttled, throttled_seconds, bytes_read, request_seconds
        )
        values (
            %(source)s, %(read)s, %(inserted)s, %(updated)s, %(unchanged)s, %(duplicate)s, %(rejected)s,
            %(rejected_expected)s, %(raw_inserted)s, %(future_dated)s, %(removed)s, %(requests)s, %(retries)s,
            %(throttled)s, %(throttled_seconds)s, %(bytes_read)s, %(request_seconds)s
        )
        on conflict (source) do update
        set
            records_read = t.records_read + excluded.records_read,
            inserted = t.inserted + excluded.inserted,
            updated = t.updated + excluded.updated,
            unchanged = t.unchanged + excluded.unchanged,
            duplicate = t.duplicate + excluded.duplicate,
            rejected = t.rejected + excluded.rejected,
            rejected_expected = t.rejected_expected + excluded.rejected_expected,
            raw_inserted = t.raw_inserted + excluded.raw_inserted,
            future_dated = t.future_dated + excluded.future_dated,
            removed = t.removed + excluded.removed,
            requests = t.requests + excluded.requests,
            retries = t.retries + excluded.retries,
            throttled = t.throttled + excluded.throttled,
            throttled_seconds = t.throttled_seconds + excluded.throttled_seconds,
            bytes_read = t.bytes_read + excluded.bytes_read,
            request_seconds = t.request_seconds + excluded.request_seconds
        """,
        {"source": source, **asdict(counts), **asdict(traffic)},
    )


def count_replayed(conn: Connection, source: str, counts: Counts) -> None:
    """Note that what was counted for a source was a replay's, so that it can be told apart."""
    conn.execute(
        """
        insert into replay_totals as t (
            source, inserted, updated, unchanged, duplicate, rejected, rejected_expected
        )
        values (
            %(source)s, %(inserted)s, %(updated)s, %(unchanged)s, %(duplicate)s, %(rejected)s, %(rejected_expected)s
        )
        on conflict (source) do update
        set
            inserted = t.inserted + excluded.inserted,
            updated = t.updated + excluded.updated,
            unchanged = t.unchanged + excluded.unchanged,
            duplicate = t.duplicate + excluded.duplicate,
            rejected = t.rejected + excluded.rejected,
            rejected_expected = t.rejected_expected + excluded.rejected_expected
        """,
        {"source": source, **asdict(counts)},
    )


def count_run(conn: Connection, source: str, *, status: str, seconds: float) -> None:
    """Count a run that ended."""
    conn.execute(
        """
        insert into run_totals as t (source, status, runs, seconds)
        values (%(source)s, %(status)s, 1, %(seconds)s)
        on conflict (source, status) do update
        set runs = t.runs + 1, seconds = t.seconds + excluded.seconds
        """,
        {"source": source, "status": status, "seconds": seconds},
    )


def count_drifts(conn: Connection, source: str, kinds: Sequence[DriftKind]) -> None:
    """Count drifts that were never seen before, by their kinds."""
    conn.execute(
        """
        insert into drift_totals as t (source, kind, drifts)
        select %(source)s, k.kind, count(*)
        from unnest(%(kinds)s::text[]) as k (kind)
        group by k.kind
        order by k.kind
        on conflict (source, kind) do update
        set drifts = t.drifts + excluded.drifts
        """,
        {"source": source, "kinds": [kind.value for kind in kinds]},
    )
