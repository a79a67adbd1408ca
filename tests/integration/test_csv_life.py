"""What becomes of a CSV file's tables when the file changes between two runs: its content proves what it is."""

import gzip

import pytest
from attrs import evolve
from etl_fixtures import NOON, source

from kasparro.etl.source import FieldMap, Files, Kind
from kasparro.model import RunStatus
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

HEADER = "symbol,name,at,price\n"


def row(name, price):
    """One line."""
    return f"{name},{name},{NOON.isoformat()},{price}\n"


A, B, C, D = row("A", 1), row("B", 2), row("C", 3), row("D", 4)


@pytest.fixture
def folder(tmp_path):
    """Where the files are."""
    return tmp_path


@pytest.fixture
def run(etl, folder):
    """Runs the source of all files of the folder."""

    def start(**settings):
        made = source("csv")
        fields = {each: made.fields[each] for each in ("symbol", "name", "observed_at", "price_usd")}
        fields["external_id"] = FieldMap(template="{symbol}", type="text")
        files = Files(glob=str(folder / "**/*.csv*"))
        return etl.run(of=evolve(made, kind=Kind.CSV_FILES, http=None, fields=fields, files=files), **settings)

    return start


def prices(etl):
    """The price of every quote by its listing."""
    return {external_id: int(price) for (external_id, _), price in etl.quotes().items()}


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_only_the_tail_is_loaded_when_a_file_was_appended_to(etl, folder, run, pack):
    """Compressed or not."""
    path = folder / "a.csv.gz"
    path.write_bytes(pack(HEADER + A + B))
    run()
    path.write_bytes(pack(HEADER + A + B + C))
    result = run()
    assert result.counts == Counts(read=1, inserted=1, raw_inserted=1)
    assert result.traffic.bytes_read == len(C)
    assert prices(etl) == {"A": 1, "B": 2, "C": 3}


def test_file_is_read_anew_when_its_head_was_edited(etl, folder, run):
    """What is new counts, what is the same writes nothing, and what went away stays in the tables."""
    path = folder / "a.csv"
    path.write_text(HEADER + A + B)
    run()
    path.write_text(HEADER + row("A", 7) + C + D)
    assert run().counts == Counts(read=3, inserted=2, updated=1, raw_inserted=3)
    assert prices(etl) == {"A": 7, "B": 2, "C": 3, "D": 4}
    assert run().counts == Counts()


def test_slice_fails_and_nothing_is_deleted_when_a_file_was_truncated(etl, folder, run):
    """The other files are read, the checkpoint stays, and the file is read on when the rest is back."""
    (folder / "a.csv").write_text(HEADER + A + B)
    run()
    (folder / "a.csv").write_text(HEADER + A)
    (folder / "b.csv").write_text(HEADER + C)
    result = run()
    assert (result.status, result.error_code) == (RunStatus.PARTIAL, "file_truncated")
    assert prices(etl) == {"A": 1, "B": 2, "C": 3}
    (folder / "a.csv").write_text(HEADER + A + B + D)
    assert run().counts == Counts(read=1, inserted=1, raw_inserted=1)


def test_run_fails_when_it_loaded_and_confirmed_nothing(etl, folder, run):
    """It is no success, nor is the next that finds nothing new; one bad file beside a good one spoils nothing."""
    statuses = []
    for name, text in (("a.csv", row("A", "x")), ("a.csv", row("A", "x")), ("b.csv", B), ("c.csv", "C\n")):
        (folder / name).write_text(HEADER + text)
        result = run()
        succeeded = etl.value("select last_success_at is not null from schedules")
        statuses.append((result.status.value, result.error_code, succeeded))
    assert statuses[:2] == [("failed", "rejections", False)] * 2
    assert statuses[2:] == [("succeeded", None, True), ("partial", "rejections", True)]


def test_file_is_read_anew_when_another_one_replaced_it(etl, folder, run):
    """The same name, and at least as long; nothing of the old one is deleted."""
    (folder / "a.csv").write_text(HEADER + A)
    run()
    (folder / "a.csv").write_text("name;price;symbol;at\r\n" + f"B;2;B;{NOON.isoformat()}\r\n" * 2)
    assert run().counts == Counts(read=2, inserted=1, duplicate=1, raw_inserted=1)
    assert prices(etl) == {"A": 1, "B": 2}


def test_nothing_is_written_when_a_file_was_renamed(etl, folder, run):
    """Its path is its name: under another it is read as a new file, and says what is known already."""
    (folder / "a.csv").write_text(HEADER + A + B)
    run()
    before = etl.outcome()[:5]
    (folder / "x").mkdir()
    (folder / "a.csv").rename(folder / "x" / "b.csv")
    assert run().counts == Counts(read=2, unchanged=2)
    assert etl.outcome()[:5] == before
    assert etl.rows("select slice from checkpoints order by 1") == [("a.csv",), ("x/b.csv",)]


def test_tables_are_the_same_when_a_file_was_compressed(etl, folder, run):
    """Offsets count decompressed bytes, so that it is even known how far it was read."""
    path = folder / "a.csv"
    path.write_text(HEADER + A + B)
    run()
    path.write_bytes(gzip.compress((HEADER + A + B + C).encode()))
    assert run().counts == Counts(read=1, inserted=1, raw_inserted=1)


def test_file_is_loaded_to_its_end_when_it_keeps_ending_in_a_quote(etl, folder, run):
    """First it is waited for, then its first line is a rejection; the tables are those of the file when it goes on."""
    path = folder / "a.csv"
    path.write_text(HEADER + A + '"' + B + C)
    first = run()
    assert (first.status, first.error_code, prices(etl)) == (RunStatus.FAILED, "unclosed_quote", {"A": 1})
    second = run()
    assert (second.status, prices(etl)) == (RunStatus.PARTIAL, {"A": 1, "C": 3})
    assert second.counts == Counts(read=2, inserted=1, rejected=1, raw_inserted=2)
    assert etl.rows("select code from rejections") == [("unclosed_quote",)]


def test_nothing_is_lost_when_a_line_was_caught_half_written(etl, folder, run):
    """It is read again with its end; what half of it said is withdrawn."""
    path = folder / "a.csv"
    path.write_text(HEADER + A + row("B", 12).rstrip("2\n"))
    run()
    assert prices(etl) == {"A": 1, "B": 1}
    path.write_text(HEADER + A + row("B", 12) + C)
    assert run().counts == Counts(read=2, inserted=2, removed=1, raw_inserted=2)
    assert prices(etl) == {"A": 1, "B": 12, "C": 3}
