"""Checkpoints: how far each slice of a source has been read."""

from collections.abc import Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from kasparro.model import BACKFILL_PREFIX, Checkpoint
from kasparro.store import db, timestamps
from kasparro.store.db import Connection

# Of what its source has now, not of its past: as the index checkpoints_of_now says it. Needs a row `k` of checkpoints.
OF_NOW = sql.SQL("not starts_with(k.slice, {})").format(sql.Literal(BACKFILL_PREFIX))


def find(conn: Connection, source: str, slice_name: str) -> Checkpoint:
    """The checkpoint of a slice; an empty one where it was never read."""
    row = conn.execute(
        """
        select position, watermark, validators
        from checkpoints
        where source = %(source)s
        and slice = %(slice)s
        """,
        {"source": source, "slice": slice_name},
    ).fetchone()
    if row is None:
        return Checkpoint(slice=slice_name)
    position, watermark, validators = row
    return Checkpoint(slice=slice_name, position=position, watermark=watermark, validators=validators)


def list_complete(conn: Connection, source: str, slices: Sequence[str]) -> set[str]:
    """Which of these slices were read to their end and stay as they are, by runs that are over."""
    rows = conn.execute(
        """
        select k.slice
        from checkpoints k
        where k.source = %(source)s
        and k.slice = any(%(slices)s)
        and k.position @> '{"complete": true}'
        and not exists (
            select
            from leases l
            where l.key = k.source || '/' || k.slice
            and l.run_id is not null
        )
        """,
        {"source": source, "slices": list(slices)},
    ).fetchall()
    return {row[0] for row in rows}


def advance(conn: Connection, source: str, checkpoint: Checkpoint, *, run_id: int) -> None:
    """Move a slice's position and validators; its watermark never goes back."""
    conn.execute(
        """
        insert into checkpoints (source, slice, position, watermark, validators, run_id)
        values (%(source)s, %(slice)s, %(position)s, %(watermark)s, %(validators)s, %(run_id)s)
        on conflict (source, slice) do update
        set
            position = excluded.position,
            watermark = greatest(checkpoints.watermark, excluded.watermark),
            validators = excluded.validators,
            run_id = excluded.run_id,
            updated_at = clock_timestamp()
        where (checkpoints.position, checkpoints.validators) is distinct from (excluded.position, excluded.validators)
        or excluded.watermark > checkpoints.watermark
        or (checkpoints.watermark is null and excluded.watermark is not null)
        """,
        {
            "source": source,
            "slice": checkpoint.slice,
            "position": Jsonb(dict(checkpoint.position)),
            "watermark": checkpoint.watermark,
            "validators": Jsonb(dict(checkpoint.validators)),
            "run_id": run_id,
        },
    )


def reread_files(conn: Connection, source: str) -> None:
    """Have the next run read every file of a source anew, as if it were to be read in another way than it was."""
    conn.execute(
        """
        update checkpoints
        set validators = validators || '{"reading": ""}'
        where source = %(source)s
        and position ? 'offset'
        and validators->>'reading' is distinct from ''
        """,
        {"source": source},
    )


def count_reread(conn: Connection, source: str) -> int:
    """How many files of a source the next run reads anew because they are to be."""
    (found,) = db.one(
        conn.execute(
            """
            select count(*)
            from checkpoints
            where source = %(source)s
            and position ? 'offset'
            and validators->>'reading' = ''
            """,
            {"source": source},
        )
    )
    return int(found)


def summary(conn: Connection, source: str, slice_name: str) -> dict[str, object]:
    """Where a run's slices stand, for its record: the newest by name, bounded, and how many there are.

    A backfill reads the slice that it is called after, any other run those of what the source has now.
    """
    query = sql.SQL(
        """
        select k.slice, k.position - 'columns', {watermark}, count(*) over ()
        from checkpoints k
        where k.source = %(source)s
        and {which}
        order by k.updated_at desc, k.slice
        limit 20
        """
    ).format(
        watermark=timestamps.rfc3339("k.watermark"),
        which=sql.SQL("k.slice = %(slice)s") if slice_name.startswith(BACKFILL_PREFIX) else OF_NOW,
    )
    rows = conn.execute(query, {"source": source, "slice": slice_name}).fetchall()
    slices = {
        slice_name: {"position": position, "watermark": watermark}
        for slice_name, position, watermark, _ in sorted(rows)
    }
    return {"slices": rows[0][3] if rows else 0, "latest": slices}
