"""A file that is caught in the middle of being written leaves nothing in the tables that it does not say in the end."""

import os
from contextlib import contextmanager

import pytest
from attrs import evolve
from etl_fixtures import source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro import errors
from kasparro.etl.source import Duplicates, FieldMap, Files, Kind
from kasparro.model import RunStatus
from kasparro.store import unended
from kasparro.tallies import Counts

pytest_plugins = ("etl_checks",)

HEADER = {"price": "symbol,name,at,price\n", "at": "price,symbol,name,at\n", "symbol": "price,at,name,symbol\n"}


@pytest.fixture
def grow(etl, tmp_path):
    """Writes the file anew and runs the source."""

    def run(text, *, listing="{symbol}:{name}", duplicates=Duplicates.REJECT, **changes):
        (tmp_path / "a.csv").write_text(text)
        made = source("csv")
        fields = {name: made.fields[name] for name in ("symbol", "name", "observed_at", "price_usd")}
        fields["external_id"] = FieldMap(template=listing, type="text")
        files = Files(glob=str(tmp_path / "*.csv"), duplicates=duplicates)
        return etl.run(of=evolve(made, kind=Kind.CSV_FILES, http=None, fields=fields, files=files), **changes)

    return run


def line(last, symbol="A", name="a", at="2026-01-02T12:00", price="1"):
    """A line of a file whose last column this is."""
    cells = {"symbol": symbol, "name": name, "at": at, "price": price}
    return ",".join(cells[column] for column in HEADER[last].strip().split(",")) + "\n"


def outcome(etl):
    """Quotes, latest quotes, listings with their names, raw records, open rejections, and what is kept besides."""
    open_ones = (
        "select source, code, dedup_key, field, message from rejections where resolved_at is null order by 1, 2, 3"
    )
    names = "select external_id, symbol, name from listings order by 1"
    said = """
        select external_id, observed_at, slice, file_version, contradicted, content_hash, price_usd
        from also_said join listings l on l.id = listing_id order by 1, 2, said_at
    """
    return [*etl.outcome()[:4], etl.rows(open_ones), etl.rows(names), etl.rows(said)]


def compare(etl, grow, steps, *, batch_records=5000, **fields):
    """What is in the tables after the steps, in such batches, and what after the last one alone, in one."""
    found = []
    for texts, size in ((steps, batch_records), (steps[-1:], 5000)):
        etl.empty()
        # Twice: a quote that is not closed is waited for once.
        for text in [*texts, texts[-1]]:
            grow(text, batch_records=size, **fields)
        found.append(outcome(etl))
    return found


def half(last, before, part, rest):
    """The file cut in the middle of its last line, and whole."""
    start = HEADER[last] + "".join(before)
    return [start + part, start + part + rest]


CUT = {
    "time": half("at", [line("at", at="2026-01-01")], "2,A,a,2026-01-02T10:00", ":30+02:00\n"),
    "symbol": half("symbol", [line("symbol")], "1,2026-01-02T10:00,Foo,USD", "T2\n"),
    "price that contradicts": half("price", [line("price", price="50000")], line("price", price="5")[:-1], "0000\n"),
    "ragged row": half("price", [line("price")], "B,b", ",2026-01-02,3\n"),
    "quoted cell": half("price", [line("price")], 'B,"b', ' and c",2026-01-02,3\n'),
    "name": half("at", [line("at", name="a")], "1,A,a,2026-01-02T12:00:01", "-05:00\n"),
    "no line end at all": half("price", [line("price")], "B,b,2026-01-02,3", ""),
    "rows behind a stray quote": half("price", [], '"A,a,2026-01-02,3\nB,b,2026-01-02,3\nB,b,2026-01-02,4\n', '"\n'),
}


@pytest.mark.parametrize("steps", CUT.values(), ids=CUT.keys())
def test_tables_are_those_of_the_whole_file_when_a_line_was_caught_half_written(etl, grow, steps):
    """Whatever half of the line meant is withdrawn; looked at twice, half of it is nothing else."""
    grown, whole = compare(etl, grow, [steps[0], *steps])
    assert grown == whole


CELL = st.sampled_from(["A", "AB", '"A,B"', '"A\nB"', '"A'])
OTHERS = st.sampled_from([HEADER["price"], HEADER["price"].replace("price", "close")])
MAP = st.fixed_dictionaries({
    "listing": st.sampled_from(["{symbol}", "{name}"]),
    "duplicates": st.sampled_from(Duplicates),
})  # fmt: skip
ROW = st.tuples(
    CELL,
    st.sampled_from(["a", '"a"']),
    st.sampled_from(["2026-01-02", "2026-01-02T12:00:30+02:00", "2026-01-02T12:00"]),
    st.sampled_from(["1", "12", "x", "123"]),
)
# Rows that are mostly for one key.
ALIKE = st.tuples(*map(st.sampled_from, ("A", "ab", ["2026-01-02", "2026-01-02", "2026-01-03"], ["1", "1", "2"])))
ROWS = st.one_of(st.lists(ROW, max_size=5), st.lists(ALIKE, min_size=2, max_size=5))


@settings(
    max_examples=int(os.environ.get("KASPARRO_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(sorted(HEADER)), ROWS, st.sampled_from(["\n", ""]), MAP, st.data())
def test_tables_are_those_of_the_whole_file_when_it_grew_in_any_steps(etl, grow, last, rows, end, fields, data):
    """Records of quotes, names and symbols of listings, and what is kept besides included; in batches of any size."""
    lines = [line(last, *row) for row in rows]
    if data.draw(st.booleans()):
        # Another export behind it, with the same columns in its own order or with another one.
        lines += [data.draw(OTHERS), *(line("price", *row) for row in rows)]
    text = HEADER[last] + "".join(lines).removesuffix("\n") + end
    cuts = sorted(data.draw(st.lists(st.integers(len(HEADER[last]), len(text)), max_size=3)))
    size = data.draw(st.integers(1, 3))
    grown, whole = compare(etl, grow, [*(text[:cut] for cut in cuts), text], batch_records=size, **fields)
    assert grown == whole


class CutOnce:
    """Ends the run at one of its batches, just before it is committed or just after."""

    def __init__(self, batch, moment):
        self._wanted = (batch, "commit", moment)

    def hit(self, place, *, wait, conn=None):
        if (place.batch, place.stage, place.moment) == self._wanted:
            raise errors.StoppedError("cut")
        return False


@pytest.mark.parametrize(("batch", "moment"), [(1, "after"), (2, "before"), (3, "after")])
def test_tables_are_those_of_the_whole_file_when_runs_were_cut_off(etl, grow, batch, moment):
    """Before or after any batch: what is behind a quote that stays open takes several."""
    start = HEADER["price"] + line("price")
    texts = [start + '"A,a,2026-01-03,3\nB,b,2026-01-02,3\nB,b,2026-01-02,4\nC,c,2026-01-0']
    texts += [texts[0] + "2,7", texts[0] + '2,7\n",x,2026-01-05,2\n']
    grow(texts[-1])
    grow(texts[-1])
    whole = outcome(etl)
    etl.empty()
    for text in texts:
        grow(text, batch_records=1)
        grow(text, batch_records=1, faults=CutOnce(batch, moment))
    grow(texts[-1], batch_records=1)
    assert outcome(etl) == whole
    assert etl.value("select count(*) from runs where status = 'interrupted'") > 1


def test_nothing_is_read_when_an_unfinished_file_did_not_change(etl, grow):
    """Not even what would be read again."""
    text = HEADER["price"] + '"A,a,2026-01-02,3\n' + line("price")[:-1]
    assert [grow(text).status for _ in range(3)] == [RunStatus.FAILED, RunStatus.PARTIAL, RunStatus.SUCCEEDED]
    result = grow(text)
    assert (result.counts, result.traffic.bytes_read) == (Counts(), 0)


def test_counts_add_up_when_what_half_a_line_said_is_withdrawn(grow):
    """The quote of half a price goes, and what the line says in the end comes."""
    start = HEADER["price"] + line("price", at="2026-01-01")
    grow(start + "A,a,2026-01-02,1")
    assert grow(start + "A,a,2026-01-02,12\n").counts == Counts(read=1, inserted=1, removed=1, raw_inserted=1)


def test_record_is_unchanged_when_only_its_line_end_came(grow):
    """The last line of many files has none until another one follows."""
    start = HEADER["price"] + line("price")
    grow(start[:-1])
    assert grow(start).counts == Counts(read=1, unchanged=1)


def test_quote_stays_when_a_file_without_a_line_end_was_overwritten(etl, grow):
    """That is another version of the file, not the same one grown."""
    grow(HEADER["price"] + "A,a,2026-01-01,1")
    grow(HEADER["price"] + "A,a,2026-01-02,2")
    assert sorted(map(int, etl.quotes().values())) == [1, 2]


OLD_REJECTIONS = """
    with kept as (
        insert into raw_records (source, content_hash, payload, slice, run_id, first_seen_at, last_seen_at)
        select source, md5(i::text)::uuid, '{}', 'old.csv', run_id, now(), now()
        from raw_records cross join generate_series(1, 500) i
        returning *
    )
    insert into rejections (
        source, slice, code, dedup_key, stage, message, external_id, content_hash, expected, run_id,
        first_seen_at, last_seen_at, resolved_at
    )
    select source, slice, 'not_a_number', content_hash, 'normalise', 'm', 'A:a', content_hash, false, run_id, now(),
        now(), case when random() < 0.5 then now() end
    from kept
"""


def test_few_rejections_are_noted_when_a_source_has_many_and_a_line_has_not_ended(etl, grow, monkeypatch):
    """Those that the line can touch, however many its listing has elsewhere."""
    text = HEADER["price"] + line("price", at="2026-01-01")
    grow(text)
    etl.conn.execute(OLD_REJECTIONS)
    noted = []
    take_back = unended.noted

    @contextmanager
    def count(conn, end):
        with take_back(conn, end):
            yield
            if end.unended:
                noted.append(conn.execute("select kind, count(*) from images group by 1 order by 1").fetchall())

    monkeypatch.setattr(unended, "noted", count)
    grow(text + line("price")[:-1])
    assert noted == [[("listing", 1)]]
