"""Replaying what is kept: which raw records, which quotes no longer follow from theirs, and who yields to whom.

A quote belongs to the raw record that was seen last among those that yield its key (ties: the greater content hash).
That makes the outcome the same in whatever order records are replayed, and however often.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import asdict, field, frozen
from psycopg import sql

from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone

# Keys of hashes sort before all of these.
FIRST_HASH = UUID(int=0)


@frozen(kw_only=True)
class Kept:
    """A raw record as it is kept; `payload` is JSON text, `slice` the one that it was first seen in."""

    content_hash: UUID
    slice: str
    payload: str
    constants: Mapping[str, str] = field(factory=dict)
    last_seen_at: datetime


@frozen(kw_only=True)
class Owned:
    """A quote's key, the version of the file that it is of, if it is of one, and the raw record that it came from.

    That may be kept out by now.
    """

    listing_id: int
    external_id: str
    observed_at: datetime
    file_version: int | None
    record: Kept
    kept_out: bool

    @property
    def gone(self) -> Gone:
        """The quote, where it is to go."""
        return Gone(
            listing_id=self.listing_id,
            observed_at=self.observed_at,
            content_hash=self.record.content_hash,
            file_version=self.file_version,
        )


@frozen(kw_only=True)
class Wanted:
    """Which raw records of a source: all of them, or those with an open rejection, of one code or of one run.

    Only those that a `drift_id` keeps out, or none that one of the drifts `apart_from` does.
    """

    source: str
    rejected: bool = False
    code: str | None = None
    run_id: int | None = None
    drift_id: int | None = None
    apart_from: list[int] = field(factory=list)


def list_kept(conn: Connection, wanted: Wanted, *, after: UUID, limit: int) -> tuple[list[Kept], UUID | None]:
    """The next raw records by content hash, and the hash after which there may be more; None where there are none.

    Those that could not even be read (an open rejection of stage `read`) are left out: there is nothing to normalise.
    Rows that contradict each other could. Each page looks at its own rejections alone, whatever Postgres thinks of how
    many others there are.
    """
    query = sql.SQL(
        """
        with page as materialized (
            {page}
            limit %(limit)s
        ),
        unread as materialized (
            select j.content_hash
            from rejections j
            where j.source = %(source)s
            and j.content_hash = any(array(select content_hash from page))
            and j.resolved_at is null
            and ((j.stage = 'read' and j.code <> 'ambiguous_key') or j.drift_id = any(%(apart_from)s::bigint[]))
        )
        select
            p.content_hash, r.slice, r.payload::text, r.constants, r.last_seen_at,
            r.content_hash is not null and p.content_hash <> all(array(select content_hash from unread))
        from page p
        left join raw_records r on r.source = %(source)s and r.content_hash = p.content_hash
        order by p.content_hash
        """
    ).format(page=_wanted(wanted))
    rows = conn.execute(query, {**asdict(wanted), "after": after, "limit": limit}).fetchall()
    kept = [
        Kept(content_hash=hash_, slice=slice_, payload=payload, constants=constants or {}, last_seen_at=seen_at)
        for hash_, slice_, payload, constants, seen_at, is_readable in rows
        if is_readable
    ]
    return kept, rows[-1][0] if len(rows) == limit else None


def _wanted(wanted: Wanted) -> sql.Composable:
    """The content hashes of the wanted records, in order."""
    if not wanted.rejected:
        return sql.SQL(
            """
            select r.content_hash
            from raw_records r
            where r.source = %(source)s
            and r.content_hash > %(after)s
            order by r.content_hash
            """
        )
    return sql.SQL(
        """
        select distinct j.content_hash
        from rejections j
        where {open}
        and j.content_hash > %(after)s
        order by j.content_hash
        """
    ).format(open=_open(wanted))


def _open(wanted: Wanted) -> sql.Composed:
    """Whether the rejection `j` is an open one that is wanted."""
    conditions = [sql.SQL("j.source = %(source)s"), sql.SQL("j.resolved_at is null")]
    if wanted.code is not None:
        conditions.append(sql.SQL("j.code = %(code)s"))
    if wanted.run_id is not None:
        conditions.append(sql.SQL("j.run_id = %(run_id)s"))
    if wanted.drift_id is not None:
        conditions.append(sql.SQL("j.drift_id = %(drift_id)s"))
    return sql.SQL(" and ").join(conditions)


def count_not_replayable(conn: Connection, wanted: Wanted) -> int:
    """How many open rejections cannot be replayed: their records could not be read, are kept out, or kept no longer."""
    query = sql.SQL(
        """
        select count(*)
        from rejections j
        where {open}
        and (
            (j.stage = 'read' and j.code <> 'ambiguous_key')
            or j.drift_id = any(%(apart_from)s::bigint[])
            or not exists (
                select from raw_records r where r.source = j.source and r.content_hash = j.content_hash
            )
        )
        """
    ).format(open=_open(wanted))
    ((found,),) = conn.execute(query, asdict(wanted)).fetchall()
    return int(found)


def list_owned(conn: Connection, wanted: Wanted, *, after: tuple[int, datetime] | None, limit: int) -> list[Owned]:
    """The next quotes of a source by listing and time, with their raw records; those without one are left out."""
    query = sql.SQL(
        """
        select
            q.listing_id, l.external_id, q.observed_at, q.file_version, r.content_hash, r.slice, r.payload::text,
            r.constants, r.last_seen_at,
            exists (
                select
                from rejections j
                where j.source = %(source)s
                and j.content_hash = q.content_hash
                and j.resolved_at is null
                and j.drift_id = any(%(apart_from)s::bigint[])
            )
        from quotes q
        join listings l on l.id = q.listing_id and l.source = %(source)s
        join raw_records r on r.source = %(source)s and r.content_hash = q.content_hash
        {after}
        order by q.listing_id, q.observed_at
        limit %(limit)s
        """
    ).format(
        after=sql.SQL("where (q.listing_id, q.observed_at) > (%(listing_id)s, %(observed_at)s)")
        if after is not None
        else sql.SQL("")
    )
    listing_id, observed_at = after or (None, None)
    params = {**asdict(wanted), "listing_id": listing_id, "observed_at": observed_at, "limit": limit}
    return [
        Owned(
            listing_id=listing_id,
            external_id=external_id,
            observed_at=observed_at,
            file_version=version,
            record=Kept(
                content_hash=hash_, slice=slice_, payload=payload, constants=constants or {}, last_seen_at=seen_at
            ),
            kept_out=kept_out,
        )
        for (
            listing_id,
            external_id,
            observed_at,
            version,
            hash_,
            slice_,
            payload,
            constants,
            seen_at,
            kept_out,
        ) in conn.execute(query, params).fetchall()
    ]


def yield_to_later(conn: Connection, *, source: str) -> None:
    """In the settled batch: a quote that belongs to a record seen later than the one at hand stays, and so do names.

    Where that record was pruned, when the quote was written says it: in the batch of the one at hand or later.
    """
    conn.execute(
        """
        update settled s
        set wins = false
        from raw_records mine, quotes q
        left join raw_records owner on owner.source = %(source)s and owner.content_hash = q.content_hash
        where s.wins
        and q.listing_id = s.listing_id
        and q.observed_at = s.observed_at
        and mine.source = %(source)s
        and mine.content_hash = s.content_hash
        and coalesce(
            (owner.last_seen_at, owner.content_hash) > (mine.last_seen_at, mine.content_hash),
            q.ingested_at >= mine.first_seen_at
        )
        """,
        {"source": source},
    )


def remove_empty_listings(conn: Connection, source: str, *, among: Sequence[int] | None = None) -> None:
    """Delete the listings of a source, or those `among` them, that nothing is said of, and assets without listings.

    A batch that is about to write a quote of one waits for its row, finds it gone, and starts again.
    """
    conn.execute(
        """
        create temporary table empty on commit drop as
        select l.id
        from listings l
        where l.source = %(source)s
        and l.id = any(coalesce(%(among)s::bigint[], array[l.id]))
        and not exists (select from quotes q where q.listing_id = l.id)
        and not exists (select from also_said x where x.listing_id = l.id)
        order by l.id
        for update
        """,
        {"source": source, "among": among},
    )
    conn.execute(
        """
        with gone as (
            delete from listings l
            using empty e
            where l.id = e.id
            and not exists (select from quotes q where q.listing_id = l.id)
            and not exists (select from also_said x where x.listing_id = l.id)
            returning l.id, l.source, l.symbol_key, l.asset_id
        ),
        noted as (
            insert into symbols_to_match (source, symbol_key)
            select distinct source, symbol_key
            from gone
            order by source, symbol_key
            on conflict (source, symbol_key) do update
            set symbol_key = excluded.symbol_key
        )
        delete from assets a
        using gone
        where a.id = gone.asset_id
        and not exists (select from listings l where l.asset_id = a.id and l.id not in (select id from gone))
        """
    )
