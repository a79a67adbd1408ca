"""Buckets: what is left of each upstream's request budget. Times are the database's, so that all processes agree."""

from datetime import datetime

from kasparro.model import BucketState
from kasparro.store import db
from kasparro.store.db import Connection


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
