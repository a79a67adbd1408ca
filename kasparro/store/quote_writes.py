"""Writing quotes and which are the latest: those of a settled batch come, and those that are withdrawn go.

Where a file's quote goes, another file may have said something of the same key: that takes its place.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from attrs import frozen

from kasparro.store.db import Connection


@frozen(kw_only=True)
class Gone:
    """A quote that is to go: its key, the record that it shows and, of files, the version that said it.

    Without a record its key is only looked at.
    """

    listing_id: int
    observed_at: datetime
    content_hash: UUID | None = None
    file_version: int | None = None


def write_settled(conn: Connection, *, run_id: int) -> None:
    """Insert and change the quotes of the settled batch."""
    conn.execute(
        """
        insert into quotes (
            listing_id, observed_at, price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank,
            circulating_supply, content_hash, run_id, ingested_at, file_version
        )
        select
            s.listing_id, s.observed_at, s.price_usd, s.market_cap_usd, s.volume_24h_usd, s.change_24h_pct, s.rank,
            s.circulating_supply, s.content_hash, %(run_id)s, now(), s.file_version
        from settled s
        where s.wins
        and s.outcome = 'inserted'
        order by s.listing_id, s.observed_at
        """,
        {"run_id": run_id},
    )
    conn.execute(
        """
        update quotes q
        set
            price_usd = s.price_usd,
            market_cap_usd = s.market_cap_usd,
            volume_24h_usd = s.volume_24h_usd,
            change_24h_pct = s.change_24h_pct,
            rank = s.rank,
            circulating_supply = s.circulating_supply,
            content_hash = s.content_hash,
            run_id = %(run_id)s,
            ingested_at = now(),
            file_version = s.file_version
        from settled s
        where s.wins
        and s.outcome = 'updated'
        and q.listing_id = s.listing_id
        and q.observed_at = s.observed_at
        """,
        {"run_id": run_id},
    )


def move_latest(conn: Connection, source: str, *, ceiling: datetime) -> None:
    """An older observation never replaces a newer one, and a future-dated one is never the latest."""
    conn.execute(
        """
        insert into latest_quotes (listing_id, observed_at)
        select n.listing_id, n.observed_at
        from (
            select s.listing_id, max(s.observed_at) as observed_at
            from settled s
            where s.wins
            and s.observed_at <= %(ceiling)s
            group by s.listing_id
        ) n
        left join latest_quotes t on t.listing_id = n.listing_id
        where t.listing_id is null
        or t.observed_at < n.observed_at
        order by n.listing_id
        on conflict (listing_id) do update
        set observed_at = excluded.observed_at
        where latest_quotes.observed_at < excluded.observed_at
        """,
        {"ceiling": ceiling},
    )
    conn.execute(
        """
        insert into source_totals as t (source, newest_observed_at)
        select %(source)s, n.observed_at
        from (
            select max(s.observed_at) as observed_at
            from settled s
            where s.wins
            and s.observed_at <= %(ceiling)s
        ) n
        where n.observed_at is not null
        on conflict (source) do update
        set newest_observed_at = case
            when t.newest_observed_at is null then (
                select max(q.observed_at)
                from listings l
                join latest_quotes q on q.listing_id = l.id
                where l.source = t.source
            )
            else excluded.newest_observed_at
        end
        where t.newest_observed_at is null
        or t.newest_observed_at < excluded.newest_observed_at
        """,
        {"source": source, "ceiling": ceiling},
    )


def withdraw(conn: Connection, gone: Sequence[Gone], *, run_id: int, ceiling: datetime) -> int:
    """Delete these quotes, show what other files said of their keys, find the latest anew; how many keys have none now.

    One that shows another record by now stays. Its key is looked at all the same: what is said of one without a quote
    is shown.
    """
    keys = {
        "listing_ids": [each.listing_id for each in gone],
        "times": [each.observed_at for each in gone],
        "hashes": [each.content_hash for each in gone],
        "versions": [each.file_version for each in gone],
        "run_id": run_id,
        "ceiling": ceiling,
    }
    conn.execute(
        """
        select listing_id
        from latest_quotes
        where listing_id = any(%(listing_ids)s)
        order by listing_id
        for update
        """,
        keys,
    )
    deleted = conn.execute(
        """
        delete from quotes q
        using unnest(%(listing_ids)s::bigint[], %(times)s::timestamptz[], %(hashes)s::uuid[], %(versions)s::integer[])
            as g (listing_id, observed_at, content_hash, file_version)
        where q.listing_id = g.listing_id
        and q.observed_at = g.observed_at
        and q.content_hash = g.content_hash
        and q.file_version is not distinct from g.file_version
        returning q.listing_id, q.observed_at
        """,
        keys,
    ).fetchall()
    shown = _show(conn, keys)
    _find_latest(conn, keys)
    return len(set(deleted) - shown)


def _show(conn: Connection, keys: dict[str, object]) -> set[tuple[object, ...]]:
    """Of these keys those that have a quote now which had none: what was said of them last."""
    rows = conn.execute(
        """
        with best as (
            select distinct on (x.listing_id, x.observed_at) x.*
            from unnest(%(listing_ids)s::bigint[], %(times)s::timestamptz[]) as g (listing_id, observed_at)
            join also_said x on x.listing_id = g.listing_id and x.observed_at = g.observed_at
            where not x.contradicted
            and not exists (
                select from quotes q where q.listing_id = g.listing_id and q.observed_at = g.observed_at
            )
            order by x.listing_id, x.observed_at, x.said_at desc, x.file_version desc, x.content_hash desc
        ),
        shown as (
            insert into quotes (
                listing_id, observed_at, price_usd, market_cap_usd, volume_24h_usd, change_24h_pct, rank,
                circulating_supply, content_hash, run_id, ingested_at, file_version
            )
            select
                b.listing_id, b.observed_at, b.price_usd, b.market_cap_usd, b.volume_24h_usd, b.change_24h_pct, b.rank,
                b.circulating_supply, b.content_hash, %(run_id)s, now(), b.file_version
            from best b
            returning listing_id, observed_at
        ),
        seen as (
            update raw_records r
            set last_seen_at = now()
            from best b
            where r.source = b.source
            and r.content_hash = b.content_hash
        ),
        unsaid as (
            delete from also_said x
            using best b
            where x.source = b.source
            and x.slice = b.slice
            and x.listing_id = b.listing_id
            and x.observed_at = b.observed_at
            and x.content_hash = b.content_hash
        )
        select listing_id, observed_at
        from shown
        """,
        keys,
    ).fetchall()
    return set(rows)


def _find_latest(conn: Connection, keys: dict[str, object]) -> None:
    conn.execute(
        """
        with touched as (
            select g.listing_id, n.observed_at
            from (select distinct unnest(%(listing_ids)s::bigint[]) as listing_id) g
            left join lateral (
                select q.observed_at
                from quotes q
                where q.listing_id = g.listing_id
                and q.observed_at <= %(ceiling)s
                order by q.observed_at desc
                limit 1
            ) n on true
        ),
        emptied as (
            delete from latest_quotes t
            using touched n
            where t.listing_id = n.listing_id
            and n.observed_at is null
        )
        insert into latest_quotes (listing_id, observed_at)
        select n.listing_id, n.observed_at
        from touched n
        where n.observed_at is not null
        order by n.listing_id
        on conflict (listing_id) do update
        set observed_at = excluded.observed_at
        where latest_quotes.observed_at <> excluded.observed_at
        """,
        keys,
    )
    conn.execute(
        """
        update source_totals t
        set newest_observed_at = null
        from listings l
        where l.id = any(%(listing_ids)s)
        and t.source = l.source
        and t.newest_observed_at = any(%(times)s)
        """,
        keys,
    )
