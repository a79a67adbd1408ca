"""Any CSV file, and any bytes that are called one: nothing lost, nothing doubled, nothing that breaks."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kasparro.errors import SliceError
from kasparro.etl import schedule
from kasparro.etl.readers import csv_files
from kasparro.etl.source import FIELD_TYPES, FieldMap, Files, Kind, Source
from kasparro.model import Checkpoint

HEADER = "symbol,name,date,price\n"
MAPPED = {"symbol": "symbol", "name": "name", "observed_at": "date", "price_usd": "price"}


def read(path, checkpoint=None):
    """What reading this file gives from the checkpoint on: its records, and the checkpoint after the last page."""
    maps = {name: FieldMap(paths=(column,), type=FIELD_TYPES[name]) for name, column in MAPPED.items()}
    files = Files(glob=str(path), max_record_bytes=60)
    plan = schedule.parse("every 1m")
    reader = csv_files.CsvFilesReader(Source(name="a", kind=Kind.CSV_FILES, schedule=plan, fields=maps, files=files))
    after = checkpoint or Checkpoint(slice=path.name)
    records = []
    for page in reader.read(path.name, after):
        records += page.records
        # What the database gives back, because it is kept as JSON there.
        position = json.loads(json.dumps(page.position))
        after = Checkpoint(slice=page.slice, position=position, validators=dict(page.validators))
    return records, after


CELL = st.text(st.sampled_from('ab1 ,"\n\r;ä🐰'), max_size=5)


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.data())
def test_growth_in_any_steps_gives_the_same_records_as_the_whole_file(tmp_path_factory, rows, data):
    """However often a file is read while it is being written, no record is lost or doubled."""
    lines = [HEADER.encode()]
    lines += ['"{}","{}",2026-01-01,1\r\n'.format(*(cell.replace('"', '""') for cell in row)).encode() for row in rows]
    steps = sorted(data.draw(st.lists(st.integers(1, len(lines)), max_size=4)))
    path = tmp_path_factory.mktemp("growth") / "a.csv"
    grown, after = [], None
    for step in [*steps, len(lines)]:
        path.write_bytes(b"".join(lines[:step]))
        records, after = read(path, after)
        grown += records
    whole, end = read(path)
    assert (grown, after) == (whole, end)


ANY_FILE = st.one_of(
    st.binary(max_size=300),
    st.text(st.sampled_from('a,"\n\r\x00ä\ufeff'), max_size=80).map(str.encode),
    st.lists(st.sampled_from([b"S,N,2026-01-01,1", b'"', b"\n", b"\r\n", b",", b"\xff", b"\x00", b"x" * 70])).map(
        lambda parts: HEADER.encode() + b"".join(parts)
    ),
)


@given(ANY_FILE, ANY_FILE)
def test_any_bytes_give_pages_or_an_error_of_the_slice_when_read(tmp_path_factory, content, more):
    """Nothing else is raised, it ends, and what it gives can be stored; so it is after the file changed."""
    folder: Path = tmp_path_factory.mktemp("any")
    after = None
    for each in (content, content + more, more):
        path = folder / "a.csv"
        path.write_bytes(each)
        try:
            records, after = read(path, after)
        except SliceError:
            continue
        assert all(record.payload.isascii() for record in records)
        assert after.position["offset"] <= len(each)
        "".join(after.position["columns"]).encode()
