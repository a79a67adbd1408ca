"""Listings: what each source calls a thing, and which asset it belongs to."""

from collections.abc import Sequence
from datetime import datetime

from psycopg import sql

from kasparro.model import Listing, Match, MatchListing
from kasparro.store.db import Connection


def insert_staged(conn: Connection, *, source: str) -> None:
    """Insert the batch's new listings in key order, each with an asset of its own until it is matched.

    Each is called as its first record says, until rename_settled.
    The symbol's row in symbols_to_match is written even where it exists: that makes a matching that is just taking it
    off the list wait until these listings can be seen.
    """
    conn.execute(
        """
        with fresh as (
            select distinct on (b.external_id) b.external_id, b.symbol, b.name, b.symbol_key
            from batch b
            where b.code is null
            and not exists (
                select from listings l where l.source = %(source)s and l.external_id = b.external_id
            )
            order by b.external_id, b.seq
        ),
        owned as (
            insert into assets (slug, symbol, name)
            select %(source)s || ':' || external_id, symbol, name
            from fresh
            order by external_id
            returning id, slug
        ),
        noted as (
            insert into symbols_to_match (source, symbol_key)
            select distinct %(source)s, symbol_key
            from fresh
            order by symbol_key
            on conflict (source, symbol_key) do update
            set symbol_key = excluded.symbol_key
        )
        insert into listings (source, external_id, symbol, name, symbol_key, asset_id)
        select %(source)s, f.external_id, f.symbol, f.name, f.symbol_key, o.id
        from fresh f
        join owned o on o.slug = %(source)s || ':' || f.external_id
        order by f.external_id
        """,
        {"source": source},
    )


def rename_settled(conn: Connection, *, source: str, ceiling: datetime) -> None:
    """Call listings as their newest records say, of those for one time the last one: wherever batches end.

    Also where these contradict others: also_said remembers them, as latest_quotes does others, and staged ones that are
    replayed are rejected by now. Future-dated ones do not count.
    """
    query = sql.SQL(
        """
        with newest as (
            select distinct on (listing_id) listing_id, observed_at, said_at, symbol, name, symbol_key
            from (
                select listing_id, observed_at, said_at, symbol, name, symbol_key
                from settled
                where wins
                and not yields
                union all
                select
                    (select id from listings where source = %(source)s and external_id = b.external_id),
                    b.observed_at,
                    {seen_b},
                    b.symbol, b.name, b.symbol_key
                from batch b
                where b.code = 'ambiguous_key'
            ) s
            where observed_at <= %(ceiling)s
            order by listing_id, observed_at desc, said_at desc
        ),
        changed as (
            select n.*, l.symbol_key as old_symbol_key
            from newest n
            join listings l on l.id = n.listing_id
            where (l.symbol, l.name) is distinct from (n.symbol, n.name)
            and not exists (
                select
                from latest_quotes t
                join quotes q on q.listing_id = t.listing_id and q.observed_at = t.observed_at
                where t.listing_id = n.listing_id
                and (t.observed_at, coalesce({seen_q}, q.ingested_at)) > (n.observed_at, n.said_at)
            )
            and not exists (
                select
                from also_said x
                where x.listing_id = n.listing_id
                and x.observed_at <= %(ceiling)s
                and (x.observed_at, coalesce({seen_x}, x.said_at)) > (n.observed_at, n.said_at)
            )
        ),
        noted as (
            insert into symbols_to_match (source, symbol_key)
            select %(source)s, symbol_key
            from (select symbol_key from changed union select old_symbol_key from changed) keys
            order by symbol_key
            on conflict (source, symbol_key) do update
            set symbol_key = excluded.symbol_key
        )
        update listings l
        set symbol = c.symbol, name = c.name, symbol_key = c.symbol_key
        from changed c
        where l.id = c.listing_id
        """
    ).format(seen_b=_seen("b"), seen_q=_seen("q"), seen_x=_seen("x"))
    conn.execute(query, {"source": source, "ceiling": ceiling})


def _seen(alias: str) -> sql.Composed:
    """When the record of a row was last seen, found by an index before there are statistics, too."""
    return sql.SQL(
        "(select last_seen_at from raw_records where source = %(source)s and content_hash = {}.content_hash)"
    ).format(sql.Identifier(alias))


def list_top(conn: Connection, source: str, *, limit: int | None) -> list[Listing]:
    """The listings of a source by the rank of their latest quotes, then by market value; those without come last."""
    rows = conn.execute(
        """
        select l.external_id, l.symbol, l.name
        from listings l
        left join latest_quotes n on n.listing_id = l.id
        left join quotes q on q.listing_id = n.listing_id and q.observed_at = n.observed_at
        where l.source = %(source)s
        order by q.rank nulls last, q.market_cap_usd desc nulls last, l.external_id
        limit %(limit)s
        """,
        {"source": source, "limit": limit},
    ).fetchall()
    return [Listing(external_id=external_id, symbol=symbol, name=name) for external_id, symbol, name in rows]


def list_named(conn: Connection, source: str, external_ids: Sequence[str]) -> list[Listing]:
    """The listings of a source with these ids, as far as there are any, by id."""
    rows = conn.execute(
        """
        select external_id, symbol, name
        from listings
        where source = %(source)s
        and external_id = any(%(external_ids)s)
        order by external_id
        """,
        {"source": source, "external_ids": list(external_ids)},
    ).fetchall()
    return [Listing(external_id=external_id, symbol=symbol, name=name) for external_id, symbol, name in rows]


def lock_matching(conn: Connection) -> None:
    """One matching at a time, until the transaction ends."""
    # Any constant that nothing else locks; the digits of pi are easy to tell apart in pg_locks.
    conn.execute("select pg_advisory_xact_lock(314159265)")


def take_symbols(conn: Connection, *, limit: int) -> list[str]:
    """Take symbol groups that changed off the list of what is to be matched, in order; empty when none is left."""
    rows = conn.execute(
        """
        with taken as (
            delete from symbols_to_match
            where (source, symbol_key) in (
                select source, symbol_key
                from symbols_to_match
                order by symbol_key, source
                limit %(limit)s
                for update
            )
            returning symbol_key
        )
        select distinct symbol_key
        from taken
        order by symbol_key
        """,
        {"limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def list_by_symbols(conn: Connection, symbol_keys: Sequence[str]) -> list[MatchListing]:
    """Every listing of these symbol groups, of all sources, by source and external_id."""
    rows = conn.execute(
        """
        select l.id, l.source, l.external_id, l.symbol, l.name, l.asset_id, l.superseded_by
        from listings l
        where l.symbol_key = any(%(symbol_keys)s)
        order by l.source, l.external_id
        """,
        {"symbol_keys": list(symbol_keys)},
    ).fetchall()
    return [
        MatchListing(
            id=id_,
            source=source,
            external_id=external_id,
            symbol=symbol,
            name=name,
            asset_id=asset_id,
            superseded_by=drift_id,
        )
        for id_, source, external_id, symbol, name, asset_id, drift_id in rows
    ]


def write_matches(conn: Connection, matches: Sequence[Match]) -> None:
    """Give each listing its asset, making assets that are new and removing those that nothing belongs to any more."""
    conn.execute(
        """
        create temporary table matched (
            listing_id bigint not null,
            slug text not null,
            symbol text not null,
            name text not null,
            method text not null,
            confidence numeric not null
        ) on commit drop
        """
    )
    with (
        conn.cursor() as cursor,
        cursor.copy("copy matched (listing_id, slug, symbol, name, method, confidence) from stdin") as copy,
    ):
        for match in matches:
            copy.write_row((match.listing_id, match.slug, match.symbol, match.name, match.method, match.confidence))
    conn.execute(
        """
        insert into assets (slug, symbol, name)
        select distinct on (m.slug) m.slug, m.symbol, m.name
        from matched m
        order by m.slug, m.listing_id
        on conflict (slug) do update
        set symbol = excluded.symbol, name = excluded.name
        where (assets.symbol, assets.name) is distinct from (excluded.symbol, excluded.name)
        """
    )
    conn.execute(
        """
        create temporary table former on commit drop as
        select distinct l.asset_id
        from matched m
        join listings l on l.id = m.listing_id
        """
    )
    conn.execute(
        """
        update listings l
        set asset_id = a.id, match_method = m.method, match_confidence = m.confidence
        from matched m
        join assets a on a.slug = m.slug
        where l.id = m.listing_id
        and (l.asset_id, l.match_method, l.match_confidence) is distinct from (a.id, m.method, m.confidence)
        """
    )
    conn.execute(
        """
        delete from assets a
        where a.id in (select asset_id from former)
        and not exists (select from listings l where l.asset_id = a.id)
        """
    )
