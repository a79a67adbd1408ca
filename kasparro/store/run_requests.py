"""Runs that a client asks for: queued once, however often and by however many the request arrives."""

from enum import Enum

from attrs import frozen

from kasparro import __version__
from kasparro.store import db


class Outcome(Enum):
    """What became of a request for a run."""

    QUEUED = "queued"
    REPEATED = "repeated"
    KEY_REUSED = "key_reused"
    LIVE = "live"


@frozen(kw_only=True)
class Answer:
    """The outcome, and the run that it is about: the new one, the one of the same key, or the live one."""

    outcome: Outcome
    run_id: int


def insert_queued(
    conn: db.Connection, *, source: str, config_fingerprint: str, idempotency_key: str | None
) -> Answer | None:
    """Queue a run of `source`, unless its key was used before or a run of the source is queued or running.

    None: the run that stood in the way has ended meanwhile, so ask again in a new transaction. Two who ask at once are
    told apart by the unique indexes on runs: the second waits for the first to commit.
    """
    row = conn.execute(
        """
        insert into runs (source, trigger, status, idempotency_key, code_version, config_fingerprint)
        values (%(source)s, 'api', 'queued', %(key)s, %(code_version)s, %(config_fingerprint)s)
        on conflict do nothing
        returning id
        """,
        {
            "source": source,
            "key": idempotency_key,
            "code_version": __version__,
            "config_fingerprint": config_fingerprint,
        },
    ).fetchone()
    if row is not None:
        return Answer(outcome=Outcome.QUEUED, run_id=row[0])
    return _find_by_key(conn, source, idempotency_key) or _find_live(conn, source)


def _find_by_key(conn: db.Connection, source: str, key: str | None) -> Answer | None:
    row = conn.execute("select id, source from runs where idempotency_key = %(key)s", {"key": key}).fetchone()
    if row is None:
        return None
    outcome = Outcome.REPEATED if row[1] == source else Outcome.KEY_REUSED
    return Answer(outcome=outcome, run_id=row[0])


def _find_live(conn: db.Connection, source: str) -> Answer | None:
    row = conn.execute(
        """
        select id
        from runs
        where source = %(source)s
        and slice = ''
        and status in ('queued', 'running')
        """,
        {"source": source},
    ).fetchone()
    return None if row is None else Answer(outcome=Outcome.LIVE, run_id=row[0])
