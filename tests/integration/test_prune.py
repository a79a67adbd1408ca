"""What is old goes, a little at a time; what is still needed stays, and nothing that is counted changes."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from etl_fixtures import HOUR, LONG, NOON, ListReader, page, record, source, wait_until

from kasparro import errors
from kasparro.clock import SystemClock
from kasparro.etl import prune
from kasparro.etl.prune import Pruned, Pruner
from kasparro.store import db, pruning

pytest_plugins = ("etl_checks",)


@pytest.fixture(autouse=True)
def without_raw(etl):
    """Quotes outlive what they were made of: let the checks afterwards not look for it."""
    yield
    etl.empty()


def pruner(etl, stop=None):
    return Pruner(etl.database, etl.build().committer, SystemClock(), stop or threading.Event())


def age(etl, external_id, days=31):
    """Let the raw record of this listing be so old."""
    command = "update raw_records set last_seen_at = last_seen_at - %s * interval '1 day' where payload ->> 'id' = %s"
    etl.conn.execute(command, (days, external_id))


def kept(etl):
    return [name for (name,) in etl.rows("select payload ->> 'id' from raw_records order by 1")]


def test_old_raw_records_go_and_quotes_stay(etl):
    """In blocks of any size: of several thousand records exactly the old ones."""
    etl.run(page(*(record(f"c{number:04}") for number in range(3000))))
    totals = etl.rows("select * from source_totals")
    etl.conn.execute("update raw_records set last_seen_at = '2020-01-01' where payload ->> 'id' < 'c2000'")
    assert pruner(etl).prune(raw_days=30)["coinpaprika"] == Pruned(raw_records=2000)
    assert kept(etl) == [f"c{number}" for number in range(2000, 3000)]
    assert etl.value("select count(*) from quotes") == 3000
    assert etl.rows("select * from source_totals") == totals


def test_every_block_is_looked_at_when_a_table_has_many(etl, monkeypatch):
    """Also the last one, which may be the only one of its transaction."""
    monkeypatch.setattr(prune, "_BLOCKS", 2)
    etl.run(page(*(record(f"c{number:04}", text="x" * 500) for number in range(200))))
    etl.conn.execute("update raw_records set last_seen_at = '2020-01-01'")
    assert pruner(etl).prune(raw_days=30)["coinpaprika"].raw_records == 200
    assert kept(etl) == []


def test_records_of_open_rejections_stay_unless_they_are_expected(etl):
    """Somebody may still mend the map and replay them; resolved rejections of the same age go."""
    etl.run(page(record("open", price="x"), record("gone", price=None), record("done", price="x")))
    etl.conn.execute("update rejections set resolved_at = '2020-01-01' where external_id = 'done'")
    for name in ("open", "gone", "done"):
        age(etl, name)
    assert pruner(etl).prune(raw_days=30)["coinpaprika"] == Pruned(raw_records=2, rejections=1)
    assert kept(etl) == ["open"]
    assert etl.rows("select external_id from rejections order by 1") == [("gone",), ("open",)]


def test_drift_goes_when_it_was_closed_long_ago(etl):
    """Unless it is what the source is read by, or a rename that must not be proposed again."""
    etl.conn.execute(
        """
        insert into drifts (source, path, kind, renamed_to, action, status, closed_at, first_run_id, last_run_id)
        select 'coinpaprika', path, kind, renamed_to, 'warned', status, closed_at, 1, 1
        from (
            values
                ('old', 'missing', null, 'resolved', '2020-01-01'::timestamptz),
                ('new', 'missing', null, 'resolved', clock_timestamp()),
                ('open', 'missing', null, 'open', null),
                ('rejected', 'renamed', 'b', 'rejected', '2020-01-01'),
                ('in_force', 'renamed', 'b', 'accepted', '2020-01-01')
        ) d (path, kind, renamed_to, status, closed_at)
        """
    )
    etl.conn.execute(
        "insert into field_renames (source, path, renamed_to, drift_id) "
        "select source, path, renamed_to, id from drifts where path = 'in_force'"
    )
    assert pruner(etl).prune(raw_days=30)["coinpaprika"] == Pruned(drifts=1)
    assert {path for (path,) in etl.rows("select path from drifts")} == {"new", "open", "rejected", "in_force"}


def test_rejected_record_goes_when_the_operator_closes_its_rejection(etl):
    """With the statement of docs/OPERATIONS.md: what the upstream corrected stays open by itself, for ever."""
    etl.run(page(record("btc", price="x")))
    etl.run(page(record("btc", price="2"), record("new", price="x")))
    etl.conn.execute("update rejections set last_seen_at = now() - interval '31 days' where external_id = 'btc'")
    etl.conn.execute("update raw_records set last_seen_at = now() - interval '31 days'")
    assert pruner(etl).prune(raw_days=30)["coinpaprika"].raw_records == 1
    document = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    (statement,) = re.findall(r"```sql\n(update rejections.*?);\n```", document, re.DOTALL)
    etl.conn.execute(statement)
    assert etl.rows("select external_id from rejections where resolved_at is null") == [("new",)]
    assert pruner(etl).prune(raw_days=30)["coinpaprika"].raw_records == 1
    assert kept(etl) == ["new"]


def test_pruned_record_is_kept_anew_when_it_is_read_again(etl):
    """And its quote is what it was: counted as unchanged."""
    etl.run(page(record("btc")))
    age(etl, "btc")
    pruner(etl).prune(raw_days=30)
    counts = etl.run(page(record("btc"))).counts
    assert (counts.unchanged, counts.raw_inserted, counts.inserted) == (1, 1, 0)


def test_newest_runs_stay_of_every_source_and_kind(etl):
    """Ended ones are counted; a live one is never touched, nor what a later run was resumed from forgotten with it."""
    ids = [etl.run(page(record("btc"))).run_id for _ in range(4)]
    other = etl.run(page(record("btc")), of=source("coingecko")).run_id
    etl.conn.execute("update runs set slice = 'backfill:btc:1..2' where id = %s", (ids[0],))
    etl.conn.execute("update runs set resumed_from = %s where id = %s", (ids[1], ids[3]))
    totals = etl.rows("select * from run_totals order by 1, 2")
    assert pruner(etl).prune(keep_runs=1) == {"coinpaprika": Pruned(runs=2)}
    assert etl.rows("select id, resumed_from from runs order by 1") == [(ids[0], None), (ids[3], None), (other, None)]
    assert etl.rows("select * from run_totals order by 1, 2") == totals


def test_records_come_in_while_old_ones_go(etl):
    """Both wait for each other for moments only."""

    def prune_meanwhile():
        etl.conn.execute("update raw_records set last_seen_at = '2020-01-01'")
        assert pruner(etl).prune(raw_days=1, keep_runs=1)["coinpaprika"].raw_records == 1

    pages = [page(record("a"), last=False), etl.after(1, prune_meanwhile), page(record("b", at=NOON + HOUR))]
    assert etl.start(etl.build(ListReader({"": pages}))).counts.inserted == 2
    assert kept(etl) == ["b"]


def test_leases_stay_untouched_when_records_are_pruned(etl):
    """A source that was backfilled has one for every slice there ever was."""
    etl.run(page(record("btc")))
    etl.conn.execute("insert into leases (key) select 'coinpaprika/backfill:' || n from generate_series(1, 10) n")
    age(etl, "btc")
    assert pruner(etl).prune(raw_days=30)["coinpaprika"].raw_records == 1
    assert etl.value("select count(*) from leases where xmax <> '0' and strpos(key, '/') > 0") == 0


def test_nothing_is_pruned_when_a_batch_is_about_to_commit(etl):
    """It may just reject what is old enough to go. Batches of several slices hold it off together."""
    with db.connect(etl.dsn) as one, db.connect(etl.dsn) as other, db.connect(etl.dsn) as third:
        third.execute("set lock_timeout = '50ms'")
        with one.transaction(), other.transaction():
            pruning.hold_off(one, "coinpaprika")
            pruning.hold_off(other, "coinpaprika")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                pruning.lock_source(third, "coinpaprika")
            pruning.lock_source(third, "coingecko")
        pruning.lock_source(third, "coinpaprika")


def test_batch_waits_when_records_are_being_pruned(etl):
    """Of its own source only."""
    with db.connect(etl.dsn) as other, ThreadPoolExecutor() as pool:
        with other.transaction():
            pruning.lock_source(other, "coinpaprika")
            running = pool.submit(etl.run, page(record("btc")))
            waiting = """
                select count(*) from pg_locks l join pg_database d on d.oid = l.database
                where locktype = 'advisory' and not granted and datname = current_database()
            """
            wait_until(lambda: etl.value(waiting), what="the batch waits")
            assert etl.run(page(record("btc")), of=source("coingecko")).counts.inserted == 1
        assert running.result(LONG).counts.inserted == 1


def test_nothing_more_is_pruned_when_told_to_stop(etl):
    """What went is gone; the rest is there for the next time."""
    etl.run(page(record("btc")))
    age(etl, "btc")
    stop = threading.Event()
    stop.set()
    with pytest.raises(errors.StoppedError):
        pruner(etl, stop).prune(raw_days=1)
    assert kept(etl) == ["btc"]


@pytest.mark.parametrize(
    ("chore", "left"),
    [
        (None, []),
        ("now() - interval '25 hours', null", []),
        ("now() - interval '23 hours', null", ["btc"]),
        ("now() - interval '25 hours', now() - interval '1 second'", []),
    ],
)
def test_records_go_once_a_day(etl, chore, left):
    """Whichever process did it last; one that was killed at it keeps others from it until its claim ends."""
    etl.run(page(record("btc")))
    age(etl, "btc")
    if chore is not None:
        etl.conn.execute(f"insert into chores values ('prune', {chore})")
    pruner(etl).prune_if_due(raw_days=30)
    assert kept(etl) == left


def test_another_process_leaves_a_chore_alone_that_somebody_is_at(etl):
    """Its claim has not ended."""
    etl.run(page(record("btc")))
    age(etl, "btc")
    etl.conn.execute("insert into chores values ('prune', null, now() + interval '1 minute')")
    pruner(etl).prune_if_due(raw_days=30)
    assert kept(etl) == ["btc"]


def test_process_prunes_by_itself_until_it_is_told_to_stop(etl):
    """Whatever went wrong the time before."""
    etl.run(page(record("btc")))
    age(etl, "btc")
    stop = threading.Event()
    thread = threading.Thread(target=pruner(etl, stop).prune_daily, kwargs={"raw_days": 30})
    thread.start()
    done = "select count(*) from chores where done_at is not null and claimed_until is null"
    wait_until(lambda: etl.value(done) == 1, what="the day's work is done")
    stop.set()
    thread.join()
    assert not kept(etl)
