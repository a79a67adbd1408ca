"""Rosters: which listings a source's last complete read found. Written only when it changed."""

from collections.abc import Set as AbstractSet

from kasparro.store.db import Connection


def replace(conn: Connection, source: str, external_ids: AbstractSet[str], *, run_id: int) -> set[str] | None:
    """Keep what a complete read found; give what the one before found and this one did not.

    None when there was none before.
    """
    row = conn.execute("select external_ids from rosters where source = %(source)s", {"source": source}).fetchone()
    before = None if row is None else set(row[0])
    if before != external_ids:
        conn.execute(
            """
            insert into rosters (source, external_ids, run_id)
            values (%(source)s, %(external_ids)s, %(run_id)s)
            on conflict (source) do update
            set external_ids = excluded.external_ids, run_id = excluded.run_id
            """,
            {"source": source, "external_ids": sorted(external_ids), "run_id": run_id},
        )
    return None if before is None else before - external_ids
