"""Rejections as readers see them: JSON that Postgres renders, a page of them, newest first."""

from collections.abc import Sequence

from attrs import frozen
from psycopg import sql

from kasparro.fields import REJECTION_CODES
from kasparro.store import db, record_pages, timestamps
from kasparro.store.record_pages import Chosen, RecordPage, Shown

# Bytes. A payload above this is not shown: a page of a thousand must stay small. It is kept whole in raw_records.
MAX_PAYLOAD_BYTES = 8192

# The fields of a rejection in their order. Needs a row `j` of rejections in scope.
COLUMNS = sql.SQL(
    """
    j.id, j.source, j.slice, j.stage, j.code, j.field, j.message, j.external_id, j.expected, j.attempts, j.run_id,
    {first_seen_at} as first_seen_at, {last_seen_at} as last_seen_at, {resolved_at} as resolved_at,
    octet_length(p.payload::text) as payload_bytes,
    case when octet_length(p.payload::text) <= {max_bytes} then p.payload end as payload
    """
).format(
    first_seen_at=timestamps.rfc3339("j.first_seen_at"),
    last_seen_at=timestamps.rfc3339("j.last_seen_at"),
    resolved_at=timestamps.rfc3339("j.resolved_at"),
    max_bytes=sql.Literal(MAX_PAYLOAD_BYTES),
)

# Rejections of one source and code that are counted at most: somebody looks at them every ten seconds.
MAX_COUNTED = 1_000
# What is open of a source, by code, that with the newest first. Needs a row `c` with a source in scope.
OPEN_BY_CODE = sql.SQL(
    """
    select coalesce(
        json_agg(
            json_build_object('code', k.code, 'expected', e.expected, 'records', o.records, 'newest', row_to_json(n))
            order by n.id desc
        ),
        '[]'
    )
    from unnest({codes}::text[]) as k (code)
    cross join (values (false), (true)) as e (expected)
    cross join lateral (
        select j.id, j.message, j.external_id, j.slice, j.run_id, {last_seen_at} as last_seen_at
        from rejections j
        where j.source = c.source
        and j.expected = e.expected
        and j.code = k.code
        and j.resolved_at is null
        order by -j.id
        limit 1
    ) n
    cross join lateral (
        select count(*) as records
        from (
            select
            from rejections j
            where j.source = c.source
            and j.expected = e.expected
            and j.code = k.code
            and j.resolved_at is null
            order by -j.id
            limit {most}
        ) j
    ) o
    """
).format(
    codes=sql.Literal(sorted(REJECTION_CODES)),
    last_seen_at=timestamps.rfc3339("j.last_seen_at"),
    most=sql.Literal(MAX_COUNTED),
)


@frozen(kw_only=True)
class Filter:
    """Which rejections: of these sources, of this code, resolved or still open, expected
    or not; None does not restrict."""

    sources: Sequence[str] | None = None
    code: str | None = None
    resolved: bool | None = None
    expected: bool | None = None


def page(conn: db.Connection, chosen: Filter, *, limit: int, before_id: int | None = None) -> RecordPage:
    """At most `limit` rejections, those first seen last coming first, with ids below `before_id`.

    `payload` is null, and payload_bytes tells its size, where it is too large to show; both where pruning took it.
    """
    conditions: list[sql.Composable] = []
    if chosen.resolved is not None:
        conditions.append(sql.SQL("j.resolved_at is not null" if chosen.resolved else "j.resolved_at is null"))
    if chosen.expected is not None:
        # Written as its index has it, not compared with a parameter.
        conditions.append(sql.SQL("j.expected" if chosen.expected else "not j.expected"))
    payload = sql.SQL("left join raw_records p on p.source = j.source and p.content_hash = j.content_hash")
    shown = Shown(table="rejections", alias="j", columns=COLUMNS, joins=payload)
    which = Chosen(sources=chosen.sources, equal={"code": chosen.code}, conditions=conditions)
    return record_pages.page(conn, shown, which, limit=limit, before_id=before_id)
