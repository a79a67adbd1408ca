"""What do files say of keys whose quotes do not show it? A key has one quote, what was said last; files may say more.

Another file's quote may stand there, or the file contradicts itself, or it says the same in several records: of those
the quote shows the last one, wherever batches end, and the others are kept as far as rows can contradict each other.
Whatever a file says of a key is forgotten when the same file, in this version or a later one, says something else. So
files that do not overlap, and say each thing once, leave nothing here.
"""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro.store import db
from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone


@frozen(kw_only=True)
class Teller:
    """The version of a file that a batch is of; with `rejects` its rows that differ for a key contradict each other."""

    source: str
    slice: str
    version: int
    rejects: bool

    @property
    def params(self) -> dict[str, object]:
        """For the queries of this file and of contradictions."""
        return {"source": self.source, "slice": self.slice, "version": self.version, "rejects": self.rejects}


# The columns of also_said, without `contradicted`, in which rows are written that say something.
COLUMNS = sql.SQL(
    """
    source, slice, listing_id, observed_at, content_hash, file_version, price_usd, market_cap_usd, volume_24h_usd,
    change_24h_pct, rank, circulating_supply, said_at
    """
)


def values(alias: str) -> sql.Composed:
    """The values of a row of quotes, or of one that is like it, as one that can be compared."""
    return sql.SQL(
        "({0}.price_usd, {0}.market_cap_usd, {0}.volume_24h_usd, {0}.change_24h_pct, {0}.rank, {0}.circulating_supply)"
    ).format(sql.Identifier(alias))


def is_concerned(conn: Connection, teller: Teller) -> bool:
    """Whether the settled batch does anything but add keys, or say again what its version's quotes show."""
    (concerned,) = db.one(
        conn.execute(
            """
            select
                exists (
                    select
                    from settled
                    where not wins
                    or outcome = 'updated'
                    or (outcome = 'unchanged' and (shown, shown_hash) is distinct from (file_version, content_hash))
                )
                or exists (select from also_said where source = %(source)s and slice = %(slice)s)
            """,
            teller.params,
        )
    )
    return bool(concerned)


def keep_overtaken(conn: Connection, teller: Teller) -> None:
    """Keep what the quotes show that are about to be the settled batch's: other files', or the same in this version."""
    query = sql.SQL(
        """
        insert into also_said ({columns})
        select
            v.source, v.slice, q.listing_id, q.observed_at, q.content_hash, q.file_version, q.price_usd,
            q.market_cap_usd, q.volume_24h_usd, q.change_24h_pct, q.rank, q.circulating_supply,
            coalesce(r.last_seen_at, q.ingested_at)
        from settled s
        join quotes q on q.listing_id = s.listing_id and q.observed_at = s.observed_at
        join file_versions v on v.id = q.file_version
        left join raw_records r on r.source = v.source and r.content_hash = q.content_hash
        where s.wins
        and case s.outcome
            when 'updated' then v.slice <> %(slice)s
            when 'unchanged' then %(rejects)s and v.id = s.file_version and q.content_hash <> s.content_hash
        end
        order by q.listing_id, q.observed_at
        on conflict do nothing
        """
    ).format(columns=COLUMNS)
    conn.execute(query, teller.params)


def note_settled(conn: Connection, teller: Teller) -> None:
    """Once the quotes are written: those that the batch says again are this version's; what else it says is kept."""
    _restamp(conn, teller)
    _forget(conn, teller)
    query = sql.SQL(
        """
        insert into also_said ({columns})
        select distinct on (s.listing_id, s.observed_at, s.content_hash)
            %(source)s, %(slice)s, s.listing_id, s.observed_at, s.content_hash, s.file_version, s.price_usd,
            s.market_cap_usd, s.volume_24h_usd, s.change_24h_pct, s.rank, s.circulating_supply, s.said_at
        from settled s
        join quotes q on q.listing_id = s.listing_id and q.observed_at = s.observed_at
        where (%(rejects)s or s.wins)
        and (q.file_version, q.content_hash) is distinct from (s.file_version, s.content_hash)
        order by s.listing_id, s.observed_at, s.content_hash, s.seq desc
        on conflict (source, slice, listing_id, observed_at, content_hash) do update
        set said_at = excluded.said_at
        """
    ).format(columns=COLUMNS)
    conn.execute(query, teller.params)


def _restamp(conn: Connection, teller: Teller) -> None:
    """A quote of this file, or of none, that says what the batch says shows the batch's record."""
    conn.execute(
        """
        with restamped as (
            update quotes q
            set file_version = s.file_version, content_hash = s.content_hash
            from settled s
            left join file_versions v on v.id = s.shown
            where s.wins
            and s.outcome = 'unchanged'
            and (s.shown, s.shown_hash) is distinct from (s.file_version, s.content_hash)
            and (v.id is null or v.slice = %(slice)s)
            and q.listing_id = s.listing_id
            and q.observed_at = s.observed_at
            returning s.content_hash, s.shown_hash, s.seq
        )
        update raw_records r
        set last_seen_at = now() + s.seq * interval '1 microsecond'
        from restamped s
        where s.shown_hash <> s.content_hash
        and r.source = %(source)s
        and r.content_hash = s.content_hash
        """,
        teller.params,
    )


def _forget(conn: Connection, teller: Teller) -> None:
    """What this file said before of the batch's keys, unless it says the same in this version, and more than once."""
    query = sql.SQL(
        """
        delete from also_said x
        using settled s
        join quotes q on q.listing_id = s.listing_id and q.observed_at = s.observed_at
        where s.wins
        and x.source = %(source)s
        and x.slice = %(slice)s
        and x.listing_id = s.listing_id
        and x.observed_at = s.observed_at
        and (
            not %(rejects)s
            or x.file_version <> s.file_version
            or {x} is distinct from {s}
            or (x.file_version, x.content_hash) is not distinct from (q.file_version, q.content_hash)
        )
        """
    ).format(x=values("x"), s=values("s"))
    conn.execute(query, teller.params)


def renew_staged(conn: Connection, *, source: str) -> list[Gone]:
    """Let what is kept of the staged batch's records, which are replayed, say what they say today; of which keys."""
    query = sql.SQL(
        """
        with old as (
            delete from also_said x
            using batch b
            left join listings l on l.source = %(source)s and l.external_id = b.external_id
            where x.source = %(source)s
            and not x.contradicted
            and x.content_hash = b.content_hash
            and (b.code is not null or (x.listing_id, x.observed_at, {x}) is distinct from (l.id, b.observed_at, {b}))
            returning x.source, x.slice, l.id as listing_id, b.observed_at, x.content_hash, x.file_version, b.price_usd,
                b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply, x.said_at, b.code
        ),
        renewed as (
            insert into also_said ({columns})
            select {columns}
            from old
            where code is null
            on conflict do nothing
        )
        select distinct listing_id, observed_at
        from old
        where code is null
        order by listing_id, observed_at
        """
    ).format(columns=COLUMNS, x=values("x"), b=values("b"))
    return [Gone(listing_id=id_, observed_at=at) for id_, at in conn.execute(query, {"source": source}).fetchall()]


def keep_moved(conn: Connection, stale: Sequence[Gone]) -> list[Gone]:
    """Keep what the records of stale quotes, which are staged, say today of other keys, for their files; of which keys.

    A record may stand in several files, and replayed it gives the quote of one: here it is kept for the quote's own,
    unless that contradicts itself there. What this file said earlier goes.
    """
    query = sql.SQL(
        """
        with moved as (
            select
                v.source, v.slice, l.id as listing_id, b.observed_at, b.content_hash, v.id as file_version, b.price_usd,
                b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply,
                q.ingested_at as said_at
            from unnest(%(listing_ids)s::bigint[], %(times)s::timestamptz[]) as g (listing_id, observed_at)
            join quotes q on q.listing_id = g.listing_id and q.observed_at = g.observed_at
            join file_versions v on v.id = q.file_version
            join batch b on b.content_hash = q.content_hash
            join listings l on l.source = v.source and l.external_id = b.external_id
            where b.code is null
        ),
        kept as (
            insert into also_said ({columns})
            select {columns}
            from moved m
            where not exists (
                select
                from also_said x
                where x.source = m.source
                and x.slice = m.slice
                and x.listing_id = m.listing_id
                and x.observed_at = m.observed_at
                and x.contradicted
                and x.file_version >= m.file_version
            )
            and not exists (
                select
                from quotes n
                where n.listing_id = m.listing_id
                and n.observed_at = m.observed_at
                and n.content_hash = m.content_hash
                and n.file_version = m.file_version
            )
            on conflict do nothing
            returning slice, listing_id, observed_at, content_hash
        ),
        older as (
            select q.listing_id, q.observed_at, q.content_hash, q.file_version
            from kept k
            join quotes q on q.listing_id = k.listing_id and q.observed_at = k.observed_at
            join file_versions v on v.id = q.file_version and v.slice = k.slice
            join raw_records n on n.source = v.source and n.content_hash = k.content_hash
            join raw_records o on o.source = v.source and o.content_hash = q.content_hash
            where o.last_seen_at < n.last_seen_at
        )
        select distinct listing_id, observed_at, o.content_hash, o.file_version
        from moved
        left join older o using (listing_id, observed_at)
        order by listing_id, observed_at
        """
    ).format(columns=COLUMNS)
    keys = {"listing_ids": [each.listing_id for each in stale], "times": [each.observed_at for each in stale]}
    return [
        Gone(listing_id=id_, observed_at=at, content_hash=hash_, file_version=of)
        for id_, at, hash_, of in conn.execute(query, keys).fetchall()
    ]
