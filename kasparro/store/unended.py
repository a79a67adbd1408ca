"""What did the unfinished end of a file write? It is noted, and put back when the file goes on in another way.

A last line without a line end counts, for many files end so. But a growing file may be caught in the middle of a line:
half a time or half a symbol is a quote that the file never said. So whatever such rows changed stands in
unended_writes, as it was before and as they left it. What something else changed since then is left alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from attrs import frozen
from psycopg import sql

from kasparro.store import also_said, db, quote_writes, replays, unended_images
from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone


@frozen(kw_only=True)
class End:
    """What a batch of a file is to its end: rows `unended` are read again; with one `anew` another version begins.

    One `again` is of bytes that were read before, as they are; with `inner` it ends before what was unended in them.
    """

    source: str
    slice: str
    run_id: int
    ceiling: datetime
    unended: bool
    anew: bool
    again: bool
    inner: bool


@contextmanager
def noted(conn: Connection, end: End | None) -> Iterator[None]:
    """Keep what the block changes with the staged batch, where that is of rows that have not ended."""
    if end is None or not end.unended:
        yield
        return
    params = {"source": end.source, "slice": end.slice, "run_id": end.run_id}
    conn.execute("create temporary table images (kind text, key text, image jsonb) on commit drop")
    conn.execute(sql.SQL("insert into images (kind, key, image) {}").format(unended_images.QUERY), params)
    yield
    query = sql.SQL(
        """
        insert into unended_writes (source, slice, kind, key, before, after, run_id)
        select %(source)s, %(slice)s, kind, key, b.image, a.image, %(run_id)s
        from images b
        full join ({images}) a using (kind, key)
        where kind = 'record'
        or b.image is distinct from a.image
        on conflict (source, slice, kind, key) do update
        set after = excluded.after
        """
    ).format(images=unended_images.QUERY)
    conn.execute(query, params)


def note_replayed(conn: Connection, *, source: str) -> None:
    """Keep what records say today, which are staged and replayed, that only the ends of their files gave."""
    conn.execute(
        """
        insert into unended_writes (source, slice, kind, key, after, run_id)
        select
            u.source, u.slice, 'said', concat_ws(' ', l.id, extract(epoch from b.observed_at), b.content_hash),
            jsonb_build_object(
                'source', u.source, 'slice', u.slice, 'listing_id', l.id, 'observed_at', b.observed_at, 'content_hash',
                b.content_hash
            ),
            u.run_id
        from batch b
        join unended_writes u on u.source = %(source)s and u.kind = 'record' and u.key = b.content_hash::text
        join listings l on l.source = u.source and l.external_id = b.external_id
        where u.before is null
        and b.code is null
        on conflict do nothing
        """,
        {"source": source},
    )


def settle(conn: Connection, end: End) -> tuple[int, bool]:
    """Put back what the file's end wrote in an earlier run, unless the staged batch says the same; how many quotes go.

    Of a file that was edited, not grown, an older version said it, and that stands. So does an end that says the same
    and still has not ended, as the second value tells: it is put back when it goes on.
    """
    is_edited = end.anew and not end.again
    if end.anew and end.again:
        _forget_before(conn, end)
    if end.inner:
        return 0, False
    params = {"source": end.source, "slice": end.slice, "run_id": end.run_id, "ceiling": end.ceiling}
    same, found = db.one(
        conn.execute(
            """
            select
                bool_and(kind <> 'record' or key in (select content_hash::text from batch)),
                count(*)
            from unended_writes
            where source = %(source)s
            and slice = %(slice)s
            and run_id <> %(run_id)s
            """,
            params,
        )
    )
    if not found:
        return 0, False
    if same and end.unended and not is_edited:
        conn.execute(
            """
            update unended_writes
            set run_id = %(run_id)s
            where source = %(source)s
            and slice = %(slice)s
            """,
            params,
        )
        return 0, True
    conn.execute("create temporary table undone (kind text, key text, before jsonb, after jsonb) on commit drop")
    conn.execute(
        """
        with taken as (
            delete from unended_writes
            where source = %(source)s
            and slice = %(slice)s
            and run_id <> %(run_id)s
            returning kind, key, before, after
        )
        insert into undone (kind, key, before, after)
        select kind, key, before, after
        from taken
        """,
        params,
    )
    if same or is_edited:
        return 0, False
    removed = _undo_said(conn, end)
    _undo_rejections(conn)
    _undo_names(conn, params)
    _undo_records(conn, params)
    replays.remove_empty_listings(conn, end.source, among=_made_listings(conn))
    return removed, False


def _forget_before(conn: Connection, end: End) -> None:
    """How it was before the file's end stands for nothing where all of the file is read again."""
    conn.execute(
        """
        delete from unended_writes
        where source = %(source)s
        and slice = %(slice)s
        and kind in ('said', 'rejection')
        and before is not null
        """,
        {"source": end.source, "slice": end.slice},
    )


def _undo_said(conn: Connection, end: End) -> int:
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
        run_id=end.run_id,
        ceiling=end.ceiling,
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


def _undo_names(conn: Connection, params: dict[str, object]) -> None:
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


def _undo_records(conn: Connection, params: dict[str, object]) -> None:
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
