"""Runs: how they begin, and what is counted of them while they go on; how they end is run_endings.py."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict, fields_dict, frozen
from psycopg.types.json import Jsonb

from kasparro import __version__
from kasparro.model import Run, RunStatus, Trigger
from kasparro.store import checkpoints, db
from kasparro.store.db import Connection
from kasparro.tallies import Counts, Traffic


@frozen(kw_only=True)
class NewRun:
    """A run about to start."""

    source: str
    slice: str
    trigger: Trigger
    config_fingerprint: str
    epoch: int
    holder: str


def start(conn: Connection, new: NewRun) -> Run:
    """Start the source's queued run, or one of its own where none is queued; linked to the run that it resumes."""
    resumed_from = _find_interrupted(conn, new.source, new.slice)
    values = {
        "source": new.source,
        "slice": new.slice,
        "trigger": new.trigger.value,
        "code_version": __version__,
        "config_fingerprint": new.config_fingerprint,
        "epoch": new.epoch,
        "holder": new.holder,
        "resumed_from": resumed_from,
        "checkpoint": Jsonb(checkpoints.summary(conn, new.source, new.slice)),
    }
    row = conn.execute(
        """
        update runs
        set
            status = 'running', epoch = %(epoch)s, holder = %(holder)s, started_at = clock_timestamp(),
            code_version = %(code_version)s, config_fingerprint = %(config_fingerprint)s,
            resumed_from = %(resumed_from)s, checkpoint_before = %(checkpoint)s
        where source = %(source)s
        and slice = %(slice)s
        and status = 'queued'
        returning id, trigger, started_at
        """,
        values,
    ).fetchone()
    if row is None:
        row = db.one(
            conn.execute(
                """
                insert into runs (
                    source, slice, trigger, status, code_version, config_fingerprint, epoch, holder, started_at,
                    resumed_from, checkpoint_before
                )
                values (
                    %(source)s, %(slice)s, %(trigger)s, 'running', %(code_version)s, %(config_fingerprint)s, %(epoch)s,
                    %(holder)s, clock_timestamp(), %(resumed_from)s, %(checkpoint)s
                )
                returning id, trigger, started_at
                """,
                values,
            )
        )
    id_, trigger, started_at = row
    return Run(
        id=id_,
        source=new.source,
        slice=new.slice,
        status=RunStatus.RUNNING,
        trigger=Trigger(trigger),
        started_at=started_at,
        resumed_from=resumed_from,
    )


def count_up(conn: Connection, run_id: int, counts: Counts, traffic: Traffic, *, batches: int) -> None:
    """Add what `batches` batches did to their run."""
    conn.execute(
        """
        update runs
        set
            batches = batches + %(batches)s,
            records_read = records_read + %(read)s,
            inserted = inserted + %(inserted)s,
            updated = updated + %(updated)s,
            unchanged = unchanged + %(unchanged)s,
            duplicate = duplicate + %(duplicate)s,
            rejected = rejected + %(rejected)s,
            rejected_expected = rejected_expected + %(rejected_expected)s,
            raw_inserted = raw_inserted + %(raw_inserted)s,
            future_dated = future_dated + %(future_dated)s,
            removed = removed + %(removed)s,
            requests = requests + %(requests)s,
            retries = retries + %(retries)s,
            throttled = throttled + %(throttled)s,
            throttled_seconds = throttled_seconds + %(throttled_seconds)s,
            bytes_read = bytes_read + %(bytes_read)s,
            request_seconds = request_seconds + %(request_seconds)s
        where id = %(run_id)s
        """,
        {"run_id": run_id, "batches": batches, **asdict(counts), **asdict(traffic)},
    )


def note_fields(conn: Connection, run_id: int, profile: Mapping[str, Any], *, fingerprint: str) -> None:
    """Keep what a run saw of its source's fields."""
    conn.execute(
        """
        update runs
        set profile = %(profile)s, schema_fingerprint = %(fingerprint)s
        where id = %(run_id)s
        """,
        {"run_id": run_id, "profile": Jsonb(profile), "fingerprint": fingerprint},
    )


def count_batches(conn: Connection, run_id: int) -> int:
    """How many batches of a run are committed: what a batch asks that never heard whether its commit arrived."""
    (batches,) = db.one(conn.execute("select batches from runs where id = %(id)s", {"id": run_id}))
    return int(batches)


def get_tallies(conn: Connection, run_id: int) -> tuple[Counts, Traffic]:
    """What a run is counted for."""
    row = db.one(
        conn.execute(
            """
            select
                records_read, inserted, updated, unchanged, duplicate, rejected, rejected_expected, raw_inserted,
                future_dated, removed, requests, retries, throttled, throttled_seconds, bytes_read, request_seconds
            from runs
            where id = %(id)s
            """,
            {"id": run_id},
        )
    )
    names = (*fields_dict(Counts), *fields_dict(Traffic))
    values = dict(zip(names, row, strict=True))
    return (
        Counts(**{name: values[name] for name in fields_dict(Counts)}),
        Traffic(**{name: values[name] for name in fields_dict(Traffic)}),
    )


def _find_interrupted(conn: Connection, source: str, slice_name: str) -> int | None:
    """The last finished run of this kind, if it ended before its work did."""
    row: tuple[Any, ...] | None = conn.execute(
        """
        select id, status
        from runs
        where source = %(source)s
        and slice = %(slice)s
        and status not in ('queued', 'running')
        order by -id
        limit 1
        """,
        {"source": source, "slice": slice_name},
    ).fetchone()
    return row[0] if row is not None and row[1] in ("crashed", "interrupted") else None
