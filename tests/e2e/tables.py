"""What two databases must have in common, whichever ids, runs and times there were: natural keys and values."""

from collections.abc import Iterable

import psycopg

# Name -> rows without what may differ.
TABLES = {
    "quotes": """
        select l.source, l.external_id, q.observed_at, q.price_usd, q.market_cap_usd, q.volume_24h_usd,
            q.change_24h_pct, q.rank, q.circulating_supply, q.content_hash
        from quotes q join listings l on l.id = q.listing_id
    """,
    "latest": """
        select l.source, l.external_id, n.observed_at
        from latest_quotes n join listings l on l.id = n.listing_id
    """,
    "raw": "select source, content_hash, slice, external_id, payload::text, constants::text from raw_records",
    "listings": """
        select l.source, l.external_id, l.symbol, l.name, l.match_method, a.slug, a.symbol, a.name
        from listings l join assets a on a.id = l.asset_id
    """,
    "checkpoints": "select source, slice, position, watermark, validators from checkpoints",
    "rejections": "select source, slice, code, dedup_key from rejections",
    "renames": "select source, path, renamed_to from field_renames",
    "drifts": "select source, slice, path, kind, renamed_to, action, status from drifts",
    "fields": "select source, slice, path from field_baselines, jsonb_object_keys(fields) as path",
    # What was written is counted once, however often it is read.
    "written": "select source, inserted, removed, raw_inserted from source_totals",
    # What only runs have that begin where the last one ended: a live list is read from its first page again.
    "attempts": "select source, slice, code, dedup_key, attempts from rejections",
    "totals": """
        select source, records_read, inserted, updated, unchanged, duplicate, rejected, raw_inserted from source_totals
    """,
}
DATA = tuple(name for name in TABLES if name not in ("attempts", "totals"))
# Name -> rows that must never be there.
NEVER = {
    "a run that does not add up": """
        select id from runs where records_read <> inserted + updated + unchanged + duplicate + rejected
    """,
    "a quote without its raw record": """
        select q.listing_id
        from quotes q join listings l on l.id = q.listing_id
        where not exists (select from raw_records r where r.source = l.source and r.content_hash = q.content_hash)
    """,
    "totals that are not the sum of the runs": """
        select t.source
        from source_totals t
        join (
            select source, sum(records_read) as read, sum(inserted) as inserted, sum(raw_inserted) as raw_inserted,
                sum(requests) as requests, sum(bytes_read) as bytes_read
            from runs
            group by source
        ) r on r.source = t.source
        where (t.records_read, t.inserted, t.raw_inserted, t.requests, t.bytes_read)
            <> (r.read, r.inserted, r.raw_inserted, r.requests, r.bytes_read)
    """,
    "quotes that nobody counted": """
        select 1
        where (select count(*) from quotes) <> (select sum(inserted - removed) from source_totals)
    """,
    "a latest quote that is not the newest": """
        select n.listing_id
        from latest_quotes n
        where exists (select from quotes q where q.listing_id = n.listing_id and q.observed_at > n.observed_at)
    """,
    "a live run that nobody holds": """
        select r.id
        from runs r
        where r.status = 'running'
        and not exists (select from leases l where l.run_id = r.id)
    """,
}


def digests(dsn: str, names: Iterable[str] = tuple(TABLES)) -> dict[str, tuple[object, ...] | None]:
    """Rows and one digest of each table, whatever the order of its rows: the sum of their hashes."""
    with psycopg.connect(dsn) as conn:
        conn.execute("set timezone = 'UTC'")
        return {
            name: conn.execute(f"select count(*), sum(hashtextextended(t::text, 0)) from ({TABLES[name]}) t").fetchone()
            for name in names
        }


def flaws(dsn: str) -> list[str]:
    """What is there that must never be."""
    with psycopg.connect(dsn) as conn:
        return [name for name, query in NEVER.items() if conn.execute(query).fetchone() is not None]
