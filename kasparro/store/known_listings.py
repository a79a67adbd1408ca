"""What is known of the listings that records are about? Asked before the records are loaded, to compare them with."""

from collections.abc import Collection, Sequence

from kasparro.fields import OpenDrift
from kasparro.model import KnownListing, Normalised
from kasparro.store.db import Connection


def find(
    conn: Connection, source: str, items: Sequence[Normalised], before: OpenDrift | None = None
) -> list[KnownListing | None]:
    """What is known of the listing of each record, with its quote nearest in time, from `before` that drift was seen.

    Every `limit 1` makes Postgres look that row up: without statistics it would read all quotes instead.
    """
    rows = conn.execute(
        """
        select l.symbol_key, l.name, n.observed_at, q.observed_at, q.price_usd, q.market_cap_usd, q.volume_24h_usd
        from unnest(%(external_ids)s::text[], %(times)s::timestamptz[]) with ordinality as w (external_id, at, number)
        left join lateral (
            select k.id, k.symbol_key, k.name
            from listings k
            where k.source = %(source)s
            and k.external_id = w.external_id
            limit 1
        ) l on true
        left join latest_quotes n on n.listing_id = l.id
        left join lateral (
            select *
            from (
                (
                    select e.observed_at, e.price_usd, e.market_cap_usd, e.volume_24h_usd
                    from quotes e
                    where e.listing_id = l.id
                    and e.observed_at <= least(w.at, %(seen_at)s::timestamptz)
                    and e.run_id < %(run_id)s
                    order by e.observed_at desc
                    limit 1
                )
                union all
                (
                    select e.observed_at, e.price_usd, e.market_cap_usd, e.volume_24h_usd
                    from quotes e
                    where e.listing_id = l.id
                    and e.observed_at > w.at
                    and e.observed_at <= coalesce(%(seen_at)s::timestamptz, 'infinity')
                    and e.run_id < %(run_id)s
                    order by e.observed_at
                    limit 1
                )
            ) both_sides
            order by greatest(observed_at - w.at, w.at - observed_at), observed_at
            limit 1
        ) q on true
        order by w.number
        """,
        {
            "source": source,
            "external_ids": [item.external_id for item in items],
            "times": [item.quote and item.quote.observed_at for item in items],
            "seen_at": before and before.first_seen_at,
            # Beyond all ids of runs.
            "run_id": before.first_run_id if before else 2**63 - 1,
        },
    )
    return [
        None
        if symbol_key is None
        else KnownListing(
            symbol_key=symbol_key,
            name=name,
            observed_at=observed_at,
            valued_at=valued_at,
            price_usd=price,
            market_cap_usd=cap,
            volume_24h_usd=volume,
        )
        for symbol_key, name, observed_at, valued_at, price, cap, volume in rows
    ]


def find_names(conn: Connection, source: str, symbol_keys: Collection[str]) -> list[tuple[str, str]]:
    """The symbols, folded, and names of the source's listings that have one of these symbols."""
    rows = conn.execute(
        """
        select distinct symbol_key, name
        from listings
        where source = %(source)s
        and symbol_key = any(%(symbol_keys)s)
        order by symbol_key, name
        """,
        {"source": source, "symbol_keys": list(symbol_keys)},
    )
    return rows.fetchall()
