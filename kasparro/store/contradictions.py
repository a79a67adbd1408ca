"""Which rows of one file contradict each other? Rows of one listing and time that differ: none of them gives a quote.

Only one version of one file contradicts itself, and it does so in whatever batches, and by whatever growth, its rows
come: the quote that an earlier row gave is taken away again and its record rejected like the others. also_said
remembers such a key for rows that are still to come. What another file says of it stays.
"""

from datetime import datetime

from psycopg import sql

from kasparro.store import quote_writes
from kasparro.store.also_said import Teller, values
from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone

CODE = "ambiguous_key"
# Of a row `s` with a time.
_MESSAGE = sql.SQL(
    """
    'several rows of the file differ for ' || to_char(s.observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    """
)


def reject_staged(conn: Connection, teller: Teller, *, run_id: int, ceiling: datetime) -> int:
    """Reject what the settled batch and its version contradict themselves in; how many quotes that took away."""
    params = {**teller.params, "run_id": run_id, "code": CODE}
    _resolve_older(conn, params)
    if not teller.rejects or not _find(conn, params):
        return 0
    _reject(conn, params)
    gone = conn.execute(
        """
        select q.listing_id, q.observed_at, q.content_hash, q.file_version
        from contested c
        join quotes q on q.listing_id = c.listing_id and q.observed_at = c.observed_at
        join file_versions v on v.id = q.file_version
        where v.slice = %(slice)s
        order by q.listing_id, q.observed_at
        """,
        params,
    ).fetchall()
    return quote_writes.withdraw(
        conn,
        [Gone(listing_id=id_, observed_at=at, content_hash=hash_, file_version=of) for id_, at, hash_, of in gone],
        run_id=run_id,
        ceiling=ceiling,
    )


def _resolve_older(conn: Connection, params: dict[str, object]) -> None:
    """What an older version contradicted itself in is settled once this one says anything of the key."""
    conn.execute(
        """
        with overtaken as materialized (
            select distinct b.external_id, s.observed_at
            from settled s
            join batch b on b.seq = s.seq
            join also_said x on x.listing_id = s.listing_id and x.observed_at = s.observed_at
            where s.wins
            and x.source = %(source)s
            and x.slice = %(slice)s
            and x.contradicted
            and x.file_version <> %(version)s
        )
        update rejections j
        set resolved_at = now()
        from overtaken o
        where j.source = %(source)s
        and j.slice = %(slice)s
        and j.code = 'ambiguous_key'
        and j.resolved_at is null
        and j.external_id = o.external_id
        and j.observed_at = o.observed_at
        """,
        params,
    )


def _find(conn: Connection, params: dict[str, object]) -> int:
    """Create the temporary table `contested` of the keys that are contradicted; how many they are."""
    query = sql.SQL(
        """
        create temporary table contested on commit drop as
        select s.listing_id, s.observed_at
        from settled s
        join settled w on w.listing_id = s.listing_id and w.observed_at = s.observed_at
        where w.wins
        and not s.wins
        and {s} is distinct from {w}
        union
        select s.listing_id, s.observed_at
        from settled s
        where s.outcome = 'updated'
        and s.shown = %(version)s
        union
        select s.listing_id, s.observed_at
        from settled s
        join also_said x on x.listing_id = s.listing_id and x.observed_at = s.observed_at
        where s.wins
        and x.source = %(source)s
        and x.slice = %(slice)s
        and x.file_version = %(version)s
        and {s} is distinct from {x}
        """
    ).format(s=values("s"), w=values("w"), x=values("x"))
    return conn.execute(query, params).rowcount


def _reject(conn: Connection, params: dict[str, object]) -> None:
    """Reject the rows of contested keys and what this version said of them before; remember the keys."""
    marked = sql.SQL(
        """
        update batch b
        set stage = 'read', code = %(code)s, field = 'observed_at', expected = false, message = {message}
        from settled s
        join contested c on c.listing_id = s.listing_id and c.observed_at = s.observed_at
        where b.seq = s.seq
        """
    ).format(message=_MESSAGE)
    conn.execute(marked, params)
    rejected = sql.SQL(
        """
        with contradicting as (
            select s.listing_id, s.observed_at, s.content_hash
            from contested c
            join settled s on s.listing_id = c.listing_id and s.observed_at = c.observed_at
            union all
            select q.listing_id, q.observed_at, q.content_hash
            from contested c
            join quotes q on q.listing_id = c.listing_id and q.observed_at = c.observed_at
            where q.file_version = %(version)s
            union all
            select x.listing_id, x.observed_at, x.content_hash
            from contested c
            join also_said x on x.listing_id = c.listing_id and x.observed_at = c.observed_at
            where x.source = %(source)s
            and x.slice = %(slice)s
            and x.file_version = %(version)s
            and not x.contradicted
        )
        insert into rejections (
            source, slice, code, dedup_key, stage, field, message, external_id, observed_at, content_hash,
            file_version, expected, run_id, first_seen_at, last_seen_at
        )
        select distinct on (s.content_hash)
            %(source)s, %(slice)s, %(code)s, s.content_hash || ' ' || %(slice)s, 'read', 'observed_at', {message},
            l.external_id, s.observed_at, s.content_hash, %(version)s, false, %(run_id)s, now(), now()
        from contradicting s
        join listings l on l.id = s.listing_id
        order by s.content_hash, s.observed_at
        on conflict (source, code, dedup_key) do update
        set
            attempts = rejections.attempts + 1,
            message = excluded.message,
            external_id = excluded.external_id,
            observed_at = excluded.observed_at,
            file_version = excluded.file_version,
            run_id = excluded.run_id,
            last_seen_at = excluded.last_seen_at,
            resolved_at = null
        """
    ).format(message=_MESSAGE)
    conn.execute(rejected, params)
    conn.execute(
        """
        delete from also_said x
        using contested c
        where x.source = %(source)s
        and x.slice = %(slice)s
        and x.listing_id = c.listing_id
        and x.observed_at = c.observed_at
        """,
        params,
    )
    conn.execute(
        """
        with taken as (
            delete from settled s
            using contested c
            where s.listing_id = c.listing_id
            and s.observed_at = c.observed_at
            returning s.listing_id, s.observed_at, s.content_hash, s.wins
        )
        insert into also_said (source, slice, listing_id, observed_at, content_hash, file_version, contradicted)
        select %(source)s, %(slice)s, t.listing_id, t.observed_at, t.content_hash, %(version)s, true
        from taken t
        where t.wins
        order by t.listing_id, t.observed_at
        """,
        params,
    )
