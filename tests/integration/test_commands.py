"""Commands that look at the database or change what is in it, in this process: what they refuse, and leave alone."""

import pytest

from kasparro import __main__
from kasparro.commands import signals
from kasparro.config import VARIABLES
from kasparro.store import db, schedules


@pytest.fixture(autouse=True)
def environment(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's database and no other setting; signals, the loggers and the streams stay those of the test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("KASPARRO_CSV_GLOB", "/nowhere/*.csv")
    monkeypatch.setattr(signals, "catch", lambda _stop: None)
    monkeypatch.setattr(signals, "end_at_once", lambda: None)


@pytest.mark.parametrize("command", ["rejections list", "drift list", "runs list", "runs compare"])
def test_source_that_is_nowhere_exits_2(command: str, conn: db.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is no empty list; a source that is no longer configured is one that may be asked for."""
    schedules.lock(conn, "bygone")
    assert __main__.main([*command.split(), "--source", "nosuch"]) == 2
    assert capsys.readouterr().err == ("kasparro: there is no source 'nosuch' (bygone, coingecko, coinpaprika, csv)\n")
    assert __main__.main([*command.split(), "--source", "bygone"]) == (1 if command == "runs compare" else 0)


def test_replay_of_a_run_that_is_not_the_sources_exits_2(
    conn: db.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would replay nothing and call that success; no run is recorded for it."""
    conn.execute(
        """
        insert into runs (source, slice, trigger, status, code_version, config_fingerprint, started_at, finished_at)
        values ('coingecko', '', 'cli', 'succeeded', '1', 'x', now(), now())
        """
    )
    for run_id in ("1", "999999"):
        assert __main__.main(["replay", "--source", "csv", "--run", run_id]) == 2
        assert f"--run: there is no run {run_id} of csv" in capsys.readouterr().err
    assert conn.execute("select count(*) from runs").fetchone() == (1,)
