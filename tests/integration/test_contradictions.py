"""Rows of one file for one listing and time that differ: no quote, whether they come together, apart, or by growth."""

import threading
from datetime import UTC, datetime

import pytest
from attrs import evolve
from etl_fixtures import NOON, source

from kasparro.etl.pipeline import Task
from kasparro.etl.replay import Replay
from kasparro.etl.source import Duplicates, FieldMap, Files, Kind
from kasparro.model import REPLAY, Trigger
from kasparro.store.replays import Wanted
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

HEADER = "symbol,name,at,price\n"
A, A2, A3, B, C = (f"{line}\n" for line in (
    "A,a,2026-01-02T12:00:00Z,1", "A,a,2026-01-02T12:00:00Z,2", "A,a,2026-01-02T12:00:00Z,3",
    "B,b,2026-01-02T12:00:00Z,7", "C,c,2026-01-02T12:00:00Z,8",
))  # fmt: skip


@pytest.fixture
def grow(etl, tmp_path):
    """Writes the file anew with these rows and runs the source; gives what was counted."""

    def run(*rows, name="a.csv", duplicates=Duplicates.REJECT, **settings):
        (tmp_path / name).write_text(HEADER + "".join(rows))
        made = source("csv")
        fields = {name: made.fields[name] for name in ("symbol", "name", "observed_at", "price_usd")}
        fields["external_id"] = FieldMap(template="{symbol}", type="text")
        files = Files(glob=str(tmp_path / "*.csv"), duplicates=duplicates)
        made = evolve(made, kind=Kind.CSV_FILES, http=None, fields=fields, files=files)
        return etl.run(of=made, **settings).counts

    return run


def prices(etl):
    """The price of every listing that has a quote."""
    return {external_id: int(price) for (external_id, at), price in etl.quotes().items() if at == NOON}


def open_rejections(etl):
    """Open rejections by the payload's price."""
    query = """
        select r.payload->>'price', j.code, j.external_id from rejections j
        join raw_records r on r.source = j.source and r.content_hash = j.content_hash
        where j.resolved_at is null order by 1
    """
    return etl.rows(query)


AMBIGUOUS = [(price, "ambiguous_key", "A") for price in ("1", "2", "3")]


def test_no_row_gives_a_quote_when_rows_of_one_batch_differ(etl, grow):
    """Nobody knows which is right; the others are loaded."""
    assert grow(A, B, A2) == Counts(read=3, inserted=1, rejected=2, raw_inserted=3)
    assert (prices(etl), open_rejections(etl)) == ({"B": 7}, AMBIGUOUS[:2])


def test_rows_are_duplicates_when_they_say_the_same(etl, grow):
    """One quote, and nothing to decide."""
    assert grow(A, A, B) == Counts(read=3, inserted=2, duplicate=1, raw_inserted=2)
    assert open_rejections(etl) == []


@pytest.mark.parametrize("steps", [[2, 3], [1, 2, 3], [3], [1, 3]])
@pytest.mark.parametrize("batch_records", [1, 2, 10])
def test_tables_are_the_same_when_rows_come_apart(etl, grow, steps, batch_records):
    """In several batches, or by growth: the quote of the first goes when the second comes, and the third finds none."""
    rows = [A, B, A2, A3, C]
    grow(*rows)
    whole = etl.outcome()
    etl.empty()
    for step in [*steps, 5]:
        grow(*rows[:step], batch_records=batch_records)
    assert (prices(etl), open_rejections(etl)) == ({"B": 7, "C": 8}, AMBIGUOUS)
    assert etl.outcome() == whole


def test_latest_quote_is_the_one_before_when_the_newest_is_taken_away(etl, grow):
    """The latest of a listing always exists."""
    older = A.replace("2026-01-02", "2026-01-01")
    grow(older, A)
    assert grow(older, A, A2).removed == 1
    assert etl.rows("select observed_at from latest_quotes") == [(datetime(2026, 1, 1, 12, tzinfo=UTC),)]


def test_last_row_counts_when_the_map_says_so(etl, grow):
    """Duplicates are what the source says they are; changing one's mind reads the file anew."""
    grow(A, B, A2)
    grow(A, B, A2, duplicates=Duplicates.LAST)
    assert (prices(etl), open_rejections(etl)) == ({"A": 2, "B": 7}, [])
    grow(A, B, A2)
    assert (prices(etl), open_rejections(etl)) == ({"B": 7}, AMBIGUOUS[:2])


@pytest.mark.parametrize("rows", [[B, C, A2], [A2, B, C], [A3, A3, C]])
def test_key_has_a_quote_again_when_the_file_was_mended(etl, grow, rows):
    """An edited file is a correction of what it said before."""
    grow(A, B, A2)
    grow(*rows)
    assert "A" in prices(etl)
    assert open_rejections(etl) == []


@pytest.mark.parametrize("batch_records", [1, 10])
def test_key_stays_without_a_quote_when_another_row_was_edited(etl, grow, batch_records):
    """What is still in the file still contradicts itself."""
    grow(A, B, A2)
    grow(A, C, A2, batch_records=batch_records)
    assert (prices(etl), open_rejections(etl)) == ({"B": 7, "C": 8}, AMBIGUOUS[:2])


@pytest.mark.parametrize("rows", [[A, B, A2], [A, B, C, A2]])
def test_key_has_no_quote_when_the_contradicted_record_was_pruned(etl, grow, rows):
    """What counts does not depend on how long raw records are kept."""
    grow(A, B)
    etl.conn.execute("delete from raw_records")
    grow(*rows)
    assert "A" not in prices(etl)
    assert etl.value("select count(*) from rejections where resolved_at is null and code = 'ambiguous_key'") == 2
    etl.empty()


def test_key_has_no_quote_when_the_contradicted_quote_came_by_a_replay(etl, grow):
    """A replayed quote is of the file that its record is of."""
    grow(A, B)
    etl.conn.execute("truncate quotes, latest_quotes")
    pipeline = etl.build()
    work = Replay(etl.database, pipeline.committer, Wanted(source="csv")).work
    task = Task(slice=REPLAY, work=work)
    pipeline.run(etl.sources["csv"], trigger=Trigger.REPLAY, stop=threading.Event(), task=task)
    etl.conn.execute("delete from raw_records")
    grow(A, B, A2)
    assert prices(etl) == {"B": 7}
    etl.empty()


def test_later_file_counts_when_the_record_of_the_other_was_pruned(etl, grow):
    """Files do not contradict each other, whatever is still kept of them."""
    grow(A, B)
    etl.conn.execute("delete from raw_records")
    grow(A2, name="b.csv")
    assert prices(etl) == {"A": 2, "B": 7}
    etl.empty()


def test_price_is_corrected_when_its_row_was_edited(etl, grow):
    """The same key read again: the last read counts."""
    grow(A, B)
    grow(A2, B)
    assert (prices(etl), open_rejections(etl)) == ({"A": 2, "B": 7}, [])


def test_last_row_is_no_contradiction_when_it_grew(etl, grow):
    """It had no end, and was not yet what it is now."""
    grow(B, A.rstrip("\n"))
    assert prices(etl) == {"A": 1, "B": 7}
    grow(B, A.rstrip("\n"))
    grow(B, A.replace(",1\n", ",12\n"))
    assert (prices(etl), open_rejections(etl)) == ({"A": 12, "B": 7}, [])


def test_last_file_counts_when_two_files_differ(etl, grow):
    """A later download corrects an earlier one."""
    grow(A, B)
    grow(A2, name="b.csv")
    assert (prices(etl), open_rejections(etl)) == ({"A": 2, "B": 7}, [])
