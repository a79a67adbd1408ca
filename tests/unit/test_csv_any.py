"""Any CSV file, and any bytes that are called one: nothing lost, nothing doubled, nothing that breaks."""

import codecs
import gzip
import json

import pytest
from attrs import evolve
from csv_reading import load
from hypothesis import given, settings
from hypothesis import strategies as st

from kasparro.errors import SliceError
from kasparro.etl import normalise
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.model import Checkpoint

# Bytes of a record; few, so that files of a few rows reach it.
MAX_BYTES = 60
HEADER = "symbol,name,date,price"
# Headers that another export, appended to the file, may have.
OTHERS = [HEADER, "price,name,date,symbol", "symbol,name,date,volume", "symbol,date,price"]
WIDE = "wide = { columns = '(?P<note>pri.*)', value = 'price' }"
MAPS = {
    "plain": "",
    "comments": 'comment = "#"\nskip_lines = 1',
    "nameless": 'columns = ["symbol", "name", "date", "price"]',
    "wide": WIDE,
    "tabs": 'delimiter = "\\t"\ndecimal = ","',
    "cp1252": 'encoding = "cp1252"',
    "utf-16-le": 'encoding = "utf-16-le"',
    "utf-16-be": 'encoding = "utf-16-be"',
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A source for each of MAPS."""
    folder = tmp_path_factory.mktemp("maps")
    made = {name: load(folder, files=files) for name, files in MAPS.items()}
    return {
        name: evolve(each, files=evolve(each.files, max_record_bytes=MAX_BYTES), fields=each.fields)
        for name, each in made.items()
    }


class Reading:
    """One file through its versions: the records that were read for good, those that were not, and the checkpoint."""

    def __init__(self, source, path):
        self._reader = CsvFilesReader(evolve(source, files=evolve(source.files, glob=str(path))))
        self._normaliser = normalise.compile_source(source)
        self._path = path
        self.kept, self.waiting, self.errors = [], [], []
        self.after = Checkpoint(slice=path.name)

    def step(self, content):
        """Read the file with this content; a clear error ends that, and what came before it counts."""
        self._path.write_bytes(content)
        waiting, self.waiting = self.waiting, []
        try:
            for page in self._reader.read(self._path.name, self.after):
                if not page.records and page.position is self.after.position:
                    self.waiting = waiting
                    return
                items = [self._normaliser(record, page.constants) for record in page.records]
                (self.waiting if page.unended else self.kept).extend(items)
                # What the database gives back, because it is kept as JSON there.
                position = json.loads(json.dumps(page.position))
                if page.last and position["columns"] and content[:2] != b"\x1f\x8b":
                    assert position["offset"] + position.get("tail", [0])[0] == len(content)
                self.after = Checkpoint(slice=page.slice, position=position, validators=dict(page.validators))
        except SliceError as ex:
            self.errors.append(ex)
            ex.message.encode()

    @property
    def outcome(self):
        """All that came of it: records, those that are read again, and where reading stands, if it began."""
        stands = (self.after.position, self.after.validators) if self.after.position.get("columns") else None
        return self.kept, self.waiting, stands


CELL = st.text(st.sampled_from('ab1 ,;"\n\r#-ä€č\u0d05'), max_size=5)
ROW = st.tuples(CELL, CELL, st.sampled_from(["2026-01-01", "x", ""]), st.sampled_from(["1", "2,5", "-", "$3"]))
FORMS = st.sampled_from([
    ("plain", "utf-8", ",", "\n"), ("plain", "utf-8", ";", "\r\n"), ("plain", "utf-8-sig", "|", "\n"),
    ("plain", "utf-16", ",", "\r\n"), ("plain", "utf-16", ",", "\r"),
    ("plain", "utf-8", ",", "\r"), ("cp1252", "cp1252", ",", "\n"), ("utf-16-be", "utf-16-be", ";", "\n"),
    ("tabs", "utf-8", "\t", "\n"), ("comments", "utf-8", ",", "\n"), ("nameless", "utf-8", ",", "\n"),
    ("wide", "utf-8", ",", "\n"),
])  # fmt: skip


@st.composite
def files(draw):
    """The name of a map, and a file for it: rows of any cells, quoted or raw, in one of FORMS."""
    name, encoding, delimiter, end = draw(FORMS)
    lines = ["first"] if name == "comments" else []
    lines += [] if name == "nameless" else [HEADER.replace(",", delimiter)]
    for row in draw(st.lists(ROW, max_size=7)):
        quoted = draw(st.sampled_from([0, 1, 1, 1, 2]))
        if quoted == 1:
            blank = draw(st.sampled_from(["", " "]))
            lines.append((delimiter + blank).join('"{}"'.format(cell.replace('"', '""')) for cell in row))
        else:
            lines.append(
                delimiter.join(row)
                if quoted
                else draw(
                    st.sampled_from(
                        ["", delimiter * 3, "# x", '"', HEADER, *(each.replace(",", delimiter) for each in OTHERS)]
                    )
                )
            )
    text = end.join(lines) + draw(st.sampled_from(["", end]))
    return name, text.encode(encoding, "replace")


def test_growth_in_the_middle_of_a_line_end_gives_the_same_as_the_whole_file(tmp_path, sources):
    """Half of a carriage return in UTF-16 is none yet."""
    content = codecs.BOM_UTF16_LE + f"{HEADER}\r,,2026-01-01,1\r\r\r\r\r,,2026-01-01,1".encode("utf-16-le")
    for cut in range(70, 90):
        grown, whole = (
            Reading(sources["plain"], tmp_path / "grown.csv"),
            Reading(sources["plain"], tmp_path / "whole.csv"),
        )
        for reading, parts in ((grown, (content[:cut], content, content)), (whole, (content, content))):
            for part in parts:
                reading.step(part)
        assert grown.outcome == whole.outcome, cut


@settings(max_examples=100, deadline=None)
@given(files(), st.data())
def test_growth_in_any_steps_gives_the_same_as_the_whole_file(tmp_path_factory, sources, file, data):
    """Wherever it is cut, in the middle of a character even, no record is lost or doubled.

    What ended in the middle of a line is read again, and so is what follows a quote that is not closed.
    """
    name, content = file
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    folder = tmp_path_factory.mktemp("growth")
    grown, whole = Reading(sources[name], folder / "grown.csv"), Reading(sources[name], folder / "whole.csv")
    for cut in cuts:
        grown.step(content[:cut])
    # Twice: a quote that is not closed is waited for once.
    for reading in (grown, whole):
        reading.step(content)
        reading.step(content)
    assert grown.outcome == whole.outcome


PIECES = [
    b"S,N,2026-01-01,1", HEADER.encode(), b'"', b"\n", b"\r\n", b"\r", b",", b";", b"\t", b"#", b"\xff", b"\xff\xfe",
    b"\x00", b"\x00\n", b"\n\x00", b"x" * 70, b"sep=;\n", b"\x1f\x8b",
]  # fmt: skip
ANY_FILE = st.one_of(
    st.binary(max_size=300),
    st.text(st.sampled_from('a,;"\n\r\x00ä\ufeff'), max_size=80).map(str.encode),
    st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.lists(st.sampled_from(PIECES)).map(lambda parts: HEADER.encode() + b"\n" + b"".join(parts)),
    st.lists(st.sampled_from(PIECES)).map(lambda parts: gzip.compress(HEADER.encode() + b"\n" + b"".join(parts))),
)


@settings(max_examples=100, deadline=None)
@given(ANY_FILE, ANY_FILE, st.sampled_from(sorted(MAPS)))
def test_any_bytes_give_quotes_or_rejections_or_one_clear_error_when_read(tmp_path_factory, sources, one, more, name):
    """Nothing else is raised, it ends, and what it gives can be stored; so it is after the file changed."""
    reading = Reading(sources[name], tmp_path_factory.mktemp("any") / "a.csv")
    for content in (one, one + more, more):
        reading.step(content)
        for item in (*reading.kept, *reading.waiting):
            assert (item.quote is None) != (item.rejection is None)
            assert item.payload.isascii()
            assert len(item.payload) < 30 * MAX_BYTES
        "".join(reading.after.position.get("columns", [])).encode()
