"""Chores: what one process among several does once a day. All times are the database's."""

from kasparro.store.db import Connection

# Seconds that a claim lasts without being extended. Whoever is killed at a chore keeps others from it for so long.
CLAIM_SECONDS = 600.0


def claim(conn: Connection, name: str, *, every_seconds: float) -> bool:
    """Claim a chore that was last done so long ago, and that nobody is at; whether that worked."""
    conn.execute("insert into chores (name) values (%(name)s) on conflict (name) do nothing", {"name": name})
    claimed = conn.execute(
        """
        update chores
        set claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
        where name = %(name)s
        and (done_at is null or done_at < clock_timestamp() - %(every)s * interval '1 second')
        and (claimed_until is null or claimed_until < clock_timestamp())
        """,
        {"name": name, "seconds": CLAIM_SECONDS, "every": every_seconds},
    )
    return claimed.rowcount == 1


def extend(conn: Connection, name: str) -> None:
    """Let a claim last on, if there is one."""
    conn.execute(
        """
        update chores
        set claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
        where name = %(name)s
        and claimed_until is not null
        """,
        {"name": name, "seconds": CLAIM_SECONDS},
    )


def finish(conn: Connection, name: str, *, done: bool) -> None:
    """Give the claim back; a chore that is not done is free for anybody at once."""
    conn.execute(
        """
        update chores
        set claimed_until = null, done_at = case when %(done)s then clock_timestamp() else done_at end
        where name = %(name)s
        """,
        {"name": name, "done": done},
    )
