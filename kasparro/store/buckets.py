"""Buckets: what is left of each upstream's request budget. Times are the database's, so that all processes agree."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen
from psycopg import sql

from kasparro.model import BucketState, SourceInfo
from kasparro.store import db
from kasparro.store.db import Connection

# What is left of a bucket now, and what was used of it this month, without taking anything: for readers. They need a
# row `g` of buckets, or nulls for one that nobody has used, and a row `w` with its `bucket`, `burst` and `per_second`.
TOKENS = sql.SQL(
    """
    -- least() passes over a null, which says that nothing is limited.
    case when w.burst is not null then least(
        w.burst,
        coalesce(g.tokens, w.burst)
            + coalesce(greatest(extract(epoch from clock_timestamp() - g.refilled_at), 0), 0) * w.per_second
    ) end
    """
)
MONTH_USED = sql.SQL(
    """
    case
        when g.month = date_trunc('month', clock_timestamp() at time zone 'UTC')::date then g.month_used
        when w.bucket is not null then 0
    end
    """
)


@frozen(kw_only=True)
class Budget:
    """What is left of a bucket now; `tokens` is None where it has no limit of this kind."""

    name: str
    tokens: float | None
    month_used: int
    blocked_seconds: float


def list_budgets(conn: Connection, users: Sequence[SourceInfo]) -> list[Budget]:
    """What is left of the bucket of each of `users`, without those that are neither limited nor used."""
    query = sql.SQL(
        """
        select
            w.bucket, ({tokens})::double precision, {month_used},
            coalesce(greatest(extract(epoch from g.blocked_until - clock_timestamp()), 0), 0)::double precision
        from unnest(
            %(buckets)s::text[], %(bursts)s::double precision[], %(rates)s::double precision[]
        ) as w (bucket, burst, per_second)
        left join buckets g on g.name = w.bucket
        where w.burst is not null
        or g.name is not null
        order by w.bucket
        """
    ).format(tokens=TOKENS, month_used=MONTH_USED)
    rows = conn.execute(
        query,
        {
            "buckets": [info.bucket for info in users],
            "bursts": [info.burst for info in users],
            "rates": [info.tokens_per_second for info in users],
        },
    )
    return [Budget(name=row[0], tokens=row[1], month_used=row[2], blocked_seconds=row[3]) for row in rows]


def lock(conn: Connection, name: str, *, tokens: float) -> tuple[BucketState, datetime]:
    """Lock a bucket's row until the transaction ends, making it first, with `tokens`, where it is new; and the time."""
    conn.execute(
        "insert into buckets (name, tokens) values (%(name)s, %(tokens)s) on conflict (name) do nothing",
        {"name": name, "tokens": tokens},
    )
    row = db.one(
        conn.execute(
            """
            select tokens, refilled_at, blocked_until, month, month_used
            from buckets
            where name = %(name)s
            for update
            """,
            {"name": name},
        )
    )
    # In a statement of its own, for the one above may have waited for its lock.
    (now,) = db.one(conn.execute("select clock_timestamp()"))
    known_tokens, refilled_at, blocked_until, month, month_used = row
    state = BucketState(
        tokens=known_tokens, refilled_at=refilled_at, blocked_until=blocked_until, month=month, month_used=month_used
    )
    return state, now


def update(conn: Connection, name: str, state: BucketState) -> None:
    """Write a bucket's new state. The row must be locked by `lock` in this transaction."""
    conn.execute(
        """
        update buckets
        set
            tokens = %(tokens)s,
            refilled_at = %(refilled_at)s,
            blocked_until = %(blocked_until)s,
            month = %(month)s,
            month_used = %(month_used)s
        where name = %(name)s
        """,
        {
            "name": name,
            "tokens": state.tokens,
            "refilled_at": state.refilled_at,
            "blocked_until": state.blocked_until,
            "month": state.month,
            "month_used": state.month_used,
        },
    )
