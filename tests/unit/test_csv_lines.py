"""Rows of a CSV file, each with its exact bytes, and the defects that must not stop the reading."""

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl.readers import csv_lines

CELLS = st.lists(st.text(st.sampled_from('ab ,"\n\r;ä')), min_size=1, max_size=4)


def read(content, *, max_record_bytes=1024):
    """All rows of these bytes, and where each of them ended."""
    file = io.BytesIO(content)
    return [(row, file.tell()) for row in csv_lines.rows(file, max_record_bytes=max_record_bytes)]


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
        (b" a , b \n", [[" a ", " b "]]),
        (b"a\x00b,c\n", [["a\x00b", "c"]]),
        (b",,\n", [["", "", ""]]),
    ],
)
def test_rows_are_those_of_the_file_when_it_is_well_formed(content, expected):
    """Quoted line ends belong to their row; bytes that are no UTF-8 are kept as surrogates."""
    assert cells(content) == expected


@given(st.lists(CELLS, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_row_sizes_are_its_bytes_when_any_rows_are_written(rows, line_end):
    """Each row ends where its size says, and all of them make the file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    content = text.getvalue().encode()
    found = read(content)
    assert [row.cells for row, _ in found] == rows
    assert list(itertools.accumulate(row.size for row, _ in found)) == [end for _, end in found]
    assert sum(row.size for row, _ in found) == len(content)


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
    """Its size is that of the whole line, its text the beginning of it; the next line is read."""
    content = b"a\n" + b"x" * 5000 + b"\nb\n"
    (_, long, last) = [row for row, _ in read(content, max_record_bytes=100)]
    assert (long.defect, long.size, long.ended) == ("record_too_long", 5001, True)
    assert long.text.startswith("xxx")
    assert last.cells == ["b"]


def test_one_line_is_given_up_when_an_unclosed_quote_would_eat_the_file():
    """Bounded by the record's limit, reading goes on at the line after the quote."""
    content = b'a\n"oops,1\n' + b"b,2\n" * 200
    found = cells(content, max_record_bytes=100)
    assert found == [["a"], "record_too_long", *[["b", "2"]] * 200]


def test_text_of_a_defect_is_bounded_when_its_line_is_huge():
    """Enough to find and repair it."""
    (row, end) = read(b"x" * 1_000_000, max_record_bytes=500_000)[0]
    assert (len(row.text), row.size, row.ended, end) == (csv_lines.KEPT_BYTES, 1_000_000, False, 1_000_000)


@pytest.mark.parametrize(("content", "size"), [(b'a\n"b', 2), (b'a\n"b\nc\n', 5), (b'a,b\n\n"', 1)])
def test_unclosed_quote_waits_when_the_file_ends_inside_it(content, size):
    """All rows before it come first; a later version of the file may close it."""
    found = []
    with pytest.raises(csv_lines.UnclosedQuoteError) as caught:
        found.extend(csv_lines.rows(io.BytesIO(content), max_record_bytes=1024))
    assert caught.value.size == size


@given(st.binary(max_size=200) | st.text(st.sampled_from('a,"\n\r\x00ä'), max_size=60).map(str.encode))
def test_bytes_are_all_accounted_for_when_they_are_any(content):
    """Rows follow each other without a gap, and it ends."""
    file, read_bytes = io.BytesIO(content), 0
    try:
        for row in csv_lines.rows(file, max_record_bytes=20):
            read_bytes += row.size
            assert file.tell() == read_bytes
    except csv_lines.UnclosedQuoteError as ex:
        read_bytes += ex.size
    assert read_bytes == len(content)
