"""What runs are measured by: the facts about one that is ending, and the measures of those before it."""

from collections.abc import Mapping, Sequence

from attrs import frozen
from psycopg import sql
from psycopg.types.json import Jsonb

from kasparro.model import Reading, Run
from kasparro.store import checkpoints, db
from kasparro.store.db import Connection

# Runs before that are looked at: enough for a full history with many a flagged run in between.
_LOOKED_AT = 100
# Pairs of prices below which their median says nothing.
_MIN_PRICE_PAIRS = 20


@frozen(kw_only=True)
class Facts:
    """What the tables know of a run that has just ended.

    `seconds` it took, waits for its budget apart; `gap_seconds` since the start of the last run that changed quotes, or
    of the first one looked at; `age_seconds` of the newest data. `known`: the source had been read before; `moved`: a
    checkpoint did; `interrupted`: the run before did not get to its end.
    """

    seconds: float
    gap_seconds: float | None
    age_seconds: float | None
    known: bool
    moved: bool
    interrupted: bool


def get_facts(conn: Connection, run_id: int) -> Facts:
    """The facts about a run of what its source has now."""
    query = sql.SQL(
        """
        select
            greatest(extract(epoch from u.finished_at - u.started_at) - u.throttled_seconds, 0)::double precision,
            extract(epoch from u.started_at - q.started_at)::double precision,
            extract(epoch from u.finished_at - c.watermark)::double precision,
            coalesce((u.checkpoint_before ->> 'slices')::bigint, 0) > 0,
            u.checkpoint_before is distinct from u.checkpoint_after,
            coalesce(p.status not in ('succeeded', 'partial'), false)
        from runs u
        left join lateral (
            select r.status
            from runs r
            where r.source = u.source
            and r.slice = u.slice
            and -r.id > -u.id
            order by -r.id
            limit 1
        ) p on true
        cross join lateral (
            select coalesce(max(r.started_at) filter (where r.changed > 0), min(r.started_at)) as started_at
            from (
                select b.started_at, b.inserted + b.updated as changed
                from runs b
                where b.source = u.source
                and b.slice = u.slice
                and -b.id > -u.id
                order by -b.id
                limit %(looked_at)s
            ) r
        ) q
        cross join lateral (
            select max(k.watermark) as watermark
            from checkpoints k
            where k.source = u.source
            and {of_now}
        ) c
        where u.id = %(run_id)s
        """
    ).format(of_now=checkpoints.OF_NOW)
    row = db.one(conn.execute(query, {"run_id": run_id, "looked_at": _LOOKED_AT}))
    seconds, gap_seconds, age_seconds, known, moved, interrupted = row
    return Facts(
        seconds=seconds,
        gap_seconds=gap_seconds,
        age_seconds=age_seconds,
        known=known,
        moved=moved,
        interrupted=interrupted,
    )


def list_history(conn: Connection, run: Run, reading: Reading) -> list[tuple[Mapping[str, float], bool]]:
    """Measures of the runs before that read alike with its settings, newest first, and whether each was flagged.

    Only runs of what the source has now that succeeded, or did but for rejections, have measures.
    """
    return conn.execute(
        """
        select r.measures, exists (select from anomalies a where a.run_id = r.id)
        from runs r
        where r.source = %(source)s
        and r.reading = %(reading)s
        and r.config_fingerprint = (select u.config_fingerprint from runs u where u.id = %(run_id)s)
        and -r.id > -%(run_id)s::bigint
        order by -r.id
        limit %(limit)s
        """,
        {
            "source": run.source,
            "reading": reading.value,
            "run_id": run.id,
            "limit": _LOOKED_AT,
        },
    ).fetchall()


def count_new_listings(conn: Connection, run_id: int) -> int:
    """How many listings of its source were first seen since the run began."""
    (found,) = db.one(
        conn.execute(
            """
            select count(*)
            from runs u
            join listings l on l.source = u.source and l.first_seen_at >= u.started_at
            where u.id = %(run_id)s
            """,
            {"run_id": run_id},
        )
    )
    return int(found)


def median_price_move(conn: Connection, source: str, run_id: int, external_ids: Sequence[str]) -> float | None:
    """The median move, in percent of the lower price, from the quote before to the latest one, where this run wrote it.

    None where fewer than twenty of the listings have both. Every `limit 1` makes Postgres look that row up: without
    statistics it would read all quotes instead.
    """
    pairs, median = db.one(
        conn.execute(
            """
            select
                count(*),
                percentile_cont(0.5) within group (
                    order by (
                        greatest(q.price_usd, b.price_usd)::double precision
                        / least(q.price_usd, b.price_usd)::double precision - 1
                    ) * 100
                )
            from unnest(%(external_ids)s::text[]) as e (external_id)
            cross join lateral (
                select l.id
                from listings l
                where l.source = %(source)s
                and l.external_id = e.external_id
                limit 1
            ) l
            cross join lateral (
                select c.listing_id, c.observed_at, c.price_usd, c.run_id
                from latest_quotes t
                join quotes c on c.listing_id = t.listing_id and c.observed_at = t.observed_at
                where t.listing_id = l.id
                limit 1
            ) q
            cross join lateral (
                select p.price_usd
                from quotes p
                where p.listing_id = q.listing_id
                and p.observed_at < q.observed_at
                order by p.observed_at desc
                limit 1
            ) b
            where q.run_id = %(run_id)s
            """,
            {"external_ids": list(external_ids), "source": source, "run_id": run_id},
        )
    )
    return float(median) if pairs >= _MIN_PRICE_PAIRS else None


def note(conn: Connection, run_id: int, reading: Reading, measures: Mapping[str, float]) -> None:
    """Keep what a run read and what it is measured by, with its end."""
    conn.execute(
        """
        update runs
        set reading = %(reading)s, measures = %(measures)s
        where id = %(run_id)s
        """,
        {"run_id": run_id, "reading": reading.value, "measures": Jsonb(dict(measures))},
    )
