"""Rows of a CSV file, each with its exact bytes, and the defects that must not stop the reading."""

import contextlib
import csv
import hashlib
import io
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kasparro.etl.readers import csv_lines

# No line of a cell looks like a row.
CELL = st.text(st.sampled_from('ab ,"\n\r;ä')).map(lambda cell: cell.replace(",", ";") if "\n" in cell else cell)
CELLS = st.lists(CELL, min_size=1, max_size=4)


def read(content, *, max_record_bytes=1024):
    """All rows of these bytes, and how far the file was read for good after each of them."""
    tally = csv_lines.Tally()
    rows = csv_lines.rows(io.BytesIO(content), tally, max_record_bytes=max_record_bytes)
    return [(row, tally.offset) for row in rows]


def cells(content, **options):
    """The cells of all rows; the defect's code for what is none."""
    return [row.defect or row.cells for row, _ in read(content, **options)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a,b\n", [["a", "b"]]),
        (b"a,b", [["a", "b"]]),
        (b"a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
        (b"a\n\n\r\nb\n", [["a"], [], [], ["b"]]),
        (b'"a\nb",c\nd,e\n', [["a\nb", "c"], ["d", "e"]]),
        (b'"a\r\n\r\nb"\n', [["a\r\n\r\nb"]]),
        (b'"say ""x""",1\n', [['say "x"', "1"]]),
        (b"a,\xff\n", [["a", "\udcff"]]),
        ("ä,🐰\n".encode(), [["ä", "🐰"]]),
        (b" a , b \n", [["a ", "b "]]),
        (b"a\x00b,c\n", [["a\x00b", "c"]]),
        (b",,\n", [["", "", ""]]),
    ],
)
def test_rows_are_those_of_the_file_when_it_is_well_formed(content, expected):
    """Quoted line ends belong to their row; bytes that are no UTF-8 are kept as surrogates."""
    assert cells(content) == expected


@given(st.lists(CELLS, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_tally_stands_after_each_row_when_any_rows_are_written(rows, line_end):
    """Where a row ends the next one begins, and the last one ends the file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    content = text.getvalue().encode()
    found = read(content)
    assert [row.cells for row, _ in found] == rows
    for number, (_, end) in enumerate(found):
        assert [row.cells for row, _ in read(content[end:])] == rows[number + 1 :]
    assert [end for _, end in found][-1:] == [len(content)] * bool(rows)


@pytest.mark.parametrize(("content", "ended"), [(b"a\nb\n", True), (b"a\nb", False), (b'a\n"b\nc"', False)])
def test_last_row_is_not_ended_when_the_final_line_end_is_missing(content, ended):
    """It may still grow."""
    rows = [row for row, _ in read(content)]
    assert [row.ended for row in rows] == [True, ended]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'a\n"b"c\nd\n', [["a"], "bad_csv", ["d"]]),
        (b"a\nb\rc\nd\n", [["a"], "bad_csv", ["d"]]),
        (b'"b"c', ["bad_csv"]),
        (b'a\n"b\nc"d\ne\n', [["a"], "bad_csv", "bad_csv", ["e"]]),
    ],
)
def test_reading_goes_on_after_the_line_when_csv_cannot_parse_a_row(content, expected):
    """Only the row's first line is given up."""
    found = cells(content)
    assert found[0] == expected[0]
    assert found[-1] == expected[-1]
    assert len([each for each in found if each == "bad_csv"]) >= 1


def test_row_is_a_defect_when_it_is_too_long():
    """The whole line is read for good, its text is the beginning of it; the next line is read."""
    content = b"a\n" + b"x" * 5000 + b"\nb\n"
    (_, (long, end), (last, _)) = read(content, max_record_bytes=100)
    assert (long.defect, end, long.ended) == ("record_too_long", 5003, True)
    assert long.text.startswith("xxx")
    assert last.cells == ["b"]


def test_one_line_is_given_up_when_an_unclosed_quote_would_eat_the_file():
    """Bounded by the record's limit, reading goes on at the line after the quote."""
    content = b'a\n"oops,1\n' + b"b,2\n" * 200
    found = cells(content, max_record_bytes=100)
    assert found == [["a"], "record_too_long", *[["b", "2"]] * 200]


LOST_QUOTES = b'BTC","b","5\n' * 200


@pytest.fixture
def parsed(monkeypatch):
    """The lines that csv was given, however often."""
    given, parse = [], csv.reader
    monkeypatch.setattr(
        csv, "reader", lambda lines, **how: parse((given.append(each) or each for each in lines), **how)
    )
    return given


@pytest.mark.parametrize("between", [b"", b"x,1\n", b'x"y\n', b'"\n'])
def test_lines_are_parsed_a_few_times_when_each_opens_a_quote_that_stays_open(parsed, between):
    """As where lines lost their first and last quote: the time that a file takes grows as the file does."""
    with contextlib.suppress(csv_lines.UnclosedQuoteError):
        read((LOST_QUOTES + between) * 3, max_record_bytes=1000)
    assert 600 <= len(parsed) < 2000


def test_lines_are_parsed_a_few_times_when_the_file_ends_inside_each_of_them(parsed):
    """Once an open quote was waited for in vain."""
    with pytest.raises(csv_lines.UnclosedQuoteError) as caught:
        read(LOST_QUOTES, max_record_bytes=10_000)
    file, given_up = io.BytesIO(LOST_QUOTES), caught.value.digest
    found = list(csv_lines.rows(file, csv_lines.Tally(), max_record_bytes=10_000, given_up=given_up))
    assert [row.defect for row in found] == ["unclosed_quote"] * 200
    assert 400 <= len(parsed) < 1000


def test_text_of_a_defect_is_bounded_when_its_line_is_huge():
    """Enough to find and repair it."""
    ((row, end),) = read(b"x" * 1_000_000, max_record_bytes=500_000)
    assert (len(row.text), row.ended, end) == (csv_lines.KEPT_BYTES, False, 0)


@pytest.mark.parametrize(("content", "size"), [(b'a\n"b', 2), (b'a\n"b\nc\n', 5), (b'a,b\n\n"', 1)])
def test_unclosed_quote_waits_when_the_file_ends_inside_it(content, size):
    """All rows before it come first; a later version of the file may close it."""
    found = []
    with pytest.raises(csv_lines.UnclosedQuoteError) as caught:
        found.extend(csv_lines.rows(io.BytesIO(content), csv_lines.Tally(), max_record_bytes=1024))
    assert caught.value.size == size


@given(st.binary(max_size=200) | st.text(st.sampled_from('a,"\n\r\x00ä'), max_size=60).map(str.encode))
@example(b'"\n"\x00')
@example(b'a\n"b"c')
def test_bytes_are_all_accounted_for_when_they_are_any(content):
    """What was read for good is hashed as it stands in the file, and ends before the first row that has not ended.

    Nothing after such a row is read for good; without one, and without a quote that waits, all of it is.
    """
    file, tally, rows, offsets = io.BytesIO(content), csv_lines.Tally(), [], [0]
    waiting = 0
    try:
        for row in csv_lines.rows(file, tally, max_record_bytes=20):
            rows.append(row)
            offsets.append(tally.offset)
            assert tally.hasher.digest() == hashlib.blake2b(content[: tally.offset], digest_size=16).digest()
    except csv_lines.UnclosedQuoteError as ex:
        waiting = ex.size
    flags = [row.ended for row in rows]
    assert flags == sorted(flags, reverse=True)
    assert all((after > before) == ended for (before, after), ended in zip(pairwise(offsets), flags, strict=True))
    assert file.tell() == len(content)
    assert not all(flags) or tally.offset + waiting == len(content)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_rows_are_not_swallowed_when_two_quotes_are_lost(tmp_path, first):
    """The first of them is a defect, and each line after it a row: none has the price of another."""
    lines = [f"{day},n{day},S,{day}\n" for day in range(1, 6)]
    lines[0] = lines[0].replace("n1", '"n1')
    lines[first] = lines[first].replace(f"n{first + 1}", f'n{first + 1}"')
    path = tmp_path / "a.csv"
    path.write_text("".join(lines))
    with path.open("rb") as file:
        rows = list(csv_lines.rows(file, csv_lines.Tally(), max_record_bytes=1024))
    assert [row.defect for row in rows] == ["bad_csv", None, None, None, None]
    assert [(row.cells[0], row.cells[-1]) for row in rows[1:]] == [(str(day), str(day)) for day in range(2, 6)]


def test_cell_of_several_lines_is_one_cell_when_its_lines_are_no_rows(tmp_path):
    """People write paragraphs, with commas in them."""
    path = tmp_path / "a.csv"
    path.write_text('1,"a paragraph,\n\nand another one",S,2\n')
    with path.open("rb") as file:
        (row,) = csv_lines.rows(file, csv_lines.Tally(), max_record_bytes=1024)
    assert row.cells == ["1", "a paragraph,\n\nand another one", "S", "2"]
