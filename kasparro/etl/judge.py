"""Stage: judge a run that has ended, in the transaction that writes its end. What counts as odd is anomaly.py's say."""

import logging

from kasparro import errors
from kasparro.etl import anomaly, seen
from kasparro.etl.anomaly import Case, Past
from kasparro.etl.job import Job
from kasparro.model import LIVE, Anomaly, Reading, RunStatus
from kasparro.store import anomalies, db, leases, measures, rosters
from kasparro.store.db import Connection
from kasparro.store.measures import Facts
from kasparro.tallies import Counts

logger = logging.getLogger(__name__)

# Statuses of runs that did what they were to do, perhaps but for some records.
_WHOLE = frozenset({RunStatus.SUCCEEDED, RunStatus.PARTIAL})
# The share of a lease that one statement may take: less than a wait for a lock, which is somebody else's bad luck.
_LEASE_SHARE = 0.3
# Listings whose price moves are looked at: enough for a median, and some milliseconds of index look-ups.
_PRICE_SAMPLE = 500
# Vanished listings that are named.
_NAMED = 3


def judge(conn: Connection, job: Job, *, status: RunStatus, counts: Counts, lease_seconds: float) -> list[Anomaly]:
    """Measure the run and write the verdicts on it; its end must stand in the same transaction.

    Runs that failed say so themselves; replays and backfills are like no other run: neither is judged. A run that
    cannot be judged, or not in time, ends all the same.
    """
    if job.run.slice != LIVE or status not in _WHOLE:
        return []
    try:
        with db.savepoint(conn):
            leases.limit_statements(conn, seconds=lease_seconds * _LEASE_SHARE)
            return _judge(conn, job, counts)
    except errors.DatabaseError as ex:
        if ex.retryable and ex.code != "query_timeout":
            raise
        logger.error("run not judged", extra={"code": ex.code, "error": ex.message})
        return []
    except errors.KasparroError:
        raise
    except Exception:
        # A mistake of ours in a verdict must not leave a run without its end.
        logger.exception("run not judged")
        return []


def _judge(conn: Connection, job: Job, counts: Counts) -> list[Anomaly]:
    run_id, source = job.run.id, job.source
    facts = measures.get_facts(conn, run_id)
    reading = _reading(job, facts, counts)
    details: dict[str, str] = {}
    measured = _measure(job, facts, counts)
    if source.reads_all and reading in (Reading.FULL, Reading.FIRST):
        vanished = rosters.replace(conn, source.name, job.seen.external_ids, run_id=run_id)
        if vanished is not None:
            measured["vanished_listings"] = len(vanished)
            names = sorted(vanished)[:_NAMED] + (["..."] if len(vanished) > _NAMED else [])
            details["vanished_listings"] = f": {' '.join(names)}"
        details["pages"] = f"; page {job.seen.pages} had {job.seen.last_page_records} records"
    if reading in (Reading.FULL, Reading.TAIL):
        measured["new_listings"] = measures.count_new_listings(conn, run_id)
    if reading is Reading.FULL:
        ids = sorted(job.seen.external_ids)
        sample = ids[:: max(len(ids) // _PRICE_SAMPLE, 1)]
        move = measures.median_price_move(conn, source.name, run_id, sample)
        measured |= {} if move is None else {"price_move_pct": move}
    case = Case(
        reading=reading,
        measures=measured,
        min_records=source.least_records,
        freshness_seconds=source.freshness_seconds,
        details=details,
    )
    history = measures.list_history(conn, job.run, reading)
    past = [Past(measures=known, flagged=flagged) for known, flagged in history]
    found = anomaly.judge(case, past)
    measures.note(conn, run_id, reading, {name: round(value, 6) for name, value in measured.items()})
    anomalies.insert(conn, source.name, run_id, found)
    return found


def _reading(job: Job, facts: Facts, counts: Counts) -> Reading:
    whole = job.source.reads_all
    changed = facts.moved or counts.inserted + counts.updated > 0
    return anomaly.read_as(
        whole=whole,
        unchanged=job.seen.unchanged if whole else not changed,
        known=facts.known,
        interrupted=facts.interrupted,
    )


def _measure(job: Job, facts: Facts, counts: Counts) -> dict[str, float]:
    """What the run itself and its counts tell."""
    saw = job.seen
    # An upstream may be asked more often than it has something new: that is no loss, and no measure of the usual.
    all_known = counts.unchanged > 0 and counts.inserted + counts.updated == 0
    found: dict[str, float | None] = {
        "records": counts.read,
        "inserted": None if all_known else counts.inserted,
        "rejected_share": counts.rejected / counts.read if counts.read else None,
        "duration_seconds": facts.seconds,
        "pages": saw.pages if job.source.paging is not None else None,
        "gap_seconds": facts.gap_seconds,
        "data_age_seconds": facts.age_seconds,
    }
    if saw.quotes:
        for name in seen.OPTIONAL_FIELDS:
            if name in job.source.fields:
                found[anomaly.null_share(name)] = saw.absent[name] / saw.quotes
    return {name: value for name, value in found.items() if value is not None}
