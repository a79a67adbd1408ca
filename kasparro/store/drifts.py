"""Drifts: how fields of sources differ from their baselines, those baselines, and the renames in force.

A run writes them with a batch, behind its fence; a person decides about them at any time.
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from psycopg.types.json import Jsonb

from kasparro import errors
from kasparro.fields import Drift, DriftAction, DriftKind, FieldNotes, KnownFields, OpenDrift, Rename
from kasparro.store import totals
from kasparro.store.db import Connection

# Inputs that a drift remembers to have been seen in: when it is accepted, theirs are the baselines that change.
_MAX_BASELINES = 100


def find_known(conn: Connection, source: str, baseline: str) -> KnownFields:
    """What is known of one input's fields, and of what happened to fields of its source."""
    row = conn.execute(
        "select fields from field_baselines where source = %(source)s and slice = %(slice)s",
        {"source": source, "slice": baseline},
    ).fetchone()
    found = conn.execute(
        """
        select id, slice, path, kind, renamed_to, action, status
        from drifts
        where source = %(source)s
        and (status = 'open' or (status = 'rejected' and kind = 'renamed'))
        order by id
        """,
        {"source": source},
    ).fetchall()
    return KnownFields(
        baseline=row[0] if row is not None else {},
        open=tuple(
            OpenDrift(
                id=id_, slice=slice_name, path=path, kind=DriftKind(kind), renamed_to=new, action=DriftAction(action)
            )
            for id_, slice_name, path, kind, new, action, status in found
            if status == "open"
        ),
        renames=tuple(list_renames(conn, source)),
        rejected=frozenset(
            Rename(path=path, renamed_to=new) for _, _, path, _, new, _, status in found if status == "rejected"
        ),
    )


def list_renames(conn: Connection, source: str) -> list[Rename]:
    """The renames of a source in force, in the order in which they came to be."""
    rows = conn.execute(
        "select path, renamed_to from field_renames where source = %(source)s order by id", {"source": source}
    )
    return [Rename(path=path, renamed_to=renamed_to) for path, renamed_to in rows]


def write(conn: Connection, source: str, run_id: int, notes: FieldNotes) -> None:
    """Write what a run found out about fields. Written twice it is written once. Call it behind the fence."""
    found = sorted(notes.found, key=lambda each: (each.path, each.kind))
    written = [_upsert(conn, source, run_id, notes.slice, drift) for drift in found]
    _note_seen(conn, run_id, [row[0] for row in written if row])
    totals.count_drifts(conn, source, [drift.kind for drift, row in zip(found, written, strict=True) if row and row[1]])
    if notes.resolved:
        conn.execute(
            """
            update drifts
            set status = 'resolved', closed_at = clock_timestamp()
            where id = any(%(ids)s)
            and status = 'open'
            """,
            {"ids": list(notes.resolved)},
        )
    if notes.learned:
        conn.execute(
            """
            insert into field_baselines as b (source, slice, fields)
            values (%(source)s, %(slice)s, %(fields)s)
            on conflict (source, slice) do update
            set fields = b.fields || excluded.fields, updated_at = clock_timestamp()
            """,
            {"source": source, "slice": notes.baseline, "fields": Jsonb(notes.learned)},
        )


def _note_seen(conn: Connection, run_id: int, drift_ids: list[int]) -> None:
    conn.execute(
        """
        insert into drifts_seen (run_id, drift_id)
        select %(run_id)s, unnest(%(drift_ids)s::bigint[])
        on conflict do nothing
        """,
        {"run_id": run_id, "drift_ids": drift_ids},
    )


def _upsert(conn: Connection, source: str, run_id: int, slice_name: str, drift: Drift) -> tuple[int, bool] | None:
    """The id of the drift and whether it is new; None where a person decided about it while the run was under way."""
    values = {
        "source": source,
        "slice": slice_name,
        "path": drift.path,
        "kind": drift.kind.value,
        "renamed_to": drift.renamed_to,
        "confidence": drift.confidence,
        "action": drift.action.value,
        "details": Jsonb(drift.details),
        "run_id": run_id,
        "max_baselines": _MAX_BASELINES,
    }
    row = conn.execute(
        """
        insert into drifts as d (
            source, slice, path, kind, renamed_to, confidence, action, details, first_run_id, last_run_id,
            first_seen_at, last_seen_at
        )
        select
            %(source)s, %(slice)s, %(path)s, %(kind)s, %(renamed_to)s, %(confidence)s, %(action)s, %(details)s,
            %(run_id)s, %(run_id)s, t.seen_at, t.seen_at
        from (select clock_timestamp() as seen_at) t
        where not exists (
            select
            from drifts r
            where r.source = %(source)s
            and r.path = %(path)s
            and r.kind = %(kind)s
            and r.renamed_to is not distinct from %(renamed_to)s
            and (
                (r.kind = 'renamed' and r.status = 'rejected')
                or (
                    r.status in ('accepted', 'rejected')
                    and r.closed_at > (select u.started_at from runs u where u.id = %(run_id)s)
                )
            )
        )
        on conflict (source, path, kind) where status = 'open' do update
        set
            slice = excluded.slice,
            renamed_to = excluded.renamed_to,
            confidence = excluded.confidence,
            action = excluded.action,
            details = excluded.details || jsonb_build_object(
                'baselines',
                case
                    when (d.details -> 'baselines') @> (excluded.details -> 'baselines')
                    or jsonb_array_length(d.details -> 'baselines') >= %(max_baselines)s
                    then d.details -> 'baselines'
                    else (d.details -> 'baselines') || (excluded.details -> 'baselines')
                end
            ),
            last_run_id = excluded.last_run_id,
            last_seen_at = clock_timestamp()
        -- One that is seen again has been seen later, too.
        returning id, first_seen_at = last_seen_at
        """,
        values,
    ).fetchone()
    if row is None:
        return None
    if drift.action is DriftAction.MAPPED:
        _put_in_force(conn, row[0])
    if drift.kind in (DriftKind.RENAMED, DriftKind.MISSING):
        # What was seen before turns out to be this.
        conn.execute(
            """
            update drifts
            set status = 'resolved', closed_at = clock_timestamp()
            where source = %(source)s
            and status = 'open'
            and (
                (path = %(path)s and kind in ('missing', 'renamed') and kind <> %(kind)s)
                or (path = %(renamed_to)s and kind = 'added')
            )
            """,
            values,
        )
    return row[0], row[1]


@frozen(kw_only=True)
class _Kept:
    """A drift that a person decides about."""

    id: int
    source: str
    path: str
    kind: DriftKind
    renamed_to: str | None
    status: str
    details: Mapping[str, Any]


def accept(conn: Connection, drift_id: int) -> str:
    """Take a drift for the new usual; a rename is in force from now on. Its new status.

    Raises NotFoundError, and ConflictError for one that is over.
    """
    kept = _lock(conn, drift_id)
    if kept.status == "accepted":
        return kept.status
    if kept.kind is DriftKind.RENAMED and kept.status in ("open", "rejected"):
        _put_in_force(conn, kept.id)
    elif kept.status != "open":
        raise errors.KasparroError(f"drift {drift_id} is {kept.status}: there is nothing to accept", code="drift_over")
    _rewrite_baselines(conn, kept, gone=kept.path, come=kept.renamed_to or kept.path, usual=kept.details.get("after"))
    return _close(conn, kept, "accepted")


def reject(conn: Connection, drift_id: int) -> str:
    """Undo what was accepted or mapped by itself; a rename that was rejected is not proposed again. Its new status.

    Raises NotFoundError, and KasparroError for what cannot be rejected.
    """
    kept = _lock(conn, drift_id)
    if kept.status == "rejected":
        return kept.status
    if kept.kind is not DriftKind.RENAMED and kept.status == "open":
        raise errors.KasparroError(
            f"drift {drift_id} is {kept.kind}: only a rename can be rejected; this is accepted as the new usual, or "
            "resolved when the field is back as it was",
            code="drift_open",
        )
    if kept.status == "accepted":
        _rewrite_baselines(
            conn, kept, gone=kept.renamed_to or kept.path, come=kept.path, usual=kept.details.get("before")
        )
    elif kept.status == "resolved" and kept.kind is not DriftKind.RENAMED:
        raise errors.KasparroError(f"drift {drift_id} is resolved: there is nothing to reject", code="drift_over")
    conn.execute("delete from field_renames where drift_id = %(id)s", {"id": kept.id})
    return _close(conn, kept, "rejected")


def _lock(conn: Connection, drift_id: int) -> _Kept:
    row = conn.execute(
        """
        select id, source, path, kind, renamed_to, status, details
        from drifts
        where id = %(id)s
        for update
        """,
        {"id": drift_id},
    ).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no drift {drift_id}")
    id_, source, path, kind, renamed_to, status, details = row
    return _Kept(
        id=id_, source=source, path=path, kind=DriftKind(kind), renamed_to=renamed_to, status=status, details=details
    )


def _put_in_force(conn: Connection, drift_id: int) -> None:
    conn.execute(
        """
        insert into field_renames (source, path, renamed_to, drift_id)
        select source, path, renamed_to, id
        from drifts
        where id = %(id)s
        on conflict (source, path, renamed_to) do update
        set drift_id = excluded.drift_id
        """,
        {"id": drift_id},
    )


def _rewrite_baselines(conn: Connection, kept: _Kept, *, gone: str, come: str, usual: object) -> None:
    """In every input where it was seen, one field is usual no more and another, as it was then, is."""
    conn.execute(
        """
        update field_baselines
        set fields = (fields - %(gone)s::text) || %(come)s::jsonb, updated_at = clock_timestamp()
        where source = %(source)s
        and slice = any(%(baselines)s)
        """,
        {
            "source": kept.source,
            "baselines": kept.details.get("baselines", []),
            "gone": gone,
            "come": Jsonb({come: usual} if usual is not None else {}),
        },
    )


def _close(conn: Connection, kept: _Kept, status: str) -> str:
    conn.execute(
        """
        update drifts
        set status = %(status)s, closed_at = clock_timestamp()
        where id = %(id)s
        """,
        {"id": kept.id, "status": status},
    )
    return status
