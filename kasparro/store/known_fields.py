"""What is known of the fields of one input, before it is read: the baseline, its drifts, and the renames in force."""

from collections.abc import Mapping
from typing import Any

from kasparro.fields import DriftKind, KnownFields, OpenDrift, Rename
from kasparro.store.db import Connection


def find(conn: Connection, source: str, baseline: str) -> KnownFields:
    """What is known of one input's fields, and of what happened to fields of its source.

    What a person decided stands in the baseline until the input was read to its end, and loaded; see drift_decisions.
    """
    row = conn.execute(
        "select fields from field_baselines where source = %(source)s and slice = %(slice)s",
        {"source": source, "slice": baseline},
    ).fetchone()
    usual: Mapping[str, Mapping[str, Any]] = row[0] if row is not None else {}
    undone = [each["undone"] for each in usual.values() if "undone" in each]
    found = conn.execute(
        """
        select
            id, path, kind, renamed_to, status, first_run_id, first_seen_at, coalesce(details -> 'baselines', '[]'),
            coalesce((details ->> 'rescaled')::boolean, false), action in ('quarantined', 'failed'),
            coalesce(closed_at, first_seen_at)
        from drifts
        where source = %(source)s
        and (status = 'open' or (status = 'rejected' and kind = 'renamed') or id = any(%(undone)s::bigint[]))
        order by id
        """,
        {"source": source, "undone": undone},
    ).fetchall()
    drifts = [
        (
            status,
            OpenDrift(
                id=id_,
                path=path,
                kind=DriftKind(kind),
                renamed_to=new,
                first_run_id=run_id,
                first_seen_at=seen_at,
                rescaled=rescaled,
                held=held,
                baselines=tuple(baselines),
                replayed_at=replayed_at,
            ),
        )
        for id_, path, kind, new, status, run_id, seen_at, baselines, rescaled, held, replayed_at in found
    ]
    return KnownFields(
        baseline=usual,
        open=tuple(each for status, each in drifts if status == "open"),
        undone=tuple(each for status, each in drifts if each.id in undone and status == "rejected"),
        renames=tuple(list_renames(conn, source)),
        rejected=frozenset(
            Rename(path=each.path, renamed_to=each.renamed_to)
            for status, each in drifts
            if status == "rejected" and each.renamed_to is not None
        ),
        accepted=frozenset(path for path, each in usual.items() if each.get("accepted")),
    )


def list_renames(conn: Connection, source: str, *, with_ended: bool = False) -> list[Rename]:
    """The renames of a source in force, in the order in which they came to be.

    What was mapped by itself is so only until the field is back: what its new name means by then was proven by nobody.
    `with_ended`: those, too.
    """
    rows = conn.execute(
        """
        select f.path, f.renamed_to
        from field_renames f
        join drifts d on d.id = f.drift_id
        where f.source = %(source)s
        and (d.status in ('open', 'accepted') or %(with_ended)s)
        order by f.id
        """,
        {"source": source, "with_ended": with_ended},
    )
    return [Rename(path=path, renamed_to=renamed_to) for path, renamed_to in rows]
