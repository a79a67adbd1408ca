"""One batch in SQL: a temporary table that a COPY fills, and the order of the steps that move it into the tables.

The COPY touches no shared row and waits for no lock; everything after the fence (leases.fence) is short. Identical
input writes nothing to raw_records, quotes, latest_quotes and listings: every write is preceded by an anti-join.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from kasparro.model import Normalised
from kasparro.store import (
    also_said,
    ambiguous,
    checkpoints,
    contradictions,
    db,
    file_versions,
    listings,
    quote_writes,
    raw,
    rejections,
    replays,
    settled,
    superseded,
    unended,
)
from kasparro.store.also_said import Teller
from kasparro.store.db import Connection
from kasparro.store.quote_writes import Gone
from kasparro.tallies import Counts


@frozen(kw_only=True)
class File:
    """What a batch is to its file: if it `rejects`, its rows contradict each other; if `anew`, it begins a version."""

    rejects: bool
    anew: bool


@frozen(kw_only=True)
class Origin:
    """Where a batch comes from. Beyond `ceiling` an observation is future-dated; `constants` is JSON text or None."""

    source: str
    slice: str
    run_id: int
    constants: str | None
    ceiling: datetime
    file: File | None = None


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
        # From 1 on: what was taken back before them in their transaction was seen earlier than the first of them.
        for seq, item in enumerate(items, 1):
            if seq == half + 1:
                midway()
            copy.write_row(_row(seq, item))


def load(conn: Connection, origin: Origin, *, again: bool, around_raw: Callable[[str], object]) -> Counts:
    """Move the staged batch into the tables: listings, raw, quotes, latest, rejections. Call it behind the fence.

    A file's batch that is read `again` as it was leaves what other files said since then.
    `around_raw` is called with "before" and "after" the raw records are kept.
    """
    teller = _teller(conn, origin)
    listings.insert_staged(conn, source=origin.source)
    settled.create(conn, origin.source, settled.AGAIN if again else settled.LOADED, teller=teller)
    listings.rename_settled(conn, source=origin.source, ceiling=origin.ceiling)
    superseded.take_back_settled(conn, source=origin.source)
    removed = 0
    concerned = teller is not None and also_said.is_concerned(conn, teller)
    if teller is not None and concerned:
        removed = contradictions.reject_staged(conn, teller, run_id=origin.run_id, ceiling=origin.ceiling)
    around_raw("before")
    raw_inserted = raw.insert_staged(
        conn, source=origin.source, slice_name=origin.slice, run_id=origin.run_id, constants=origin.constants
    )
    around_raw("after")
    if teller is not None and concerned:
        also_said.keep_overtaken(conn, teller)
    quote_writes.write_settled(conn, run_id=origin.run_id)
    if teller is not None and concerned:
        also_said.note_settled(conn, teller)
    quote_writes.move_latest(conn, origin.source, ceiling=origin.ceiling)
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id)
    if again:
        rejections.resolve_read_again(conn, source=origin.source, slice_name=origin.slice)
    return evolve(_count(conn, origin, raw_inserted), removed=removed)


def load_rejected(conn: Connection, origin: Origin, *, drift_id: int | None) -> Counts:
    """Keep a staged batch that is nothing but rejected records, without counting them: their batch is not loaded.

    `drift_id`: the drift that kept it out.
    """
    settled.create(conn, origin.source, settled.LOADED)
    raw_inserted = raw.insert_staged(
        conn, source=origin.source, slice_name=origin.slice, run_id=origin.run_id, constants=origin.constants
    )
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id, drift_id=drift_id)
    return Counts(raw_inserted=raw_inserted)


def look_again(conn: Connection, origin: Origin) -> Counts:
    """See in a staged batch of contradicted records, which are kept already, what they are for today."""
    listings.insert_staged(conn, source=origin.source)
    if ambiguous.look_again(conn, source=origin.source):
        checkpoints.reread_files(conn, origin.source)
    return Counts()


def reload(conn: Connection, origin: Origin) -> Counts:
    """Move a staged batch of records whose raw records are kept already into the other tables; see replays.

    They must be staged in the order of last_seen_at. A quote of a record that was seen later stays as it is, and the
    record counts as a duplicate. Where files say something else than they did, they are to be read anew: not where what
    gave no quote gives one that nothing else is said of.
    """
    listings.insert_staged(conn, source=origin.source)
    renewed: list[Gone] = []
    resolved = 0
    if origin.file is not None:
        renewed = also_said.renew_staged(conn, source=origin.source)
        ambiguous.mark_staged(conn, source=origin.source, run_id=origin.run_id)
    settled.create(conn, origin.source, settled.REPLAYED if origin.file is None else settled.REPLAYED_FILES)
    replays.yield_to_later(conn, source=origin.source)
    listings.rename_settled(conn, source=origin.source, ceiling=origin.ceiling)
    quote_writes.write_settled(conn, run_id=origin.run_id)
    if origin.file is not None:
        unended.note_replayed(conn, source=origin.source)
        resolved = ambiguous.resolve_staged(conn, source=origin.source)
    is_moved = origin.file is not None and bool(renewed or resolved or settled.has_changed(conn, origin.source))
    if renewed:
        quote_writes.withdraw(conn, renewed, run_id=origin.run_id, ceiling=origin.ceiling)
    quote_writes.move_latest(conn, origin.source, ceiling=origin.ceiling)
    rejections.upsert_staged(conn, source=origin.source, run_id=origin.run_id)
    if is_moved:
        checkpoints.reread_files(conn, origin.source)
    return _count(conn, origin, 0)


def remove(conn: Connection, origin: Origin, stale: Sequence[Gone]) -> Counts:
    """Delete quotes that their records, which are staged, no longer yield; what these say now is kept for their files.

    That shows where nothing else does: of a record that one file says alone, and another contradicts. See
    quote_writes.withdraw.
    """
    moved: list[Gone] = []
    if origin.file is not None:
        listings.insert_staged(conn, source=origin.source)
        moved = also_said.keep_moved(conn, stale)
        checkpoints.reread_files(conn, origin.source)
    removed = quote_writes.withdraw(conn, [*stale, *moved], run_id=origin.run_id, ceiling=origin.ceiling)
    return Counts(removed=removed)


def _teller(conn: Connection, origin: Origin) -> Teller | None:
    if origin.file is None:
        return None
    version = file_versions.at_hand(conn, origin.source, origin.slice, anew=origin.file.anew)
    return Teller(source=origin.source, slice=origin.slice, version=version, rejects=origin.file.rejects)


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
