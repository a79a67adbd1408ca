"""What is known of the listings that records are about? Asked before the records are loaded, to compare them with."""

from collections.abc import Collection, Sequence

from kasparro.fields import Earlier, KnownListing
from kasparro.model import REPLAY, Normalised
from kasparro.store.db import Connection

# Quotes next to a time that may be of the record's own file, or loaded since a drift was seen, before another one is
# looked for no further: of a page, each of a hundred listings may have so many.
_LATER = 1000


def find(conn: Connection, source: str, items: Sequence[Normalised], earlier: Earlier) -> list[KnownListing | None]:
    """What is known of the listing of each record, with its quote nearest in time, of the `earlier` ones.

    Every `limit 1` makes Postgres look that row up: without statistics it would read all quotes instead. What a run
    loads itself never counts: whether it is there already depends on how far loading lags behind reading.
    """
    rows = conn.execute(
        """
        with own as (
            select
                array(
                    select v.id
                    from file_versions v
                    where v.source = %(source)s
                    and v.slice = any(%(files)s)
                ) as versions,
                array(
                    select r.id
                    from runs r
                    where r.source = %(source)s
                    and r.slice = %(replay)s
                    and r.started_at > %(replayed_at)s::timestamptz
                ) as replays
        )
        select l.symbol_key, l.name, n.observed_at, q.observed_at, q.price_usd, q.market_cap_usd, q.volume_24h_usd
        from unnest(%(external_ids)s::text[], %(times)s::timestamptz[]) with ordinality as w (external_id, at, number)
        cross join own
        left join lateral (
            select k.id, k.symbol_key, k.name
            from listings k
            where k.source = %(source)s
            and k.external_id = w.external_id
            and k.first_seen_at <= coalesce(%(seen_at)s::timestamptz, 'infinity')
            limit 1
        ) l on true
        left join latest_quotes n on n.listing_id = l.id
        left join lateral (
            select *
            from (
                (
                    select e.*
                    from (
                        select observed_at, price_usd, market_cap_usd, volume_24h_usd, run_id, file_version
                        from quotes
                        where listing_id = l.id
                        and observed_at <= least(w.at, %(seen_at)s::timestamptz)
                        and observed_at >= w.at - %(within)s
                        order by observed_at desc
                        limit %(limit)s
                    ) e
                    where (e.run_id < %(run_id)s or e.run_id = any(own.replays))
                    and coalesce(e.file_version, 0) <> all(own.versions)
                    order by e.observed_at desc
                    limit 1
                )
                union all
                (
                    select e.*
                    from (
                        select observed_at, price_usd, market_cap_usd, volume_24h_usd, run_id, file_version
                        from quotes
                        where listing_id = l.id
                        and observed_at > w.at
                        and observed_at <= least(w.at + %(within)s, %(seen_at)s::timestamptz)
                        order by observed_at
                        limit %(limit)s
                    ) e
                    where (e.run_id < %(run_id)s or e.run_id = any(own.replays))
                    and coalesce(e.file_version, 0) <> all(own.versions)
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
            "files": list(earlier.files),
            "seen_at": earlier.seen_at,
            "within": earlier.within,
            "run_id": earlier.run_id,
            "replay": REPLAY,
            "replayed_at": earlier.replayed_at,
            "limit": _LATER,
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


def find_names(conn: Connection, source: str, symbol_keys: Collection[str]) -> list[tuple[str, str, str]]:
    """The symbols, folded, names and newest ids of the source's listings that have one of these symbols."""
    rows = conn.execute(
        """
        select distinct on (symbol_key, name) symbol_key, name, external_id
        from listings
        where source = %(source)s
        and symbol_key = any(%(symbol_keys)s)
        order by symbol_key, name, id desc
        """,
        {"source": source, "symbol_keys": list(symbol_keys)},
    )
    return rows.fetchall()
