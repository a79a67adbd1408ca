"""CSV files as slices: what a read gives, where it can go on, and that no file's content breaks anything."""

import json

import pytest

from kasparro.errors import SliceError
from kasparro.etl import schedule
from kasparro.etl.readers import csv_files
from kasparro.etl.source import FIELD_TYPES, FieldMap, Files, Kind, Source
from kasparro.model import Checkpoint

HEADER = "symbol,name,date,price\n"
ROWS = "".join(f"S{number},Name {number},2026-01-01,{number + 1}.5\n" for number in range(7))
MAPPED = {"symbol": "symbol", "name": "name", "observed_at": "date", "price_usd": "price"}


def source(glob, *, max_record_bytes=1024 * 1024, **fields):
    """A source of files with the map MAPPED."""
    paths = {**MAPPED, **fields}
    maps = {name: FieldMap(paths=(path,), type=FIELD_TYPES[name]) for name, path in paths.items()}
    return Source(
        name="archive", kind=Kind.CSV_FILES, schedule=schedule.parse("every 1m"), fields=maps,
        files=Files(glob=str(glob), max_record_bytes=max_record_bytes),
    )  # fmt: skip


def read(path, checkpoint=None, **options):
    """What reading this file gives from the checkpoint on: its records, and the checkpoint after the last page."""
    reader = csv_files.CsvFilesReader(source(path, **options))
    after = checkpoint or Checkpoint(slice=path.name)
    records = []
    for page in reader.read(path.name, after):
        records += page.records
        # What the database gives back, because it is kept as JSON there.
        position = json.loads(json.dumps(page.position))
        after = Checkpoint(slice=page.slice, position=position, validators=dict(page.validators))
    return records, after


def write(folder, content):
    """A file with this content."""
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def prices(records):
    """The price column of the records; a defect's code where there is none."""
    return [record.defect.code if record.defect else record.fields["price"] for record in records]


def error(path, checkpoint=None, **options):
    """The code of the SliceError that reading gives; its message can be stored."""
    with pytest.raises(SliceError) as caught:
        read(path, checkpoint, **options)
    assert "\x00" not in caught.value.message
    caught.value.message.encode()
    return caught.value.code


def test_records_are_rows_as_objects_when_a_file_is_read(tmp_path):
    """The payload is JSON of the row, with the header's names."""
    records, after = read(write(tmp_path, HEADER + ROWS))
    assert records[0].fields == {"symbol": "S0", "name": "Name 0", "date": "2026-01-01", "price": "1.5"}
    assert json.loads(records[0].payload) == records[0].fields
    assert len(records) == 7
    assert after.position == {"offset": len(HEADER + ROWS), "columns": ["symbol", "name", "date", "price"]}


def test_nothing_is_read_again_when_a_file_is_unchanged(tmp_path):
    """And the checkpoint stays as it is."""
    path = write(tmp_path, HEADER + ROWS)
    _, after = read(path)
    assert read(path, after) == ([], after)


def test_only_the_tail_is_read_when_a_file_grew(tmp_path):
    """From the offset on, with the columns of the header that is not read again."""
    path = write(tmp_path, HEADER + ROWS)
    _, after = read(path)
    path.write_text(HEADER + ROWS + "NEW,New,2026-01-02,9\n")
    (page,) = csv_files.CsvFilesReader(source(path)).read("a.csv", after)
    assert [record.fields["symbol"] for record in page.records] == ["NEW"]
    assert page.bytes_read == len("NEW,New,2026-01-02,9\n")


def test_everything_is_read_again_when_the_beginning_changed(tmp_path):
    """The same length and the same time of change prove nothing."""
    path = write(tmp_path, HEADER + ROWS)
    _, after = read(path)
    path.write_text((HEADER + ROWS).replace("1.5", "8.5"))
    records, again = read(path, after)
    assert prices(records) == ["8.5", *[f"{number}.5" for number in range(2, 8)]]
    assert again.position == after.position
    assert again.validators != after.validators


def test_everything_is_read_again_when_the_file_changed_while_it_was_read(tmp_path):
    """The fingerprint is that of the bytes that were parsed, whatever stands in the file by then."""
    path = write(tmp_path, HEADER + ROWS)
    pages = csv_files.CsvFilesReader(source(path), page_records=3).read("a.csv", Checkpoint(slice="a.csv"))
    assert prices(next(pages).records) == ["1.5", "2.5", "3.5"]
    path.write_text((HEADER + ROWS).replace("1.5", "8.5").replace("6.5", "9.5"))
    last = list(pages)[-1]
    after = Checkpoint(slice="a.csv", position=last.position, validators=last.validators)
    assert prices(read(path, after)[0]) == ["8.5", "2.5", "3.5", "4.5", "5.5", "9.5", "7.5"]


@pytest.mark.parametrize("keep", [0, 10, len(HEADER), len(HEADER + ROWS) - 1])
def test_truncated_file_is_an_error_when_less_is_there_than_was_read(tmp_path, keep):
    """Nothing is guessed about what it means."""
    path = write(tmp_path, HEADER + ROWS)
    _, after = read(path)
    path.write_text((HEADER + ROWS)[:keep])
    assert error(path, after) == "file_truncated"


def test_last_record_is_read_again_when_it_has_no_line_end(tmp_path):
    """It is ingested at once, and the offset stays before it because it may still grow."""
    path = write(tmp_path, HEADER + ROWS + "X,X,2026-01-01,1")
    records, after = read(path)
    assert prices(records)[-1] == "1"
    assert after.position["offset"] == len(HEADER + ROWS)
    path.write_text(HEADER + ROWS + "X,X,2026-01-01,12\nY,Y,2026-01-01,3\n")
    assert prices(read(path, after)[0]) == ["12", "3"]


@pytest.mark.parametrize("content", ["", "\n\n", "symbol,name,date,price", HEADER, "\r\n" + HEADER])
def test_file_without_records_gives_an_empty_page_when_it_is_new(tmp_path, content):
    """A header that has no line end may still grow; what follows later is read."""
    path = write(tmp_path, content)
    records, after = read(path)
    assert records == []
    path.write_text((content if "price" in content else content + HEADER).rstrip("\n") + "\n" + ROWS)
    assert len(read(path, after)[0]) == 7


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_header_is_found_when_it_has_a_bom_quotes_or_other_line_ends(tmp_path, bom, quote, line_end):
    """Exports come with all of them, and they are no part of the first name."""
    header = ",".join(f"{quote}{name}{quote}" for name in MAPPED.values())
    content = bom + f"{header}{line_end}S,N,2026-01-01,1{line_end}{line_end}T,N,2026-01-01,2{line_end}".encode()
    path = write(tmp_path, content)
    records, after = read(path)
    assert [list(record.fields) for record in records] == [list(MAPPED.values())] * 2
    assert prices(records) == ["1", "2"]
    assert after.position["offset"] == len(content)


def test_first_name_may_hold_a_comma_when_it_is_quoted_after_a_bom(tmp_path):
    """The mark in front must not undo the quotes."""
    content = b'\xef\xbb\xbf"Symbol, short",name,date,price\nS,N,2026-01-01,1\n'
    records, _ = read(write(tmp_path, content), symbol="Symbol, short")
    assert prices(records) == ["1"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("S,N,2026-01-01\n", "ragged_row"),
        ("S,N,2026-01-01,1,2\n", "ragged_row"),
        ('"S"x,N,2026-01-01,1\n', "bad_csv"),
        ("S,N,2026-01-01," + "9" * 300 + "\n", "record_too_long"),
        (b"S,\xff\xfe,2026-01-01,1\n", "undecodable"),
        (b"S,\xff\n", "ragged_row"),
        (b'"\xff"x\n', "bad_csv"),
    ],
)
def test_bad_row_is_one_rejection_when_the_others_are_good(tmp_path, row, code):
    """It is kept, and reading goes on at the next line."""
    content = HEADER.encode() + (row if isinstance(row, bytes) else row.encode()) + b"T,N,2026-01-01,2\n"
    records, after = read(write(tmp_path, content), max_record_bytes=200)
    assert prices(records) == [code, "2"]
    assert records[0].payload.isascii()
    json.loads(records[0].payload)
    assert after.position["offset"] == len(content)


def test_rows_before_an_unclosed_quote_are_read_when_the_file_ends_in_it(tmp_path):
    """The slice is an error, the offset stays before the quote, and a file that closes it later is read on."""
    path = write(tmp_path, HEADER + 'S,N,2026-01-01,1\n"T,N')
    reader = csv_files.CsvFilesReader(source(path))
    pages = reader.read("a.csv", Checkpoint(slice="a.csv"))
    page = next(pages)
    assert (prices(page.records), page.last) == (["1"], False)
    with pytest.raises(SliceError):
        next(pages)
    path.write_text(HEADER + 'S,N,2026-01-01,1\n"T,N",N,2026-01-01,2\n')
    after = Checkpoint(slice="a.csv", position=page.position, validators=page.validators)
    assert prices(read(path, after)[0]) == ["2"]


@pytest.mark.parametrize(
    "content",
    [
        "symbol,name,date\nS,N,2026-01-01\n",
        "symbol,name,date,price,price\nS,N,2026-01-01,1,2\n",
        "a\n",
        '"a"b,c\n',
        "x" * 3000 + "\n",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\n\xff\x00\n",
        b"symbol,name,date,price,\xff\nS,N,2026-01-01,1,x\n",
        b"symbol,name,date,price,a\x00b\nS,N,2026-01-01,1,x\n",
    ],
)
def test_file_is_an_error_of_its_own_when_its_header_cannot_be_used(tmp_path, content):
    """Its message names the file, and can be stored whatever the header holds."""
    assert error(write(tmp_path, content), max_record_bytes=1000) == "bad_header"


def test_rest_is_read_when_a_file_keeps_ending_in_a_quote(tmp_path):
    """What was waited for in vain is a rejection of the first line; all of it is read again once the file grows."""
    start = HEADER + "S,N,2026-01-01,1\n"
    path = write(tmp_path, start + '"T,\nU\n')
    reader = csv_files.CsvFilesReader(source(path))
    page = next(reader.read("a.csv", Checkpoint(slice="a.csv")))
    waiting = Checkpoint(slice="a.csv", position=page.position, validators=page.validators)
    records, after = read(path, waiting)
    assert (prices(records), after.position["offset"]) == (["unclosed_quote", "ragged_row"], len(start))
    assert read(path, after) == ([], after)
    path.write_text(start + '"T,\nU\n",N,2026-01-01,4\n')
    records, after = read(path, after)
    assert (prices(records), after.position["offset"]) == (["4"], path.stat().st_size)


def test_unclosed_quote_is_waited_for_again_when_the_file_grew_meanwhile(tmp_path):
    """Somebody is still writing it, until a record would be too long."""
    path = write(tmp_path, HEADER + '"T,N')
    page = next(csv_files.CsvFilesReader(source(path)).read("a.csv", Checkpoint(slice="a.csv")))
    waiting = Checkpoint(slice="a.csv", position=page.position, validators=page.validators)
    path.write_text(HEADER + '"T,N,2026-01-01,2\nU,N,2026-01-01,3\n')
    assert error(path, waiting) == "unclosed_quote"
    path.write_text(HEADER + '"T,N,2026-01-01,2\n' + "U,N,2026-01-01,3\n" * 100)
    records, after = read(path, waiting, max_record_bytes=1000)
    assert prices(records) == ["record_too_long", *["3"] * 100]
    assert after.position["offset"] == path.stat().st_size


def test_columns_are_told_apart_when_names_repeat_or_are_blank(tmp_path):
    """Every cell is kept under a name of its own."""
    path = write(tmp_path, "symbol,name,date,price,note,note,,,last\nS,N,2026-01-01,1,x,2,3,4,5\n")
    records, _ = read(path)
    assert records[0].fields == {
        "symbol": "S", "name": "N", "date": "2026-01-01", "price": "1",
        "note": "x", "note_6": "2", "_7": "3", "_8": "4", "last": "5",
    }  # fmt: skip


def test_file_is_an_error_of_its_own_when_a_mapped_column_stands_twice(tmp_path):
    """Which of two prices is meant, nobody knows."""
    path = write(tmp_path, "symbol,name,date,price,price\nS,N,2026-01-01,1,2\n")
    assert error(path) == "bad_header"


def test_bytes_read_are_those_of_the_file_when_it_is_read_whole(tmp_path):
    """A run's record says how much was read."""
    path = write(tmp_path, "symbol,name,date,price\nS,N,2026-01-01,1\n")
    pages = csv_files.CsvFilesReader(source(str(path))).read(path.name, Checkpoint(slice=path.name))
    assert sum(page.bytes_read for page in pages) == path.stat().st_size


def test_no_cell_is_lost_when_made_up_names_meet_real_ones(tmp_path):
    """A second `a` in third place must not hide a column that is called `a_3`."""
    for names in ("a_7,a,a", "a,a,a_6", "a_8,a_7,a,a"):
        cells = [str(number) for number in range(2, 3 + names.count(","))]
        path = write(tmp_path, f"symbol,name,date,price,{names}\nS,N,2026-01-01,1,{','.join(cells)}\n")
        records, _ = read(path)
        assert list(records[0].fields.values())[4:] == cells


def test_file_is_an_error_of_its_own_when_it_cannot_be_opened(tmp_path):
    """Gone between listing and reading, or never readable."""
    assert error(tmp_path / "gone.csv") == "file_unreadable"


def test_slices_are_paths_below_the_fixed_part_when_files_lie_in_folders(tmp_path):
    """In the order of their names, folders left out."""
    for name in ("b.csv", "x/a.csv", "x/y/c.csv", "x/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(HEADER)
    (tmp_path / "folder.csv").mkdir()
    reader = csv_files.CsvFilesReader(source(tmp_path / "**/*.csv"))
    assert reader.slices() == ["b.csv", "x/a.csv", "x/y/c.csv"]
    assert csv_files.CsvFilesReader(source(tmp_path / "x/*.csv")).slices() == ["a.csv"]
    assert csv_files.CsvFilesReader(source(tmp_path / "b.csv")).slices() == ["b.csv"]


def test_it_is_said_when_what_matches_is_no_file(tmp_path, caplog):
    """A link that leads nowhere, and a folder that is called as a file."""
    write(tmp_path, HEADER)
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.csv").mkdir()
    assert csv_files.CsvFilesReader(source(tmp_path / "*.csv")).slices() == ["a.csv"]
    assert caplog.messages == ["is no file"] * 2


def test_folder_is_an_error_of_its_own_when_it_cannot_be_looked_into(tmp_path, monkeypatch):
    """It is not taken for empty; the others are read, and what only root may see on every disk is left out."""
    for name in ("open/a.csv", "open/closed/b.csv", "lost+found/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(HEADER)
    monkeypatch.setattr("os.access", lambda path, _mode: path.name not in ("closed", "lost+found"))
    monkeypatch.setattr("os.path.isfile", lambda path: path.name == "a.csv")
    reader = csv_files.CsvFilesReader(source(tmp_path / "**/*.csv"))
    assert reader.slices() == ["open/a.csv", "open/closed/"]
    assert csv_files.CsvFilesReader(source(tmp_path / "open/*.csv")).slices() == ["a.csv"]
    with pytest.raises(SliceError, match="open/closed: this folder cannot be looked into"):
        next(reader.read("open/closed/", Checkpoint(slice="open/closed/")))
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert csv_files.CsvFilesReader(source(tmp_path / "open/*.csv")).slices() == ["a.csv", "./"]


def test_it_is_said_when_no_file_matches(tmp_path, caplog):
    """Nothing to read is no error, but hardly what was meant."""
    assert csv_files.CsvFilesReader(source(tmp_path / "*.csv")).slices() == []
    assert caplog.messages == ["no file matches"]


def test_source_fails_when_its_folder_is_missing(tmp_path):
    """A volume that is not mounted must not look like an archive without news."""
    with pytest.raises(SliceError, match="there is no folder"):
        csv_files.CsvFilesReader(source(tmp_path / "none/*.csv")).slices()


def test_page_ends_early_when_its_records_are_long(tmp_path, monkeypatch):
    """Memory follows bytes, not only the number of records."""
    monkeypatch.setattr(csv_files, "_PAGE_BYTES", 10)
    path = write(tmp_path, HEADER + ROWS)
    pages = list(csv_files.CsvFilesReader(source(str(path))).read(path.name, Checkpoint(slice=path.name)))
    assert len(pages) > 2
    assert [page.last for page in pages].index(True) == len(pages) - 1


def test_slices_are_found_when_the_glob_is_relative(tmp_path, monkeypatch):
    """Relative to where the service runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", HEADER + ROWS)
    for glob in ("data/*.csv", "./data/*.csv", "*/a.csv", "data/a.csv"):
        reader = csv_files.CsvFilesReader(source(glob))
        (name,) = reader.slices()
        (page,) = reader.read(name, Checkpoint(slice=name))
        assert len(page.records) == 7


def test_pages_end_at_record_boundaries_when_a_file_is_long(tmp_path):
    """Reading can go on after any of them, and gives what was left."""
    path = write(tmp_path, HEADER + ROWS)
    reader = csv_files.CsvFilesReader(source(path), page_records=3)
    pages = list(reader.read("a.csv", Checkpoint(slice="a.csv")))
    assert [(len(page.records), page.last) for page in pages] == [(3, False), (3, False), (1, True)]
    assert sum(page.bytes_read for page in pages) == len(HEADER + ROWS)
    for number, page in enumerate(pages):
        start = Checkpoint(slice="a.csv", position=page.position, validators=page.validators)
        records = [record for rest in pages[number + 1 :] for record in rest.records]
        assert read(path, start)[0] == records


OTHER_HEADERS = {
    "names in another order": ("date,price,symbol,name", "2026-01-02,9,S,N", ["1", "9"]),
    "padded, in another order": ("symbol ,price  ,date\t,name ", "S,9,2026-01-02,N", ["1", "9"]),
    "in another case": ("Symbol,NAME,date,Price", "S,N,2026-01-02,9", ["1", "9"]),
    "another column": ("symbol,name,date,volume", "S,N,2026-01-02,9", ["1", "bad_header", "bad_header"]),
    "a column less": ("symbol,date,price", "S,2026-01-02,9", ["1", "bad_header", "bad_header"]),
    "one name": ("id,name,when,close", "S,N,2026-01-02,9", ["1", "bad_header", "bad_header"]),
}


@pytest.mark.parametrize(("header", "row", "expected"), OTHER_HEADERS.values(), ids=OTHER_HEADERS.keys())
def test_rows_are_read_by_the_header_above_them_or_rejected_when_a_file_has_another(tmp_path, header, row, expected):
    """Until one comes that has the file's columns; read in two steps, wherever they meet, it is the same."""
    text = f"{HEADER}S,N,2026-01-01,1\n{header}\n{row}\n"
    whole = text + f"{HEADER}S,N,2026-01-03,3\n"
    records, after = read(write(tmp_path, whole))
    assert prices(records) == [*expected, "3"]
    half, checkpoint = read(write(tmp_path, text[: -len(row) - 1]))
    rest, grown = read(write(tmp_path, whole), checkpoint)
    assert (half + rest, grown) == (records, after)


def test_row_is_rejected_when_a_cell_stands_where_the_header_has_no_name(tmp_path):
    """A comma at the header's end must not let a price with thousands pass as one of dollars."""
    records, _ = read(write(tmp_path, "symbol,name,date,price,\nS,N,2026-01-01,42,001\nS,N,2026-01-01,42, \n"))
    assert prices(records) == ["ragged_row", "42"]


def test_quoted_cells_are_read_when_spaces_stand_before_them(tmp_path):
    """As databases and people write them; a comma in the quotes is of the cell."""
    records, _ = read(write(tmp_path, HEADER + 'S, "N, the coin", 2026-01-01, "1.5"\n'))
    assert records[0].fields == {"symbol": "S", "name": "N, the coin", "date": "2026-01-01", "price": "1.5"}


def test_message_is_for_users_when_a_carriage_return_stands_in_a_line(tmp_path):
    """The module's own one gives advice to programmers."""
    records, _ = read(write(tmp_path, HEADER + "S,a\rb,2026-01-01,1\n"))
    assert records[0].defect.message == "a carriage return stands in the middle of the line, in no quotes"
