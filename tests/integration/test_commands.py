"""Commands that look at the database or change what is in it, in this process: what they refuse, and leave alone."""

import json
from typing import Any

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


@pytest.mark.parametrize(("seconds", "runs"), [(-1, ["crashed"]), (0.5, ["crashed", "succeeded"])])
def test_backfill_closes_the_run_that_died_behind_its_last_commit(
    seconds: float, runs: list[str], conn: db.Connection
) -> None:
    """Though every slice is complete: at once, or when what is left of the dead lease is over; nobody is asked."""
    conn.execute(
        """
        with asset as (insert into assets (slug, symbol, name) values ('btc', 'BTC', 'Bitcoin') returning id),
        listing as (
            insert into listings (source, external_id, symbol, name, symbol_key, asset_id)
            select 'coinpaprika', 'btc', 'BTC', 'Bitcoin', 'btc', id from asset
        ),
        dead as (
            insert into runs (source, slice, trigger, status, epoch, code_version, config_fingerprint, started_at)
            values ('coinpaprika', %(slice)s, 'backfill', 'running', 7, '0', '0', now())
            returning id
        ),
        complete as (
            insert into checkpoints (source, slice, position, run_id)
            select 'coinpaprika', %(slice)s, '{"complete": true}', id from dead
        )
        insert into leases (key, epoch, holder, run_id, lease_until)
        select 'coinpaprika/' || %(slice)s, 7, 'gone', id, now() + %(seconds)s * interval '1 second' from dead
        """,
        {"slice": "backfill:2025-11-01..2025-11-02:btc", "seconds": seconds},
    )
    argv = ["backfill", "coinpaprika", "--from", "2025-11-01", "--to", "2025-11-02", "--ids", "btc"]
    assert __main__.main(argv) == 0
    assert conn.execute("select array_agg(status order by id), sum(requests) from runs").fetchone() == (runs, 0)


def test_faults_are_listed_though_the_database_is_new(
    databases: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks them up has often not run anything yet: nothing fired there."""
    name = databases.create()
    monkeypatch.setenv("DATABASE_URL", databases.dsn(name))
    assert __main__.main(["faults"]) == 0
    printed = capsys.readouterr()
    assert ("db-disconnect" in printed.out, printed.err) == (True, "")
    assert printed.out.endswith("nothing fired on this database\n")
    assert __main__.main(["faults", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fired"] == []
    databases.drop(name)
