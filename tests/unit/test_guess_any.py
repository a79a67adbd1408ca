"""Whatever a file holds, a guess is a map or one clear error; and what a map is made of cannot break its TOML."""

import glob
import io
import tomllib
from pathlib import Path

import pytest
from guessing import look, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro import __main__
from kasparro.errors import SliceError
from kasparro.etl import source_file
from kasparro.etl.guess import document, draft, keys

# Pieces that files are made of, in any order: most of them make tables that are nearly right.
PIECES = st.sampled_from([
    b"date", b"symbol", b"price_usd", b"Preis (EUR)", b"close", b",", b",", b";", b"\t", b"\n", b"\n", b"\r\n", b"\r",
    b'"', b'""', b"?", b"\\",
    b"2024-01-01", b"03/04/2024", b"24.05.2026", b"1704067200", b"1,5", b"1.234", b"1,234.5", b"$5", b"5%", b"1e5",
    b"BTC", b"BTC/USD", b"N/A", b"-", b"# note", b"\xff", b"\x00", b"\xc3\xa9", b"\xef\xbb\xbf", b"09:30", b"sep=;\n",
    b"1:30 PM", b"2024-01-02T10:00:00Z", b"2024-01-01 10:00", b"13/01/2024 10:00 +0100", b"3. Mai 2024", b"time",
])  # fmt: skip
CALM = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@CALM
@given(content=st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join)))
def test_guess_answers_for_any_bytes(content: bytes, tmp_path: Path) -> None:
    """A map that only its placeholders can stop, or an error of this file; never a traceback."""
    path = write(tmp_path, "any.csv", content)
    try:
        found = draft.run([path])
    except SliceError:
        return
    text = document.write(found)
    assert tomllib.loads(text)["fields"]
    if not found.undecided:
        assert source_file.parse(text, name="a.toml", folder=tmp_path).fields["price_usd"]
    look(path)


@CALM
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_toml_text_is_read_as_it_was_written(text: str) -> None:
    """Quotes, control characters and all; and none of them, nor a sign that turns lines around, reaches a terminal."""
    written = keys.text(text)
    assert tomllib.loads(f"key = {written}") == {"key": text}
    assert written.isprintable()


@pytest.mark.parametrize(
    "name", ["a [1].csv", 'it"s.csv', "na\tme.csv", "ünï.csv", "records.csv", "csv.csv", "123.csv"]
)
def test_guess_of_a_file_of_any_name_is_a_map_of_it(name: str, tmp_path: Path) -> None:
    """The glob finds it, and the source's name is one that can be."""
    path = write(tmp_path, name, "date,symbol,price_usd\n2024-01-01,BTC,42000\n")
    source = source_file.parse(document.write(draft.run([path])), name="a.toml", folder=tmp_path)
    assert source.files is not None
    assert source.name not in ("records", "csv")

    assert glob.glob(source.files.glob) == [str(path)]


def test_guess_prints_a_map_that_try_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the map goes to stdout; the first quotes, and what to do next, to stderr."""
    path = write(tmp_path, "BTC-USD.csv", "date,close\n2024-01-01,42000\n2024-01-02,43000\n")
    assert __main__.main(["sources", "guess", str(path)]) == 0
    captured = capsys.readouterr()
    (tmp_path / "my.toml").write_text(captured.out, encoding="utf-8")
    assert "of 2 records read 2 give quotes" in captured.err
    assert "Then: kasparro sources try btc_usd.toml" in captured.err
    assert __main__.main(["sources", "try", str(tmp_path / "my.toml"), str(path)]) == 0


def test_guess_exits_3_and_says_what_to_fill_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key and both possibilities, on stderr too, where a person looks who sends the map to a file."""
    path = write(tmp_path, "a.csv", "date,symbol,price_usd\n03/04/2024,BTC,42000\n")
    assert __main__.main(["sources", "guess", str(path)]) == 3
    captured = capsys.readouterr()
    assert "observed_at: the order of day and month: '03/04/2024' is 03 April 2024" in captured.err
    assert "or 04 March 2024" in captured.out
    assert __main__.main(["sources", "guess", "--json", str(path)]) == 3
    assert '"key": "observed_at"' in capsys.readouterr().out


def test_guess_of_what_cannot_be_read_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout that could be taken for a map."""
    assert __main__.main(["sources", "guess", str(tmp_path / "absent.csv")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "absent.csv: there is no such file" in captured.err


def test_guess_writes_utf8_whatever_stdout_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map is a TOML file, and those are UTF-8; a terminal that is not must not end it with a traceback."""
    path = write(tmp_path, "a.csv", "Datum,Kürzel,Kurs (USD)\n2024-01-01,BTC,5\n")
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding="latin-1", write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        assert __main__.main(["sources", "guess", str(path)]) == 0
    assert tomllib.loads(written.getvalue().decode("utf-8"))["fields"]["symbol"] == "Kürzel"


def test_try_shows_what_stdout_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As escapes: a coin's name in another script is no reason to fail."""
    path = write(tmp_path, "a.csv", "date,symbol,price_usd\n2024-01-01,Ωmega,5\n")
    (tmp_path / "my.toml").write_text(document.write(draft.run([path])), encoding="utf-8")
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        assert __main__.main(["sources", "try", str(tmp_path / "my.toml"), str(path)]) == 0
    assert b"\\u03a9mega" in written.getvalue()
