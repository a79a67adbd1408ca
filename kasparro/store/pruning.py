"""What is old enough to go? Raw records, resolved rejections, closed drifts and runs, a bounded number at a time.

Quotes stay for ever, and so do totals: only what they were made of, and how, is forgotten.
"""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen
from psycopg import sql

from kasparro.store import db, held_drifts
from kasparro.store.db import Connection

# The advisory locks of pruning, one a source: the ASCII codes of "prun", lest another program takes them by accident.
_PRUNING_LOCK = 0x7072756E


@frozen(kw_only=True)
class OldRuns:
    """The runs of a source and kind (the live ones, replays, backfills) up to `last_id`."""

    source: str
    kind: str
    last_id: int


def list_sources(conn: Connection) -> list[str]:
    """Every source that raw records are kept of, configured or not."""
    rows = conn.execute(
        """
        select substr(c.relname, length('raw_') + 1)
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'raw_records'::regclass
        order by c.relname
        """
    ).fetchall()
    return [row[0] for row in rows]


def cutoff(conn: Connection, *, days: int) -> datetime:
    """So many days before now."""
    (at,) = db.one(conn.execute("select clock_timestamp() - %(days)s * interval '1 day'", {"days": days}))
    return at  # type: ignore[no-any-return]


def count_blocks(conn: Connection, source: str) -> int:
    """How many blocks the raw records of a source take."""
    (blocks,) = db.one(
        conn.execute(
            "select pg_relation_size(%(table)s::regclass) / current_setting('block_size')::bigint",
            {"table": f"raw_{source}"},
        )
    )
    return int(blocks)


def lock_source(conn: Connection, source: str) -> None:
    """Let no batch of the source commit until the transaction ends: it may be about to reject a record that goes."""
    conn.execute(
        "select pg_advisory_xact_lock(%(lock)s, hashtext(%(source)s))", {"lock": _PRUNING_LOCK, "source": source}
    )


def hold_off(conn: Connection, source: str) -> None:
    """Let nobody prune the source until the transaction, one of its batches, ends. Batches wait for no batch."""
    conn.execute(
        "select pg_advisory_xact_lock_shared(%(lock)s, hashtext(%(source)s))", {"lock": _PRUNING_LOCK, "source": source}
    )


def delete_raw(conn: Connection, source: str, blocks: range, *, before: datetime) -> int:
    """Delete the raw records in these blocks that last changed a quote before that time; how many.

    Those of open rejections stay, unless such rejections are expected: they can still be replayed.
    """
    query = sql.SQL(
        """
        delete from {partition} r
        where r.ctid >= %(first)s::tid
        and r.ctid < %(end)s::tid
        and r.last_seen_at < %(before)s
        and not exists (
            select
            from rejections j
            where j.source = %(source)s
            and j.content_hash = r.content_hash
            and j.resolved_at is null
            and not j.expected
        )
        """
    ).format(partition=sql.Identifier(f"raw_{source}"))
    params = {"first": f"({blocks.start},0)", "end": f"({blocks.stop},0)", "before": before, "source": source}
    return conn.execute(query, params).rowcount


def delete_rejections(conn: Connection, source: str, *, before: datetime, limit: int) -> int:
    """Delete rejections that were resolved before that time, at most so many; how many."""
    return conn.execute(
        """
        delete from rejections
        where id in (
            select id
            from rejections
            where source = %(source)s
            and resolved_at < %(before)s
            order by id
            limit %(limit)s
        )
        """,
        {"source": source, "before": before, "limit": limit},
    ).rowcount


def delete_drifts(conn: Connection, source: str, *, before: datetime, limit: int) -> int:
    """Delete drifts that were closed before that time, at most so many; how many.

    What is read by a rename, or by none because somebody said so, stays; so does what keeps records out.
    """
    query = sql.SQL(
        """
        delete from drifts
        where id in (
            select d.id
            from drifts d
            where d.source = %(source)s
            and d.closed_at < %(before)s
            and not (d.kind = 'renamed' and d.status = 'rejected')
            and not exists (select from field_renames f where f.drift_id = d.id)
            and not {keeps_out}
            order by d.id
            limit %(limit)s
        )
        """
    ).format(keeps_out=held_drifts.KEEPS_OUT)
    return conn.execute(query, {"source": source, "before": before, "limit": limit}).rowcount


def list_old_runs(conn: Connection, *, keep: int) -> Sequence[OldRuns]:
    """What lies behind the newest `keep` ended runs of every source and kind."""
    rows = conn.execute(
        """
        select source, kind, max(id)
        from (
            select
                id, source, split_part(slice, ':', 1) as kind,
                row_number() over (partition by source, split_part(slice, ':', 1) order by id desc) as n
            from runs
            where finished_at is not null
        ) r
        where n > %(keep)s
        group by source, kind
        order by source, kind
        """,
        {"keep": keep},
    ).fetchall()
    return [OldRuns(source=source, kind=kind, last_id=last_id) for source, kind, last_id in rows]


def delete_runs(conn: Connection, old: OldRuns, *, limit: int) -> int:
    """Delete old runs that have ended, at most so many; how many."""
    return conn.execute(
        """
        delete from runs
        where id in (
            select id
            from runs
            where source = %(source)s
            and id <= %(last_id)s
            and split_part(slice, ':', 1) = %(kind)s
            and finished_at is not null
            order by id
            limit %(limit)s
        )
        """,
        {"source": old.source, "kind": old.kind, "last_id": old.last_id, "limit": limit},
    ).rowcount
