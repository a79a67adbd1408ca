"""What `kasparro sources try` shows of a map and files, and how it ends: no database, no settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from kasparro import __main__
from kasparro.etl import source_file, trial

MAP = """\
name = "mine"
kind = "csv_files"
schedule = "every 1h"
expected = [{expected}]

[files]
glob = "elsewhere/*.csv"

[fields]
symbol = "symbol"
name = {{ template = "{{symbol}}" }}
observed_at = "date"
price_usd = "price"
"""
HEADER = "symbol,date,price\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(MAP.format(expected=""))
    return tmp_path


def write(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def attempt(folder: Path, *more: object) -> int:
    return __main__.main(["sources", "try", str(folder / "mine.toml"), *map(str, more)])


def attempt_json(folder: Path, capsys: pytest.CaptureFixture[str], *more: object) -> tuple[int, list[dict[str, Any]]]:
    code = attempt(folder, "--json", *more)
    files: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["files"]
    return code, files


def test_try_shows_the_first_quotes_and_exits_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees what would be in /data, with exact numbers; the map's glob need not name the file."""
    path = write(folder, HEADER + "BTC,2024-01-01,1.50e-7\nETH,2024-01-03,2\nETH,2024-01-02,3\n")
    assert attempt(folder, path, "--limit", 2) == 0
    out = capsys.readouterr().out
    assert "3 records: 3 quotes, 0 rejected; listings: 2, 2024-01-01T00:00:00Z to 2024-01-03T00:00:00Z" in out
    assert "0.000000150" in out
    assert "2024-01-02" not in out.partition("\n")[2]
    assert "market_cap_usd" not in out


def test_try_accounts_for_every_record_and_exits_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason is counted, with its first record as it stands in the file."""
    path = write(folder, HEADER + "BTC,2024-01-01,1\nBTC,2024-01-02,x\nBTC,2024-01-03\nBTC,2024-01-04,y\n")
    code, (found,) = attempt_json(folder, capsys, path)
    assert code == 3
    assert (found["read"], found["quotes"], found["rejected"]) == (4, 1, 3)
    reasons = {each["code"]: each for each in found["rejections"]}
    assert {name: each["records"] for name, each in reasons.items()} == {"not_a_number": 2, "ragged_row": 1}
    assert (reasons["not_a_number"]["field"], reasons["not_a_number"]["first_record"]) == ("price_usd", 2)
    assert reasons["not_a_number"]["payload"] == {"symbol": "BTC", "date": "2024-01-02", "price": "x"}


def test_try_shows_what_stands_around_a_quote_that_is_never_closed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The records before it, and those behind it as a run reads them that waited for its end in vain."""
    path = write(folder, HEADER + 'BTC,2024-01-01,1\n"BTC,2024-01-02,2\nBTC,2024-01-03,3\n')
    code, (found,) = attempt_json(folder, capsys, path)
    assert (code, found["read"], found["quotes"]) == (1, 3, 2)
    assert [each["code"] for each in found["rejections"]] == ["unclosed_quote"]
    assert "follow a quote that is not closed" in found["error"]


def test_try_exits_0_when_all_rejections_are_expected(folder: Path) -> None:
    """What the map calls normal is no failure."""
    (folder / "mine.toml").write_text(MAP.format(expected='"price_missing"'))
    assert attempt(folder, write(folder, HEADER + "BTC,2024-01-01,\n")) == 0


def test_try_goes_on_after_a_file_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are shown all the same, and the exit code tells."""
    good, bad = write(folder, HEADER + "BTC,2024-01-01,1\n"), write(folder, "a,b\n1,2\n", "b.csv")
    assert attempt(folder, folder / "absent.csv", bad, folder, good) == 1
    captured = capsys.readouterr()
    assert f"{good}: 1 records: 1 quotes" in captured.out
    assert "absent.csv: there is no such file" in captured.err
    assert f"{folder}: is no file" in captured.err
    assert "no column for" in captured.err


def test_try_names_the_key_of_a_bad_map_and_exits_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same words as when the service starts."""
    (folder / "mine.toml").write_text(MAP.format(expected="").replace("price_usd", "price_eur"))
    assert attempt(folder, write(folder, HEADER)) == 2
    assert "mine.toml: fields.price_eur: there is no quote field" in capsys.readouterr().err


def test_try_refuses_a_map_that_reads_no_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An API's map has nothing to do with a file."""
    source = Path(trial.__file__).parent / "sources" / "coingecko.toml"
    assert __main__.main(["sources", "try", str(source), str(write(folder, HEADER))]) == 2
    assert "coingecko.toml: kind: only a csv_files source" in capsys.readouterr().err


def test_try_finds_a_file_whose_path_looks_like_a_pattern(folder: Path) -> None:
    """Browsers call a second download `prices (1)[x].csv`."""
    (folder / "a[1]*").mkdir()
    assert attempt(folder, write(folder / "a[1]*", HEADER + "BTC,2024-01-01,1\n", "[b]*?.csv")) == 0


def test_trial_keeps_little_of_a_long_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples and counts only, whatever the file's length."""
    monkeypatch.setattr(trial, "MAX_LISTINGS", 10)
    rows = "".join(f"S{number},2024-01-01,{number % 2 or 'x'}\n" for number in range(20_000))
    found = trial.run(source_file.load(folder / "mine.toml"), write(folder, HEADER + rows), first=3)
    assert (found.read, found.quotes, found.rejected) == (20_000, 10_000, 10_000)
    assert (len(found.first), len(found.reasons), len(found.listings)) == (3, 1, 10)


def test_try_rejects_rows_that_contradict_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a run does: all of them, the first as well; rows that only repeat a quote are counted apart."""
    rows = "BTC,2024-01-01,1\nBTC,2024-01-01,2\nBTC,2024-01-01,1\nETH,2024-01-01,7\nETH,2024-01-01,7.0\n"
    path = write(folder, HEADER + rows)
    code, (found,) = attempt_json(folder, capsys, path)
    assert (code, found["read"], found["quotes"], found["repeated"], found["rejected"]) == (3, 5, 2, 1, 3)
    assert [(each["code"], each["records"]) for each in found["rejections"]] == [("ambiguous_key", 3)]
    assert [each["symbol"] for each in found["first_quotes"]] == ["ETH", "ETH"]


def test_try_lets_the_last_row_count_where_the_map_says_so(folder: Path) -> None:
    """`duplicates = "last"` is a person's word that rows are corrections."""
    text = MAP.format(expected="").replace("[files]", '[files]\nduplicates = "last"')
    (folder / "mine.toml").write_text(text)
    assert attempt(folder, write(folder, HEADER + "BTC,2024-01-01,1\nBTC,2024-01-01,2\n")) == 0


def test_trial_forgets_old_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is bounded, and the newest of it is kept."""
    monkeypatch.setattr(trial, "MAX_KEYS", 4)
    rows = "".join(f"S{number},2024-01-01,1\n" for number in range(20)) + "S19,2024-01-01,2\n"
    found = trial.run(source_file.load(folder / "mine.toml"), write(folder, HEADER + rows), first=1)
    assert (found.read, found.quotes, found.rejected) == (21, 19, 2)


def test_try_names_a_file_as_a_run_does_when_the_map_s_glob_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands in the folders of its path is there for name_pattern."""
    text = MAP.format(expected="").replace('"elsewhere/*.csv"', '"files/*/*.csv"\nname_pattern = "^(?P<coin>[A-Z]+)/"')
    (folder / "mine.toml").write_text(text.replace('"symbol"', '"coin"'))
    (folder / "files" / "BTC").mkdir(parents=True)
    path = write(folder, "date,price\n2024-01-01,1\n", "files/BTC/2026.csv")
    code, (found,) = attempt_json(folder, capsys, path)
    assert (code, found["quotes"]) == (0, 1)
