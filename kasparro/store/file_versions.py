"""Versions of files: one begins where a file is read from its top on. Rows contradict each other within one alone."""

from kasparro.store import db
from kasparro.store.db import Connection


def at_hand(conn: Connection, source: str, slice_name: str, *, anew: bool) -> int:
    """The version that is being read of a file; `anew` it begins with the batch at hand."""
    (newest,) = db.one(
        conn.execute(
            """
            select max(id)
            from file_versions
            where source = %(source)s
            and slice = %(slice)s
            """,
            {"source": source, "slice": slice_name},
        )
    )
    if newest is not None and not anew:
        return int(newest)
    (begun,) = db.one(
        conn.execute(
            """
            insert into file_versions (source, slice)
            values (%(source)s, %(slice)s)
            returning id
            """,
            {"source": source, "slice": slice_name},
        )
    )
    return int(begun)
