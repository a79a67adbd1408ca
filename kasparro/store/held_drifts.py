"""Which drifts keep records out, and which are kept out for which? Those of an open rejection that names the drift."""

from attrs import frozen

from kasparro.fields import DriftKind, OpenDrift
from kasparro.store.db import Connection


@frozen(kw_only=True)
class Held:
    """A drift for which records are kept out, the quote fields that it is about, and whether a person accepted it."""

    drift: OpenDrift
    fields: frozenset[str]
    accepted: bool


def find_newest(conn: Connection, source: str, *, path: str, kind: DriftKind) -> int | None:
    """The id of the newest drift of a field: the open one, or one that a person just decided about."""
    row = conn.execute(
        """
        select id
        from drifts
        where source = %(source)s
        and path = %(path)s
        and kind = %(kind)s
        order by id desc
        limit 1
        """,
        {"source": source, "path": path, "kind": kind.value},
    ).fetchone()
    return row[0] if row else None


def list_rescaled(conn: Connection, source: str) -> list[Held]:
    """The drifts for which records are kept out although they give quotes: their values are others than before."""
    rows = conn.execute(
        """
        select id, path, kind, first_run_id, first_seen_at, details -> 'fields', status = 'accepted'
        from drifts d
        where source = %(source)s
        and (details ->> 'rescaled')::boolean
        and exists (
            select
            from rejections j
            where j.source = d.source
            and j.code = 'schema_drift'
            and j.resolved_at is null
            and j.drift_id = d.id
        )
        order by id
        """,
        {"source": source},
    )
    return [
        Held(
            drift=OpenDrift(
                id=id_, path=path, kind=DriftKind(kind), first_run_id=run_id, first_seen_at=seen_at, rescaled=True
            ),
            fields=frozenset(fields),
            accepted=accepted,
        )
        for id_, path, kind, run_id, seen_at, fields, accepted in rows
    ]


def list_undecided(conn: Connection, source: str) -> frozenset[str]:
    """The quote fields of open drifts that keep records out because values are others than before."""
    rows = conn.execute(
        """
        select distinct jsonb_array_elements_text(details -> 'fields') as field
        from drifts
        where source = %(source)s
        and status = 'open'
        and action in ('quarantined', 'failed')
        and (details ->> 'rescaled')::boolean
        order by field
        """,
        {"source": source},
    )
    return frozenset(field for (field,) in rows)
