"""Superseded listings: what they are about has another id in their source now.

They stay with their asset beside the listing that has the new id: matching tells apart only what a source quotes twice.
"""

from psycopg import sql

from kasparro.store.db import Connection


def swap(conn: Connection, source: str, drift_id: int) -> None:
    """A person decided about other ids: listings that count become superseded by this drift, and the other way round.

    Accepted, that is all there are, and what the source still calls so is quoted again; rejected, those with new ids.
    """
    by = sql.SQL("case when l.superseded_by is null then {drift_id}::bigint end").format(drift_id=drift_id)
    _mark(conn, source, by=by, which=sql.SQL("(l.superseded_by is null or l.superseded_by = {})").format(drift_id))


def take_back_settled(conn: Connection, *, source: str) -> None:
    """Those that the settled batch quotes are superseded no more."""
    settled = sql.SQL("l.superseded_by is not null and l.id = any(array(select listing_id from settled))")
    _mark(conn, source, by=sql.SQL("null"), which=settled)


def _mark(conn: Connection, source: str, *, by: sql.Composable, which: sql.Composable) -> None:
    """Have `which` listings of a source superseded `by` that, and their symbols matched anew."""
    query = sql.SQL(
        """
        with changed as (
            update listings l
            set superseded_by = {by}
            where l.source = %(source)s
            and {which}
            returning l.symbol_key
        )
        insert into symbols_to_match (source, symbol_key)
        select distinct %(source)s, symbol_key
        from changed
        order by symbol_key
        on conflict (source, symbol_key) do update
        set symbol_key = excluded.symbol_key
        """
    ).format(by=by, which=which)
    conn.execute(query, {"source": source})
