"""Injected faults: which ones fired. On a connection of its own, so that it is known whatever the fault destroys."""

import psycopg
from psycopg import sql

from kasparro.store import db, timestamps
from kasparro.store.db import Connection


def claim(conn: Connection, *, fault: str, times: int, run_id: int | None) -> bool:
    """Note that a fault fires now. False when it did so `times` times already; of two who ask at once one is too late.

    `conn` must commit by itself.
    """
    for _ in range(times):
        row = conn.execute(
            """
            insert into faults_fired (fault, firing, run_id)
            select %(fault)s, coalesce(max(f.firing), 0) + 1, %(run_id)s
            from faults_fired f
            where f.fault = %(fault)s
            having coalesce(max(f.firing), 0) < %(times)s
            on conflict (fault, firing) do nothing
            returning firing
            """,
            {"fault": fault, "times": times, "run_id": run_id},
        ).fetchone()
        if row is not None:
            return True
        (fired,) = db.one(conn.execute("select count(*) from faults_fired where fault = %(fault)s", {"fault": fault}))
        if fired >= times:
            return False
    return False


def terminate(conn: Connection, other: object) -> None:
    """End the backend of another connection, and wait until it is gone."""
    if not isinstance(other, psycopg.Connection):
        raise TypeError(f"must be a connection, got {type(other).__name__}")
    conn.execute("select pg_terminate_backend(%(pid)s, 5000)", {"pid": other.info.backend_pid})


def list_fired(conn: Connection) -> list[dict[str, object]]:
    """Every time that a fault fired, the latest first."""
    query = sql.SQL(
        """
        select f.fault, f.run_id, {fired_at}
        from faults_fired f
        order by f.fired_at desc, f.fault, f.firing desc
        limit 1000
        """
    ).format(fired_at=timestamps.rfc3339("f.fired_at"))
    return [{"fault": fault, "run_id": run_id, "fired_at": at} for fault, run_id, at in conn.execute(query).fetchall()]
