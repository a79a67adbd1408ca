"""Which rows of one file contradict each other? Rows of one listing and time that differ: none of them gives a quote.

It does not matter how they come: in one batch, in several, or by growth. The quote that an earlier row gave is taken
away again and its record rejected like the others; open rejections remember the key for rows that are still to come.
"""

from datetime import datetime

from attrs import frozen

from kasparro.store import db, replays
from kasparro.store.db import Connection

CODE = "ambiguous_key"


@frozen(kw_only=True)
class Rule:
    """What counts as a contradiction. Without `reject` nothing does: the last row counts.

    What an older version of the file said, before `since`, contradicts nothing.
    """

    reject: bool
    since: datetime | None = None


def reject_staged(conn: Connection, rule: Rule, *, source: str, slice_name: str, run_id: int, ceiling: datetime) -> int:
    """Reject what the settled batch and its file contradict themselves in; how many quotes that took away."""
    params = {
        "source": source,
        "slice": slice_name,
        "run_id": run_id,
        "code": CODE,
        "since": rule.since,
    }
    differs, remembered = _look(conn, params)
    removed = 0
    if rule.reject and (differs or remembered) and _contest(conn, params):
        _reject(conn, params)
        removed = _overrule(conn, params, ceiling)
    if remembered:
        _resolve(conn, params)
    return removed


def _look(conn: Connection, params: dict[str, object]) -> tuple[bool, bool]:
    """Whether any row of the batch could contradict another one, and whether keys are known to be ambiguous."""
    differs, remembered = db.one(
        conn.execute(
            """
            select
                exists (select from settled where not wins or outcome = 'updated'),
                exists (
                    select from rejections where source = %(source)s and code = %(code)s and resolved_at is null
                )
            """,
            params,
        )
    )
    return bool(differs), bool(remembered)


def _contest(conn: Connection, params: dict[str, object]) -> int:
    """Create the temporary table `contested` of the keys that are contradicted; how many they are."""
    conn.execute(
        """
        create temporary table known on commit drop as
        select
            s.seq, s.listing_id, s.observed_at, s.outcome, b.external_id,
            'several rows of the file differ for ' ||
                to_char(s.observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as message
        from settled s
        join batch b on b.seq = s.seq
        """
    )
    return conn.execute(
        """
        create temporary table contested on commit drop as
        select s.listing_id, s.observed_at
        from settled s
        group by s.listing_id, s.observed_at
        having count(distinct (
            s.price_usd, s.market_cap_usd, s.volume_24h_usd, s.change_24h_pct, s.rank, s.circulating_supply
        )) > 1
        union
        select k.listing_id, k.observed_at
        from known k
        join quotes q on q.listing_id = k.listing_id and q.observed_at = k.observed_at
        left join raw_records r on r.source = %(source)s and r.content_hash = q.content_hash
        where k.outcome = 'updated'
        and coalesce(q.file, r.slice) = %(slice)s
        and q.ingested_at >= coalesce(%(since)s::timestamptz, '-infinity')
        union
        select k.listing_id, k.observed_at
        from known k
        join rejections j on j.external_id = k.external_id and j.message = k.message
        where j.source = %(source)s
        and j.code = %(code)s
        and j.resolved_at is null
        and j.slice = %(slice)s
        and j.last_seen_at >= coalesce(%(since)s::timestamptz, '-infinity')
        """,
        params,
    ).rowcount


def _reject(conn: Connection, params: dict[str, object]) -> None:
    conn.execute(
        """
        update batch b
        set stage = 'read', code = %(code)s, field = 'observed_at', message = k.message, expected = false
        from known k
        join contested c on c.listing_id = k.listing_id and c.observed_at = k.observed_at
        where b.seq = k.seq
        """,
        params,
    )
    conn.execute(
        """
        delete from settled s
        using contested c
        where s.listing_id = c.listing_id
        and s.observed_at = c.observed_at
        """
    )


def _overrule(conn: Connection, params: dict[str, object], ceiling: datetime) -> int:
    """Reject the records that this file's quotes of contested keys came from, and take these quotes away."""
    rows = conn.execute(
        """
        with overruled as (
            select q.listing_id, q.observed_at, q.content_hash, k.external_id, k.message
            from contested c
            join (select distinct listing_id, observed_at, external_id, message from known) k
                on k.listing_id = c.listing_id and k.observed_at = c.observed_at
            join quotes q on q.listing_id = c.listing_id and q.observed_at = c.observed_at
            left join raw_records r on r.source = %(source)s and r.content_hash = q.content_hash
            where coalesce(q.file, r.slice) = %(slice)s
        ),
        kept as (
            insert into rejections (
                source, slice, code, dedup_key, stage, field, message, external_id, content_hash, expected, run_id,
                first_seen_at, last_seen_at
            )
            select
                %(source)s, %(slice)s, %(code)s, o.content_hash::text, 'read', 'observed_at', o.message, o.external_id,
                o.content_hash, false, %(run_id)s, now(), now()
            from overruled o
            order by o.content_hash
            on conflict (source, code, dedup_key) do update
            set
                attempts = rejections.attempts + 1,
                message = excluded.message,
                run_id = excluded.run_id,
                last_seen_at = excluded.last_seen_at,
                resolved_at = null
        )
        select o.listing_id, o.observed_at, o.content_hash
        from overruled o
        order by o.listing_id, o.observed_at
        """,
        params,
    ).fetchall()
    if not rows:
        return 0
    listing_ids, times, hashes = (list(column) for column in zip(*rows, strict=True))
    return replays.remove_keys(conn, listing_ids=listing_ids, times=times, hashes=hashes, ceiling=ceiling)


def _resolve(conn: Connection, params: dict[str, object]) -> None:
    """A key that a row gives a quote of is no longer ambiguous: the file was mended, or the last row counts now."""
    conn.execute(
        """
        update rejections j
        set resolved_at = now()
        from settled s
        join batch b on b.seq = s.seq
        where j.source = %(source)s
        and j.code = %(code)s
        and j.resolved_at is null
        and j.slice = %(slice)s
        and j.external_id = b.external_id
        and j.message = 'several rows of the file differ for ' ||
            to_char(s.observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        """,
        params,
    )
