"""One batch in SQL: a temporary table that a COPY fills, and the order of the steps that move it into the tables.

The COPY touches no shared row and waits for no lock; everything after the fence (leases.fence) is short. Identical
input writes nothing to raw_records, quotes, latest_quotes and listings: every write is preceded by an anti-join.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from kasparro.model import Normalised
from kasparro.store import contradictions, db, listings, raw, rejections, replays
from kasparro.store.db import Connection
from kasparro.tallies import Counts


@frozen(kw_only=True)
class Origin:
    """Where a batch comes from. Beyond `ceiling` an observation is future-dated; `constants` is JSON text or None.

    Quotes `of_files` remember theirs. With a `rule` the rows are all of one file, which may contradict itself.
    """

    source: str
    slice: str
    run_id: int
    constants: str | None
    ceiling: datetime
    of_files: bool = False
    rule: contradictions.Rule | None = None


def stage(conn: Connection, items: Sequence[Normalised], *, midway: Callable[[], object]) -> None:
    """Create the temporary table `batch` and COPY the items into it, numbered in their order.

    `midway` is called when half of them are on their way.
    """
    conn.execute(
        """
        create temporary table batch (
            seq integer not null,
            content_hash uuid not null,
            payload json not null,
            external_id text,
            symbol text,
            name text,
            symbol_key text,
            observed_at timestamptz,
            price_usd numeric,
            market_cap_usd numeric,
            volume_24h_usd numeric,
            change_24h_pct numeric,
            rank integer,
            circulating_supply numeric,
            stage text,
            code text,
            field text,
            message text,
            expected boolean
        ) on commit drop
        """
    )
    with (
        conn.cursor() as cursor,
        cursor.copy(
            """
            copy batch (
                seq, content_hash, payload, external_id, symbol, name, symbol_key, observed_at, price_usd,
                market_cap_usd, volume_24h_usd, change_24h_pct, rank, circulating_supply, stage, code, field, message,
                expected
            ) from stdin
            """
        ) as copy,
    ):
        half = len(items) // 2
        for seq, item in enumerate(items):
            if seq == half:
                midway()
            copy.write_row(_row(seq, item))


def load(conn: Connection, origin: Origin, *, around_raw: Callable[[str], object]) -> Counts:
    """Move the staged batch into the tables: listings, raw, quotes, latest, rejections. Call it behind the fence.

    `around_raw` is called with "before" and "after" the raw records are kept.
    """
    listings.insert_staged(conn, source=origin.source)
    _settle(conn, origin, file=origin.slice)
    removed = 0
    if origin.rule is not None:
        removed = contradictions.reject_staged(
            conn, origin.rule, source=origin.source, slice_name=origin.slice, run_id=origin.run_id,
            ceiling=origin.ceiling,
        )  # fmt: skip
    listings.rename_settled(conn, source=origin.source, ceiling=origin.ceiling)
    around_raw("before")
    raw_inserted = raw.insert_staged(
        conn, source=origin.source, slice_name=origin.slice, run_id=origin.run_id, constants=origin.constants
    )
    around_raw("after")
    _write_quotes(conn, origin)
    _move_latest(conn, origin)
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id)
    return evolve(_count(conn, origin, raw_inserted), removed=removed)


def load_rejected(conn: Connection, origin: Origin) -> Counts:
    """Keep a staged batch that is nothing but rejected records, without counting them: their batch is not loaded."""
    _settle(conn, origin)
    raw_inserted = raw.insert_staged(
        conn, source=origin.source, slice_name=origin.slice, run_id=origin.run_id, constants=origin.constants
    )
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id)
    return Counts(raw_inserted=raw_inserted)


def reload(conn: Connection, origin: Origin) -> Counts:
    """Move a staged batch of records whose raw records are kept already into the other tables; see replays.

    They must be staged in the order of last_seen_at. A quote of a record that was seen later stays as it is, and the
    record counts as a duplicate.
    """
    listings.insert_staged(conn, source=origin.source)
    _settle(conn, origin)
    replays.yield_to_later(conn, source=origin.source)
    listings.rename_settled(conn, source=origin.source, ceiling=origin.ceiling)
    _write_quotes(conn, origin)
    _move_latest(conn, origin)
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id)
    return _count(conn, origin, 0)


def _row(seq: int, item: Normalised) -> tuple[object, ...]:
    quote, rejection = item.quote, item.rejection
    identity = (seq, item.content_hash, item.payload, item.external_id, item.symbol, item.name)
    if quote is None or item.symbol is None:
        if rejection is None:
            raise ValueError("an item has neither quote nor rejection")
        why = (rejection.stage, rejection.code, rejection.field, rejection.message, rejection.expected)
        return (*identity, *(None,) * 8, *why)
    return (
        *identity,
        item.symbol_key,
        quote.observed_at,
        quote.price_usd,
        quote.market_cap_usd,
        quote.volume_24h_usd,
        quote.change_24h_pct,
        quote.rank,
        quote.circulating_supply,
        None,
        None,
        None,
        None,
        None,
    )


def _settle(conn: Connection, origin: Origin, *, file: str | None = None) -> None:
    """Find each record's listing, whether a later record of the batch has its key, and what it will do to quotes.

    Without a `file` each is of the one that its raw record was first seen in.
    """
    conn.execute(
        """
        create temporary table settled on commit drop as
        select
            b.seq, b.content_hash, b.symbol, b.name, b.symbol_key, b.observed_at, b.price_usd, b.market_cap_usd,
            b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply,
            l.id as listing_id,
            row_number() over (partition by l.id, b.observed_at order by b.seq desc) = 1 as wins,
            case
                when q.listing_id is null then 'inserted'
                when (
                    q.price_usd, q.market_cap_usd, q.volume_24h_usd, q.change_24h_pct, q.rank, q.circulating_supply
                ) is distinct from (
                    b.price_usd, b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank, b.circulating_supply
                ) then 'updated'
                else 'unchanged'
            end as outcome,
            case
                when %(of_files)s then coalesce(%(file)s::text, (
                    select r.slice from raw_records r where r.source = %(source)s and r.content_hash = b.content_hash
                ))
            end as file
        from batch b
        join listings l on l.source = %(source)s and l.external_id = b.external_id
        left join quotes q on q.listing_id = l.id and q.observed_at = b.observed_at
        where b.code is null
        """,
        {"source": origin.source, "of_files": origin.of_files, "file": file},
    )


def _write_quotes(conn: Connection, origin: Origin) -> None:
    conn.execute(
        """
        insert into quotes (
            listing_id, observed_at, price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank,
            circulating_supply, content_hash, run_id, ingested_at, file
        )
        select
            s.listing_id, s.observed_at, s.price_usd, s.market_cap_usd, s.volume_24h_usd, s.change_24h_pct, s.rank,
            s.circulating_supply, s.content_hash, %(run_id)s, now(), s.file
        from settled s
        where s.wins
        and s.outcome = 'inserted'
        order by s.listing_id, s.observed_at
        """,
        {"run_id": origin.run_id},
    )
    conn.execute(
        """
        update quotes q
        set
            price_usd = s.price_usd,
            market_cap_usd = s.market_cap_usd,
            volume_24h_usd = s.volume_24h_usd,
            change_24h_pct = s.change_24h_pct,
            rank = s.rank,
            circulating_supply = s.circulating_supply,
            content_hash = s.content_hash,
            run_id = %(run_id)s,
            ingested_at = now(),
            file = s.file
        from settled s
        where s.wins
        and s.outcome = 'updated'
        and q.listing_id = s.listing_id
        and q.observed_at = s.observed_at
        """,
        {"run_id": origin.run_id},
    )


def _move_latest(conn: Connection, origin: Origin) -> None:
    """An older observation never replaces a newer one, and a future-dated one is never the latest."""
    conn.execute(
        """
        insert into latest_quotes (listing_id, observed_at)
        select n.listing_id, n.observed_at
        from (
            select s.listing_id, max(s.observed_at) as observed_at
            from settled s
            where s.wins
            and s.observed_at <= %(ceiling)s
            group by s.listing_id
        ) n
        left join latest_quotes t on t.listing_id = n.listing_id
        where t.listing_id is null
        or t.observed_at < n.observed_at
        order by n.listing_id
        on conflict (listing_id) do update
        set observed_at = excluded.observed_at
        where latest_quotes.observed_at < excluded.observed_at
        """,
        {"ceiling": origin.ceiling},
    )


def _count(conn: Connection, origin: Origin, raw_inserted: int) -> Counts:
    row = db.one(
        conn.execute(
            """
        select
            b.read, b.rejected, b.expected, s.inserted, s.updated, s.unchanged, s.duplicate, s.future_dated
        from (
            select
                count(*) as read,
                count(*) filter (where code is not null) as rejected,
                count(*) filter (where code is not null and expected) as expected
            from batch
        ) b
        cross join (
            select
                count(*) filter (where wins and outcome = 'inserted') as inserted,
                count(*) filter (where wins and outcome = 'updated') as updated,
                count(*) filter (where wins and outcome = 'unchanged') as unchanged,
                count(*) filter (where not wins) as duplicate,
                count(*) filter (where observed_at > %(ceiling)s) as future_dated
            from settled
        ) s
        """,
            {"ceiling": origin.ceiling},
        )
    )
    read, rejected, expected, inserted, updated, unchanged, duplicate, future_dated = row
    return Counts(
        read=read,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        duplicate=duplicate,
        rejected=rejected,
        rejected_expected=expected,
        raw_inserted=raw_inserted,
        future_dated=future_dated,
    )
