"""What `kasparro status` shows of each source: how it fares, and how much was ever read of it."""

from collections.abc import Sequence

from attrs import frozen

from kasparro.store import db, health
from kasparro.store.health import SourceHealth


@frozen(kw_only=True)
class SourceStatus:
    """One source. Record counts are totals, which pruning never lowers; `inserted` is the number of its quotes."""

    health: SourceHealth
    records_read: int
    inserted: int


def list_sources(conn: db.Connection, sources: Sequence[str]) -> dict[str, SourceStatus]:
    """The status of each of `sources`, those that never ran included."""
    rows = conn.execute(
        """
        select source, records_read, inserted
        from source_totals
        where source = any(%(sources)s)
        order by source
        """,
        {"sources": list(sources)},
    )
    totals = {source: (records_read, inserted) for source, records_read, inserted in rows}
    found = health.list_sources(conn, sources)
    return {
        source: SourceStatus(health=found[source], records_read=read, inserted=inserted)
        for source in sources
        for read, inserted in (totals.get(source, (0, 0)),)
    }
