"""Superseded listings: what they are about has another id in their source now.

They stay with their asset beside the listing that has the new id: matching tells apart only what a source quotes twice.
"""

from kasparro.store.db import Connection


def swap(conn: Connection, source: str, drift_id: int) -> None:
    """A person decided about other ids: listings that count become superseded by this drift, and the other way round.

    Accepted, that is all there are, and what the source still calls so is quoted again; rejected, those with new ids.
    """
    conn.execute(
        """
        with changed as (
            update listings
            set superseded_by = case when superseded_by is null then %(drift_id)s::bigint end
            where source = %(source)s
            and (superseded_by is null or superseded_by = %(drift_id)s)
            returning symbol_key
        )
        insert into symbols_to_match (source, symbol_key)
        select distinct %(source)s, symbol_key
        from changed
        order by symbol_key
        on conflict (source, symbol_key) do update
        set symbol_key = excluded.symbol_key
        """,
        {"source": source, "drift_id": drift_id},
    )


def take_back_settled(conn: Connection, *, source: str) -> None:
    """Those that the settled batch quotes are superseded no more."""
    conn.execute(
        """
        with changed as (
            update listings l
            set superseded_by = null
            where l.source = %(source)s
            and l.superseded_by is not null
            and l.id = any(array(select listing_id from settled))
            returning l.symbol_key
        )
        insert into symbols_to_match (source, symbol_key)
        select distinct %(source)s, symbol_key
        from changed
        order by symbol_key
        on conflict (source, symbol_key) do update
        set symbol_key = excluded.symbol_key
        """,
        {"source": source},
    )
