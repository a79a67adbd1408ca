"""What will each record of the staged batch do to quotes? The temporary table `settled` says it beforehand."""

from attrs import frozen
from psycopg import sql

from kasparro.store import also_said, db
from kasparro.store.also_said import Teller
from kasparro.store.db import Connection

_NO = sql.SQL("false")
_SEEN = sql.SQL(
    "(select r.last_seen_at from raw_records r where r.source = %(source)s and r.content_hash = b.content_hash)"
)
_NOW = sql.SQL("now() + b.seq * interval '1 microsecond'")


@frozen(kw_only=True)
class Settling:
    """SQL: the version of its file that a row `b` is of, and whether it gives no quote of listing `l`; `q` is there.

    And when it was said; where another file's quote was later, that stands, and the row `yields` to it.
    """

    version: sql.SQL
    silent: sql.SQL = _NO
    said_at: sql.SQL = _NOW
    yields: sql.SQL = _NO


LOADED = Settling(version=sql.SQL("%(version)s::integer"))
# Of bytes of a file that were read before: rows keep their place among what other files say.
AGAIN = Settling(
    version=LOADED.version,
    said_at=sql.SQL(
        """
        coalesce(
            (
                select x.said_at
                from also_said x
                where x.source = %(source)s
                and x.slice = %(slice)s
                and x.listing_id = l.id
                and x.observed_at = b.observed_at
                and x.content_hash = b.content_hash
            ),
            (select r.last_seen_at from raw_records r where r.source = %(source)s and r.content_hash = b.content_hash),
            now() + b.seq * interval '1 microsecond'
        )
        """
    ),
    yields=sql.SQL(
        """
        exists (select from file_versions v where v.id = s.shown and v.slice <> %(slice)s)
        and s.said_at <= coalesce(
            (select r.last_seen_at from raw_records r where r.source = %(source)s and r.content_hash = s.shown_hash),
            s.shown_at
        )
        """
    ),
)
REPLAYED = Settling(version=sql.SQL("null::integer"), said_at=_SEEN)
# Of the record's own quote it stays; else of the one that contradicted itself, or of its file's when it was last seen:
# the oldest one, where a migration noted that later. Where a later version of its file contradicts itself, a record
# does not come back.
REPLAYED_FILES = Settling(
    version=sql.SQL(
        """
        case
            when q.content_hash = b.content_hash then q.file_version
            else coalesce(
                (select max(a.file_version) from ambiguous a where a.content_hash = b.content_hash and not a.contested),
                (
                    select coalesce(max(v.id) filter (where v.began_at <= r.last_seen_at), min(v.id))
                    from raw_records r
                    join file_versions v on v.source = r.source and v.slice = r.slice
                    where r.source = %(source)s
                    and r.content_hash = b.content_hash
                )
            )
        end
        """
    ),
    silent=sql.SQL(
        """
        q.content_hash is distinct from b.content_hash
        and exists (
            select
            from raw_records r
            join also_said x on x.source = r.source and x.slice = r.slice
            where r.source = %(source)s
            and r.content_hash = b.content_hash
            and x.listing_id = l.id
            and x.observed_at = b.observed_at
            and x.contradicted
        )
        and not exists (select from ambiguous a where a.content_hash = b.content_hash and not a.contested)
        """
    ),
    said_at=_SEEN,
)


def create(conn: Connection, source: str, settling: Settling, *, teller: Teller | None = None) -> None:
    """Find each record's listing, whether a later record of the batch has its key, and what it will do to quotes.

    There is one listing; the limit only says so to Postgres, which would else compare every record with every listing
    of a new source.
    """
    query = sql.SQL(
        """
        create temporary table settled on commit drop as
        select
            s.*,
            case
                when s.shown_at is null then 'inserted'
                when s.differs and not s.yields then 'updated'
                else 'unchanged'
            end as outcome,
            not s.silent and row_number() over (
                partition by s.listing_id, s.observed_at order by s.silent, s.seq desc
            ) = 1 as wins
        from (
            select s.*, {yields} as yields
            from (
                select
                    b.seq, b.content_hash, b.symbol, b.name, b.symbol_key, b.observed_at, b.price_usd, b.market_cap_usd,
                    b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply,
                    l.id as listing_id,
                    {quoted} is distinct from {staged} as differs,
                    q.file_version as shown,
                    q.content_hash as shown_hash,
                    q.ingested_at as shown_at,
                    {version} as file_version,
                    {said_at} as said_at,
                    {silent} as silent
                from batch b
                cross join lateral (
                    select id
                    from listings
                    where source = %(source)s
                    and external_id = b.external_id
                    limit 1
                ) l
                left join quotes q on q.listing_id = l.id and q.observed_at = b.observed_at
                where b.code is null
            ) s
        ) s
        """
    ).format(
        quoted=also_said.values("q"),
        staged=also_said.values("b"),
        version=settling.version,
        silent=settling.silent,
        said_at=settling.said_at,
        yields=settling.yields,
    )
    conn.execute(query, {"version": None, **(teller.params if teller is not None else {}), "source": source})


def has_changed(conn: Connection, source: str) -> bool:
    """Whether the settled batch changes quotes, apart from records that were rejected and are alone for their keys."""
    (changed,) = db.one(
        conn.execute(
            """
            select exists (
                select
                from (
                    select
                        s.wins, s.outcome,
                        count(*) over (partition by s.listing_id, s.observed_at) as rows_of_key,
                        exists (
                            select
                            from rejections j
                            where j.source = %(source)s
                            and j.content_hash = s.content_hash
                            and j.code <> 'ambiguous_key'
                            and j.resolved_at is null
                        ) as is_mended
                    from settled s
                ) s
                where case
                    when s.is_mended then not s.wins or s.outcome <> 'inserted' or s.rows_of_key > 1
                    else s.wins and s.outcome <> 'unchanged'
                end
            )
            """,
            {"source": source},
        )
    )
    return bool(changed)
