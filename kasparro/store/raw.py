"""Raw records: what every source said, as it came. One partition a source."""

from kasparro.store import db
from kasparro.store.db import Connection


def insert_staged(conn: Connection, *, source: str, slice_name: str, run_id: int, constants: str | None) -> int:
    """Keep the batch's raw records that are not kept yet; how many that were.

    last_seen_at follows the order of the batch to the microsecond. Besides a record that changes a quote, it moves
    for one that wins over a record which is kept only now: replayed in its order, the winner must come later. And for
    one that contradicts others of its file: if it gives a quote after all, then as of now.

    Records that are kept are found by lists of their hashes, never by a join: while Postgres has no statistics, in the
    first minute of a new source, it would read the whole partition for every batch.
    """
    row = db.one(
        conn.execute(
            """
        with known as (
            select r.content_hash
            from raw_records r
            where r.source = %(source)s
            and r.content_hash = any(array(select b.content_hash from batch b))
        ),
        kept as (
            insert into raw_records (
                source, content_hash, slice, external_id, payload, constants, run_id, first_seen_at, last_seen_at
            )
            select
                %(source)s, d.content_hash, %(slice)s, d.external_id, d.payload, %(constants)s::json, %(run_id)s,
                now(), now() + d.seq * interval '1 microsecond'
            from (
                select distinct on (b.content_hash) b.content_hash, b.seq, b.external_id, b.payload
                from batch b
                order by b.content_hash, b.seq desc
            ) d
            where not exists (select from known k where k.content_hash = d.content_hash)
            order by d.content_hash
            returning content_hash
        ),
        overtaken as (
            select s.listing_id, s.observed_at
            from settled s
            join kept k on k.content_hash = s.content_hash
            where not s.wins
        ),
        seen as (
            select w.content_hash, w.seen_at
            from (
                select s.content_hash, now() + max(s.seq) * interval '1 microsecond' as seen_at
                from settled s
                where s.wins
                and (s.outcome <> 'unchanged' or (s.listing_id, s.observed_at) in (select * from overtaken))
                group by s.content_hash
                union all
                select b.content_hash, now() + max(b.seq) * interval '1 microsecond'
                from batch b
                where b.code = 'ambiguous_key'
                group by b.content_hash
            ) w
            where not exists (select from kept k where k.content_hash = w.content_hash)
        ),
        moved as (
            update raw_records r
            set last_seen_at = s.seen_at
            from seen s
            where r.source = %(source)s
            and r.content_hash = any(array(select content_hash from seen))
            and r.content_hash = s.content_hash
        )
        select count(*) from kept
        """,
            {
                "source": source,
                "slice": slice_name,
                "constants": constants,
                "run_id": run_id,
            },
        )
    )
    return int(row[0])
