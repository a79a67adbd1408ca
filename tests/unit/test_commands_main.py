"""The command line in one process: what is parsed, what is printed where, and with which exit code it ends."""

import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kasparro import __main__, __version__, errors
from kasparro.commands import arguments
from kasparro.config import VARIABLES

COMMANDS = [
    "serve", "run", "status", "sources", "migrate", "healthcheck", "backfill", "runs", "rejections", "drift",
    "replay", "prune", "faults", "demo", "upstream",
]  # fmt: skip


@pytest.fixture(autouse=True)
def untouched_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without settings, and signal handlers and logging as they were."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    logged, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = logged, level
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_help_has_one_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And every setting with its meaning."""
    with pytest.raises(SystemExit) as ended:
        __main__.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n    {name}" in text] == COMMANDS == list(arguments.COMMANDS)
    assert all(f"  {name} " in text and meaning in text for name, meaning in VARIABLES.items())
    assert "KASPARRO_SOURCE_<NAME>_{URL,SCHEDULE,ENABLED,MAX_PAGES,RATE}" in text


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """What runs, in a form that scripts can cut."""
    with pytest.raises(SystemExit):
        __main__.main(["--version"])
    assert capsys.readouterr().out == f"kasparro {__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["run"],
        ["run", "csv", "--all"],
        ["sources"],
        ["runs"],
        ["runs", "show"],
        ["runs", "show", "0"],
        ["runs", "list", "--status", "done"],
        ["serve", "--fast"],
        ["demo", "--port", "x"],
        ["upstream", "--port", "65536"],
        ["upstream", "--requests-per-minute", "0"],
    ],
)
def test_usage_error_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed is wrong: argparse says how it goes."""
    with pytest.raises(SystemExit) as ended:
        __main__.main(argv)
    assert ended.value.code == 2
    assert "usage: kasparro" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "most"),
    [
        (["prune", "--raw-days"], 36_500),
        (["prune", "--runs"], 10**9),
        (["rejections", "list", "--limit"], 10_000),
        (["drift", "list", "--limit"], 10_000),
        (["drift", "accept"], 2**63 - 1),
        (["runs", "list", "--limit"], 10_000),
        (["runs", "show"], 2**63 - 1),
        (["runs", "compare", "1"], 2**63 - 1),
        (["replay", "--source", "csv", "--run"], 2**63 - 1),
        (["backfill", "csv", "--from", "2025-01-01", "--top"], 10**9),
        (["sources", "try", "map.toml", "a.csv", "--limit"], 10_000),
    ],
)
def test_number_beyond_its_bounds_exits_2(argv: list[str], most: int, capsys: pytest.CaptureFixture[str]) -> None:
    """None reaches Postgres, and the error says which there may be; digits of other scripts are none."""
    for wrong in (str(most + 1), "9" * 5000, "0", "\uff15"):
        with pytest.raises(SystemExit) as ended:
            __main__.main([*argv, wrong])
        err = capsys.readouterr().err
        assert (ended.value.code, f" from 1 to {most}, got '{wrong[:40]}" in err) == (2, True), err
    assert arguments.COMMANDS[argv[0]]


def test_unknown_rejection_code_exits_2_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Of both commands that take one."""
    for argv in (["rejections", "list"], ["replay", "--source", "csv"]):
        with pytest.raises(SystemExit) as ended:
            __main__.main([*argv, "--code", "nosuch"])
        err = capsys.readouterr().err
        assert ended.value.code == 2
        assert all(code in err for code in ("'nosuch'", "price_missing", "ambiguous_key", "schema_drift"))


def test_no_command_prints_the_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr: nobody asked for it."""
    assert __main__.main([]) == 2
    printed = capsys.readouterr()
    assert "commands:" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "command", [["serve"], ["run", "csv"], ["prune"], ["status"], ["sources", "check"], ["migrate"], ["demo"]]
)
def test_bad_settings_exit_2_with_a_line_each(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, before anything else is done."""
    monkeypatch.setenv("KASPARRO_PORT", "eighty")
    monkeypatch.setenv("KASPARRO_PREPARE", "maybe")
    assert __main__.main(command) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in lines] == [["kasparro:", "KASPARRO_PORT:"], ["kasparro:", "KASPARRO_PREPARE:"]]


def test_bad_settings_exit_1_from_a_health_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker reserves the code 2."""
    monkeypatch.setenv("KASPARRO_PORT", "eighty")
    assert __main__.main(["healthcheck"]) == 1


def test_bad_option_of_the_stand_in_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """The options check themselves; the line names the one."""
    assert __main__.main(["upstream", "--seed", "-1"]) == 2
    assert capsys.readouterr().err.startswith("kasparro: seed: must be a whole number")


@pytest.mark.parametrize(
    ("raised", "code"),
    [(errors.SchemaError("behind"), 1), (errors.ConfigError(["a: b"]), 2), (KeyboardInterrupt(), 130)],
)
def test_error_of_a_command_becomes_an_exit_code(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command raises on purpose is a line and a code, never a traceback."""

    def fail(*_: object) -> int:
        raise raised

    monkeypatch.setattr(__main__, "_load", lambda _name: fail)
    assert __main__.main(["status"]) == code


def test_signal_ends_a_command_at_once_while_it_is_only_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to wind up yet, and importing takes seconds on a loaded machine."""

    def load(_name: str) -> __main__.Run:
        os.kill(os.getpid(), signal.SIGTERM)
        return lambda *_: 0

    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(__main__, "_load", load)
    __main__.main(["serve"])
    assert codes == [143]


def test_what_upstreams_and_files_say_is_complained_of_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever would move the cursor, or turn the direction of writing, is an escape."""

    def fail(*_: object) -> int:
        raise errors.KasparroError("a\nb\u202e.csv\x1b[2J")

    monkeypatch.setattr(__main__, "_load", lambda _name: fail)
    __main__.main(["status"])
    assert capsys.readouterr().err == "kasparro: a\\nb\\u202e.csv\\x1b[2J\n"


def test_sources_list_says_where_each_file_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The built-in ones, aligned, without colours or boxes where nobody looks."""
    assert __main__.main(["sources", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["source", "coingecko", "coinpaprika", "csv"]
    assert lines[1].split()[1:5] == ["json_api", "every", "20m", "yes"]
    assert all(line.endswith(f"/{line.split()[0]}.toml") for line in lines[1:])


def test_sources_check_passes_with_the_built_in_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shipped stays within the upstreams' free plans."""
    assert __main__.main(["sources", "check", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert {name: source["calls_per_month"] for name, source in answer["sources"].items()} == {
        "coingecko": 8766, "coinpaprika": 8766, "csv": 0,
    }  # fmt: skip


def test_sources_check_fails_above_the_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By how much, and which settings would change it."""
    monkeypatch.setenv("KASPARRO_SOURCE_COINPAPRIKA_SCHEDULE", "every 1m")
    assert __main__.main(["sources", "check"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "43,830 upstream calls a month are 23,830 above its budget of 20,000" in line
    assert "KASPARRO_SOURCE_COINPAPRIKA_SCHEDULE (for example 'every 3m')" in line


def test_sources_check_masks_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough to tell two keys apart, too little to use one."""
    monkeypatch.setenv("COINGECKO_API_KEY", "CG-hunter2hunter2-last")
    monkeypatch.setenv("COINPAPRIKA_API_KEY", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://kasparro:hunter2@db/kasparro")
    assert __main__.main(["sources", "check"]) == 0
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert "set (…last)" in printed.out
    assert "https://api-pro.coinpaprika.com/v1" in printed.out


def test_bad_settings_and_sources_are_reported_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody should start the service three times to learn of three mistakes."""
    monkeypatch.setenv("KASPARRO_PORT", "eighty")
    monkeypatch.setenv("KASPARRO_SOURCE_COINGECKO_SCHEDULE", "0 0 30 2 *")
    monkeypatch.setenv("KASPARRO_SOURCE_NOPE_URL", "http://h")
    monkeypatch.setenv("DATABASE_URL", "host=h sslmode=hunter2")
    assert __main__.main(["status"]) == 2
    err = capsys.readouterr().err
    assert {line.split()[1] for line in err.splitlines()} == {
        "KASPARRO_PORT:", "KASPARRO_SOURCE_COINGECKO_SCHEDULE:", "KASPARRO_SOURCE_NOPE_URL:", "DATABASE_URL:",
    }  # fmt: skip
    assert "hunter2" not in err


def test_source_is_not_called_missing_when_its_folder_could_not_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be in there."""
    monkeypatch.setenv("KASPARRO_SOURCES_DIR", "/does/not/exist")
    monkeypatch.setenv("KASPARRO_SOURCE_DESK_URL", "http://h")
    assert __main__.main(["sources", "list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kasparro: KASPARRO_SOURCES_DIR: ")


@pytest.mark.parametrize("command", [["sources", "list"], ["sources", "check", "--json"]])
def test_unknown_settings_are_one_line_on_stderr(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout stays what programs read."""
    monkeypatch.setenv("KASPARRO_PROT", "1")
    monkeypatch.setenv("KASPARRO_SOURCE__URL", "http://h")
    assert __main__.main(command) == 0
    assert capsys.readouterr().err == "kasparro: unknown settings, ignored: KASPARRO_PROT, KASPARRO_SOURCE__URL\n"


def test_sources_check_warns_of_a_plan_without_its_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever set the plan believes to be on the pro host."""
    monkeypatch.setenv("COINGECKO_API_PLAN", "pro")
    assert __main__.main(["sources", "check"]) == 0
    warning = "kasparro: coingecko: COINGECKO_API_PLAN=pro has no effect without COINGECKO_API_KEY\n"
    assert capsys.readouterr().err == warning
