"""Leases: who may write for a source. All times are the database's; the epoch is the proof.

A holder renews its lease; whoever takes over raises the epoch, and from then on every transaction of the former
holder ends at the fence.
"""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from kasparro import errors
from kasparro.model import Lease
from kasparro.store import db
from kasparro.store.db import Connection

# The share of a lease that one wait may take: below 1, so that a stuck transaction ends before the lease does. A lock
# is waited for a little less long than a statement may take, so that it is the lock's error that is seen.
_LOCK_SHARE = 0.7
_WAIT_SHARE = 0.8


@frozen(kw_only=True)
class LeaseState:
    """A lease as it stands, locked, with the database's time of that moment."""

    epoch: int
    holder: str | None
    run_id: int | None
    lease_until: datetime | None
    now: datetime

    @property
    def seconds_left(self) -> float:
        """How long the holder may still write; 0 for a free or expired lease."""
        if self.lease_until is None:
            return 0.0
        return max((self.lease_until - self.now).total_seconds(), 0.0)


def lock(conn: Connection, key: str) -> LeaseState:
    """Lock the lease row of `key` until the transaction ends, making it first where it is new."""
    conn.execute("insert into leases (key) values (%(key)s) on conflict (key) do nothing", {"key": key})
    epoch, holder, run_id, lease_until = db.one(
        conn.execute(
            """
            select epoch, holder, run_id, lease_until
            from leases
            where key = %(key)s
            for update
            """,
            {"key": key},
        )
    )
    # In a statement of its own: the one above may have waited for its lock, and its time would be that of its start.
    (now,) = db.one(conn.execute("select clock_timestamp()"))
    return LeaseState(epoch=epoch, holder=holder, run_id=run_id, lease_until=lease_until, now=now)


def list_dead_slices(conn: Connection, sources: Sequence[str]) -> list[str]:
    """The leases of parts of sources that ran out while a run held them: its process died, or slept past them."""
    rows = conn.execute(
        """
        select key
        from leases
        where run_id is not null
        and lease_until < clock_timestamp()
        and strpos(key, '/') > 0
        and split_part(key, '/', 1) = any(%(sources)s)
        order by key
        """,
        {"sources": list(sources)},
    ).fetchall()
    return [row[0] for row in rows]


def take(conn: Connection, lease: Lease, *, lease_seconds: float) -> None:
    """Make `lease` the holder's, with its epoch. The row must be locked by `lock` in this transaction."""
    conn.execute(
        """
        update leases
        set
            epoch = %(epoch)s,
            holder = %(holder)s,
            run_id = %(run_id)s,
            lease_until = clock_timestamp() + %(seconds)s * interval '1 second'
        where key = %(key)s
        """,
        {
            "key": lease.key,
            "epoch": lease.epoch,
            "holder": lease.holder,
            "run_id": lease.run_id,
            "seconds": lease_seconds,
        },
    )


def fence(conn: Connection, lease: Lease) -> None:
    """Lock the lease row for this transaction. Raises LeaseLostError when it is no longer ours."""
    found = conn.execute(
        """
        select 1
        from leases
        where key = %(key)s
        and epoch = %(epoch)s
        for update
        """,
        {"key": lease.key, "epoch": lease.epoch},
    ).fetchone()
    if found is None:
        raise errors.LeaseLostError(f"{lease.key}: the lease of epoch {lease.epoch} was taken over")


def renew(conn: Connection, lease: Lease, *, lease_seconds: float) -> None:
    """Extend the lease from now. Raises LeaseLostError when it is no longer ours."""
    renewed = conn.execute(
        """
        update leases
        set lease_until = clock_timestamp() + %(seconds)s * interval '1 second'
        where key = %(key)s
        and epoch = %(epoch)s
        """,
        {"key": lease.key, "epoch": lease.epoch, "seconds": lease_seconds},
    ).rowcount
    if renewed == 0:
        raise errors.LeaseLostError(f"{lease.key}: the lease of epoch {lease.epoch} was taken over")


def release(conn: Connection, lease: Lease) -> None:
    """Give the lease back. The epoch rises, so that a forgotten thread of this holder is fenced off too."""
    conn.execute(
        """
        update leases
        set epoch = epoch + 1, holder = null, run_id = null, lease_until = null
        where key = %(key)s
        and epoch = %(epoch)s
        """,
        {"key": lease.key, "epoch": lease.epoch},
    )


def limit_waits(conn: Connection, *, lease_seconds: float) -> None:
    """Let this transaction neither wait nor idle for long: a stopped process must not outlive its lease in one."""
    conn.execute(
        """
        select
            set_config('lock_timeout', %(lock)s, true),
            set_config('statement_timeout', %(wait)s, true),
            set_config('idle_in_transaction_session_timeout', %(wait)s, true)
        """,
        {
            "lock": f"{int(lease_seconds * 1000 * _LOCK_SHARE)}ms",
            "wait": f"{int(lease_seconds * 1000 * _WAIT_SHARE)}ms",
        },
    )


def limit_statements(conn: Connection, *, seconds: float) -> None:
    """Let no statement of this transaction, or of the savepoint around this, take longer from here on."""
    conn.execute("select set_config('statement_timeout', %(wait)s, true)", {"wait": f"{int(seconds * 1000)}ms"})
