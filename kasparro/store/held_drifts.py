"""Which drifts keep records out, and which are kept out for which? Those of an open rejection that names the drift."""

from attrs import frozen
from psycopg import sql

from kasparro.fields import DriftKind, OpenDrift
from kasparro.store.db import Connection

# Whether a drift `d` keeps records out.
KEEPS_OUT = sql.SQL(
    """
    exists (
        select
        from rejections j
        where j.source = d.source
        and j.code = 'schema_drift'
        and j.resolved_at is null
        and j.drift_id = d.id
    )
    """
)


@frozen(kw_only=True)
class Held:
    """A drift for which records are kept out, the quote fields that it is about, and what a person said to it."""

    drift: OpenDrift
    fields: frozenset[str]
    accepted: bool
    rejected: bool


def find_newest(conn: Connection, source: str, *, path: str, kind: DriftKind, rescaled: bool) -> int | None:
    """The newest drift of a field that keeps records out: the open one, or one that was just decided about."""
    row = conn.execute(
        """
        select id
        from drifts
        where source = %(source)s
        and path = %(path)s
        and kind = %(kind)s
        and coalesce((details ->> 'rescaled')::boolean, false) = %(rescaled)s
        and action in ('quarantined', 'failed')
        order by id desc
        limit 1
        """,
        {"source": source, "path": path, "kind": kind.value, "rescaled": rescaled},
    ).fetchone()
    return row[0] if row else None


def list_rescaled(conn: Connection, source: str) -> list[Held]:
    """The drifts for which records are kept out although they give quotes: their values are others than before."""
    query = sql.SQL(
        """
        select
            id, path, kind, first_run_id, first_seen_at, details -> 'fields', status = 'accepted',
            status = 'rejected', coalesce(case when status = 'rejected' then closed_at end, first_seen_at)
        from drifts d
        where source = %(source)s
        and (details ->> 'rescaled')::boolean
        and {keeps_out}
        order by id
        """
    ).format(keeps_out=KEEPS_OUT)
    rows = conn.execute(query, {"source": source})
    return [
        Held(
            drift=OpenDrift(
                id=id_,
                path=path,
                kind=DriftKind(kind),
                first_run_id=run_id,
                first_seen_at=seen_at,
                rescaled=True,
                replayed_at=replayed_at,
            ),
            fields=frozenset(fields),
            accepted=accepted,
            rejected=rejected,
        )
        for id_, path, kind, run_id, seen_at, fields, accepted, rejected, replayed_at in rows
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


def keep_out(conn: Connection, drift_id: int) -> None:
    """Keep the records of an accepted drift out again, and those that were read by it: since it was accepted, or seen,
    where it was not for it that they were kept out. Those that are kept out for another reason stay so.
    """
    conn.execute(
        """
        update rejections
        set resolved_at = null
        where drift_id = %(id)s
        """,
        {"id": drift_id},
    )
    conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, field, message, external_id, content_hash, expected, run_id,
            first_seen_at, last_seen_at, drift_id
        )
        select
            r.source, r.slice, 'schema_drift', r.content_hash::text, 'compare', d.details -> 'fields' ->> 0,
            'was read while a drift was accepted that was rejected then (drift ' || d.id || ')', r.external_id,
            r.content_hash, false, r.run_id, now(), now(), d.id
        from drifts d
        join raw_records r on r.source = d.source
        where d.id = %(id)s
        and not coalesce((d.details ->> 'let_in')::boolean, false)
        and d.details -> 'baselines' ? r.slice
        and case
            when d.action in ('quarantined', 'failed') then r.first_seen_at > d.closed_at
            else r.run_id >= d.first_run_id
        end
        and not (
            -- What is called as it was before is not about other ids.
            d.details -> 'fields' ? 'external_id'
            and exists (
                select
                from listings l
                where l.source = r.source
                and l.external_id = r.external_id
                and l.first_seen_at < d.first_seen_at
            )
        )
        and not exists (
            select
            from rejections j
            where j.source = r.source
            and j.content_hash = r.content_hash
            and j.resolved_at is null
        )
        order by r.content_hash
        on conflict (source, code, dedup_key) do update
        set
            message = excluded.message, drift_id = excluded.drift_id, resolved_at = null,
            last_seen_at = excluded.last_seen_at
        """,
        {"id": drift_id},
    )
