"""Puts back what the unfinished end of a file wrote, as the temporary table `undone` tells it; see unended."""

from typing import Any

from psycopg import sql

from kasparro.store import also_said, quote_writes, replays
from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone

# The source and slice of a file, the run at hand and beyond what an observation is future-dated.
Params = dict[str, Any]


def put_back(conn: Connection, params: Params) -> int:
    """Put everything back that nothing else has changed since then; how many quotes go."""
    removed = _undo_said(conn, params)
    _undo_rejections(conn)
    _undo_names(conn, params)
    _undo_records(conn, params)
    replays.remove_empty_listings(conn, params["source"], among=_made_listings(conn))
    return removed


def _undo_said(conn: Connection, params: Params) -> int:
    """Let the file say of each key what it said before; how many quotes go."""
    conn.execute(
        """
        delete from also_said x
        using undone u
        where u.kind = 'said'
        and x.source = u.after->>'source'
        and x.slice = u.after->>'slice'
        and x.listing_id = (u.after->>'listing_id')::bigint
        and x.observed_at = (u.after->>'observed_at')::timestamptz
        and x.content_hash = (u.after->>'content_hash')::uuid
        """
    )
    query = sql.SQL(
        """
        insert into also_said ({columns}, contradicted)
        select {columns}, contradicted
        from undone u
        cross join lateral jsonb_populate_record(null::also_said, u.before)
        where u.kind = 'said'
        and u.before is not null
        order by u.key
        on conflict do nothing
        """
    ).format(columns=also_said.COLUMNS)
    conn.execute(query)
    rows = conn.execute(
        """
        select (s).listing_id, (s).observed_at, (s).content_hash, coalesce(v.id, (s).file_version)
        from (
            select jsonb_populate_record(null::also_said, coalesce(u.after, u.before)) as s
            from undone u
            where u.kind = 'said'
        ) u
        left join quotes q on q.listing_id = (s).listing_id and q.observed_at = (s).observed_at
        left join file_versions v on v.id = q.file_version and v.slice = (s).slice
        order by 1, 2, 3
        """
    ).fetchall()
    return quote_writes.withdraw(
        conn,
        [Gone(listing_id=id_, observed_at=at, content_hash=hash_, file_version=of) for id_, at, hash_, of in rows],
        run_id=params["run_id"],
        ceiling=params["ceiling"],
    )


def _undo_rejections(conn: Connection) -> None:
    conn.execute(
        """
        delete from rejections j
        using undone u
        where u.kind = 'rejection'
        and u.before is null
        and j.id = (u.after->>'id')::bigint
        and j.content_hash = (u.after->>'content_hash')::uuid
        """
    )
    conn.execute(
        """
        update rejections j
        set
            attempts = b.attempts, content_hash = b.content_hash, message = b.message, run_id = b.run_id,
            last_seen_at = b.last_seen_at, resolved_at = b.resolved_at
        from undone u
        cross join lateral jsonb_populate_record(null::rejections, u.before) b
        where u.kind = 'rejection'
        and j.id = b.id
        and to_jsonb(j) = u.after
        """
    )


def _undo_names(conn: Connection, params: Params) -> None:
    """Put names back, and have the symbol groups matched anew."""
    conn.execute(
        """
        with renamed as (
            update listings l
            set symbol = b.symbol, name = b.name, symbol_key = b.symbol_key
            from undone u
            cross join lateral jsonb_populate_record(null::listings, u.before) b
            where u.kind = 'listing'
            and l.id = b.id
            and l.symbol = u.after->>'symbol'
            and l.name = u.after->>'name'
            returning array[u.after->>'symbol_key', b.symbol_key] as keys
        )
        insert into symbols_to_match (source, symbol_key)
        select distinct %(source)s, unnest(keys)
        from renamed
        order by 2
        on conflict (source, symbol_key) do update
        set symbol_key = excluded.symbol_key
        """,
        params,
    )


def _undo_records(conn: Connection, params: Params) -> None:
    """Forget raw records that nothing came of, and when others were seen."""
    conn.execute(
        """
        delete from raw_records r
        using undone u
        where u.kind = 'record'
        and u.before is null
        and r.source = %(source)s
        and r.content_hash = u.key::uuid
        and not exists (select from rejections j where j.source = r.source and j.content_hash = r.content_hash)
        and not exists (
            select
            from listings l
            cross join lateral (
                select q.observed_at, q.content_hash from quotes q where q.listing_id = l.id
                union all
                select x.observed_at, x.content_hash from also_said x where x.listing_id = l.id
            ) s
            where l.source = r.source
            and l.external_id = r.external_id
            and s.observed_at = (u.after->>'observed_at')::timestamptz
            and s.content_hash = r.content_hash
        )
        and not exists (
            select
            from undone n
            cross join lateral (
                select q.content_hash
                from quotes q
                where q.listing_id = (n.after->>'listing_id')::bigint
                and q.observed_at = (n.after->>'observed_at')::timestamptz
                union all
                select x.content_hash
                from also_said x
                where x.listing_id = (n.after->>'listing_id')::bigint
                and x.observed_at = (n.after->>'observed_at')::timestamptz
            ) s
            where n.kind = 'said'
            and n.before is null
            and n.after->>'content_hash' = u.key
            and s.content_hash = r.content_hash
        )
        """,
        params,
    )
    conn.execute(
        """
        update raw_records r
        set last_seen_at = (u.before->>'last_seen_at')::timestamptz
        from undone u
        where u.kind = 'record'
        and r.source = %(source)s
        and r.content_hash = u.key::uuid
        and r.last_seen_at = (u.after->>'last_seen_at')::timestamptz
        and u.before->>'last_seen_at' <> u.after->>'last_seen_at'
        """,
        params,
    )


def _made_listings(conn: Connection) -> list[int]:
    """The listings that the file's end made, or a replay made of it, and the staged batch has no quote for."""
    rows = conn.execute(
        """
        select l.id
        from undone u
        join listings l on l.id = coalesce(u.after->>'listing_id', u.after->>'id')::bigint
        where u.kind in ('listing', 'said')
        and u.before is null
        and l.external_id not in (select external_id from batch where code is null)
        """
    )
    return [id_ for (id_,) in rows]
