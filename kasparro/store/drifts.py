"""Drifts: how fields of sources differ from their baselines, those baselines, and the renames in force.

A run writes them with a batch, behind its fence; a person decides about them at any time. A drift is about one field,
in the inputs whose baselines it names; a field has one open drift an input. What keeps records out is a row of its own,
and so is what only its values say (`rescaled`): each is decided about by itself. How it goes on:

    from       to        when
    -          open      a run finds it; not what was rejected as a rename
    open       resolved  the last of its inputs was read and loaded without it, or another drift of the field came up
    open       accepted  a person says so: the baselines are what is now, a rename is in force
    open       rejected  a person says so, of a rename: it is in force no more
    accepted   rejected  a person says so: the baselines are what was before, a rename is in force no more; of one about
                         values, what was read by it is kept out
    resolved   rejected  a person says so, of a rename: it is in force no more
    rejected   accepted  a person says so, of a rename: as from open
    resolved   accepted  a person says so, of one about values: the records that it keeps out may come in, but no
    rejected             others; from either
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from kasparro.fields import Drift, DriftAction, FieldNotes
from kasparro.store import totals
from kasparro.store.db import Connection

# Inputs that a drift remembers to have been seen in: when it is accepted, theirs are the baselines that change.
_MAX_BASELINES = 100


def write(conn: Connection, source: str, run_id: int, notes: FieldNotes) -> None:
    """Write what a run found out about fields. Written twice it is written once. Call it behind the fence."""
    found = sorted(notes.found, key=lambda each: (each.path, each.kind))
    written = [_upsert(conn, source, run_id, notes.slice, drift) for drift in found]
    _note_seen(conn, run_id, [row[0] for row in written if row])
    totals.count_drifts(conn, source, [drift.kind for drift, row in zip(found, written, strict=True) if row and row[1]])
    _resolve(conn, notes.resolved, [notes.baseline])
    decided = _decided_since(conn, run_id, notes.baseline) if notes.learned else frozenset()
    learned = {path: usual for path, usual in notes.learned.items() if path not in decided}
    if learned:
        conn.execute(
            """
            insert into field_baselines as b (source, slice, fields)
            values (%(source)s, %(slice)s, %(fields)s)
            on conflict (source, slice) do update
            set fields = jsonb_strip_nulls(b.fields || excluded.fields), updated_at = clock_timestamp()
            """,
            {"source": source, "slice": notes.baseline, "fields": Jsonb(learned)},
        )


def _decided_since(conn: Connection, run_id: int, baseline: str) -> frozenset[str]:
    """The fields of an input about which a person decided while the run was under way: it learned what was before."""
    rows = conn.execute(
        """
        select d.path, d.renamed_to
        from runs u
        join drifts d on d.source = u.source and d.closed_at > u.started_at
        where u.id = %(run_id)s
        and d.status in ('accepted', 'rejected')
        and d.details -> 'baselines' ? %(baseline)s
        """,
        {"run_id": run_id, "baseline": baseline},
    )
    return frozenset(path for row in rows for path in row if path is not None)


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
    _close_other_rename(conn, source, drift)
    values = {
        "source": source,
        "slice": slice_name,
        "path": drift.path,
        "kind": drift.kind.value,
        "renamed_to": drift.renamed_to,
        "confidence": drift.confidence,
        "action": drift.action.value,
        "details": Jsonb(drift.details),
        "rescaled": bool(drift.details.get("rescaled")),
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
            and coalesce((r.details ->> 'rescaled')::boolean, false) = %(rescaled)s
            and (
                (r.kind = 'renamed' and r.status = 'rejected')
                or (
                    r.status in ('accepted', 'rejected')
                    and r.closed_at > (select u.started_at from runs u where u.id = %(run_id)s)
                )
            )
        )
        on conflict (
            source, path, kind, (coalesce((details ->> 'rescaled')::boolean, false)),
            (action in ('quarantined', 'failed'))
        ) where status = 'open' do update
        set
            slice = excluded.slice,
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
        put_in_force(conn, row[0])
    supersede(conn, row[0], drift.details)
    return row[0], row[1]


def _close_other_rename(conn: Connection, source: str, drift: Drift) -> None:
    """A row is one rename: what a field is called now takes the place of what it was called before."""
    conn.execute(
        """
        update drifts
        set status = 'resolved', closed_at = clock_timestamp()
        where source = %(source)s
        and path = %(path)s
        and kind = 'renamed'
        and renamed_to <> %(renamed_to)s
        and status = 'open'
        """,
        {"source": source, "path": drift.path, "renamed_to": drift.renamed_to},
    )


def supersede(conn: Connection, drift_id: int, details: Mapping[str, Any]) -> None:
    """What was found in the fields of this drift before is over in its inputs: it turned out to be this."""
    others = conn.execute(
        """
        select o.id
        from drifts d
        join drifts o on o.source = d.source and o.path in (d.path, d.renamed_to) and o.id <> d.id
        where d.id = %(id)s
        and o.status = 'open'
        order by o.id
        """,
        {"id": drift_id},
    ).fetchall()
    _resolve(conn, [other for (other,) in others], details.get("baselines", []))


def _resolve(conn: Connection, ids: Sequence[int], baselines: Sequence[str]) -> None:
    """These drifts are over in these inputs; one that is in no other is resolved."""
    if not ids:
        return
    conn.execute(
        """
        update drifts d
        set
            status = case when n.others = '[]' then 'resolved' else d.status end,
            closed_at = case when n.others = '[]' then clock_timestamp() end,
            details = d.details || case
                when n.others = '[]' then '{}'
                else jsonb_build_object('baselines', n.others)
            end
        from drifts o
        cross join lateral (select coalesce(o.details -> 'baselines', '[]') - %(baselines)s::text[] as others) n
        where o.id = d.id
        and d.id = any(%(ids)s)
        and d.status = 'open'
        """,
        {"ids": list(ids), "baselines": list(baselines)},
    )


def put_in_force(conn: Connection, drift_id: int) -> None:
    """Let the source be read with this rename from now on; what a person accepted before does not end with it."""
    conn.execute(
        """
        insert into field_renames as f (source, path, renamed_to, drift_id)
        select source, path, renamed_to, id
        from drifts
        where id = %(id)s
        on conflict (source, path, renamed_to) do update
        set drift_id = excluded.drift_id
        where not exists (select from drifts d where d.id = f.drift_id and d.status = 'accepted')
        """,
        {"id": drift_id},
    )
