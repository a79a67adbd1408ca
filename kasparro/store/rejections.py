"""Rejections: records that gave no quote, and why."""

from kasparro.store import db
from kasparro.store.db import Connection


def upsert_staged(conn: Connection, *, source: str, run_id: int, drift_id: int | None = None) -> int:
    """Write the batch's rejections, once its raw records are kept, and resolve those that no longer hold: how many.

    `drift_id`: the drift that kept those of code schema_drift out. What the source expects has one row per listing and
    code, the rest one per raw record and code. Rows that contradict each other are the business of contradictions.
    """
    resolved = _resolve_staged(conn, source=source)
    conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, field, message, external_id, content_hash, expected, run_id,
            first_seen_at, last_seen_at, drift_id
        )
        select distinct on (k.code, k.dedup_key)
            %(source)s, r.slice, k.code, k.dedup_key, k.stage, k.field,
            k.message || coalesce(' (drift ' || k.drift_id || ')', ''), k.external_id, k.content_hash, k.expected,
            %(run_id)s, now(), now(), k.drift_id
        from (
            select
                b.*,
                case
                    when b.expected and b.external_id is not null then b.external_id
                    else b.content_hash::text
                end as dedup_key,
                case when b.code = 'schema_drift' then %(drift_id)s::bigint end as drift_id
            from batch b
            where b.code is not null
            and b.code <> 'ambiguous_key'
        ) k
        join raw_records r on r.source = %(source)s and r.content_hash = k.content_hash
        order by k.code, k.dedup_key, k.seq desc
        on conflict (source, code, dedup_key) do update
        set
            attempts = rejections.attempts + 1,
            content_hash = excluded.content_hash,
            message = excluded.message,
            run_id = excluded.run_id,
            last_seen_at = excluded.last_seen_at,
            drift_id = excluded.drift_id,
            resolved_at = null
        where not rejections.expected
        or rejections.resolved_at is not null
        """,
        {"source": source, "run_id": run_id, "drift_id": drift_id},
    )
    return resolved


def resolve_read_again(conn: Connection, *, source: str, slice_name: str) -> None:
    """Of records that are staged because their file is read again: what was kept of them under other ids is settled."""
    conn.execute(
        """
        update rejections j
        set resolved_at = now()
        from raw_records r
        join batch b on b.payload::text = r.payload::text
        where j.source = %(source)s
        and j.slice = %(slice)s
        and j.resolved_at is null
        and r.source = %(source)s
        and r.content_hash = j.content_hash
        and r.slice = %(slice)s
        and not exists (select from batch o where o.content_hash = j.content_hash)
        """,
        {"source": source, "slice": slice_name},
    )


def _resolve_staged(conn: Connection, *, source: str) -> int:
    """A rejection is open until its record, or the listing of one that is expected, says something else."""
    (any_open,) = db.one(
        conn.execute(
            """
            select exists (select from rejections where source = %(source)s and resolved_at is null)
            """,
            {"source": source},
        )
    )
    if not any_open:
        return 0
    of_records = conn.execute(
        """
        update rejections j
        set resolved_at = now()
        from batch b
        where j.source = %(source)s
        and j.resolved_at is null
        and j.content_hash = b.content_hash
        and j.code is distinct from b.code
        and j.code <> 'ambiguous_key'
        """,
        {"source": source},
    )
    of_listings = conn.execute(
        """
        update rejections j
        set resolved_at = now()
        where j.source = %(source)s
        and j.resolved_at is null
        and j.expected
        and j.external_id in (select b.external_id from batch b where b.code is null)
        """,
        {"source": source},
    )
    return of_records.rowcount + of_listings.rowcount


def describe(conn: Connection, source: str, run_id: int) -> str:
    """Why records of a run gave no quote though their source does not expect it: each code with one example."""
    rows = conn.execute(
        """
        select code, count(*), min(coalesce(field || ' ', '') || message)
        from rejections
        where source = %(source)s
        and run_id = %(run_id)s
        and not expected
        group by code
        order by count(*) desc, code
        limit 5
        """,
        {"source": source, "run_id": run_id},
    ).fetchall()
    return "; ".join(f"{found} x {code}: {example}" for code, found, example in rows)


def knows_run(conn: Connection, source: str, run_id: int) -> bool:
    """Whether there is, or was, such a run of the source: rejections outlive the runs that are pruned."""
    (known,) = db.one(
        conn.execute(
            """
            select
                exists (select from runs where id = %(run_id)s and source = %(source)s)
                or exists (select from rejections where run_id = %(run_id)s and source = %(source)s)
            """,
            {"run_id": run_id, "source": source},
        )
    )
    return bool(known)
