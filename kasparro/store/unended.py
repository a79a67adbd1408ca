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

from kasparro.store import db, unended_images, unended_undo
from kasparro.store.db import Connection


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
    return unended_undo.put_back(conn, params), False


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
