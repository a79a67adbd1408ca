"""The past of listings beside the live source: what a slice writes, and what it leaves alone."""

import threading
from datetime import date

import pytest
from attrs import evolve
from etl_fixtures import LONG

from kasparro.app import App
from kasparro.config import Config
from kasparro.etl.backfill import Part, Window
from kasparro.etl.pipeline import Task
from kasparro.etl.replay import Replay
from kasparro.model import REPLAY, RunStatus, Trigger
from kasparro.store import listings
from kasparro.store.replays import Wanted
from kasparro.upstream.options import Options
from kasparro.upstream.server import UpstreamServer

pytest_plugins = ("etl_checks",)

# Of the stand-in's time, which stands still at noon on 2025-12-14.
TICK = 500_040
NOVEMBER = Window(first=date(2025, 11, 1), last=date(2025, 11, 30))


@pytest.fixture(scope="module")
def upstream():
    """Stand-ins whose time stands still."""
    with UpstreamServer(Options(tick=TICK, coinpaprika_coins=20, coingecko_coins=20)) as server:
        yield server


@pytest.fixture
def app(etl, upstream):
    """The service on the test's database, with what the live run of both sources leaves."""
    etl.replayable = False
    environ = {"DATABASE_URL": etl.dsn}
    for name in ("coinpaprika", "coingecko"):
        environ |= {
            f"KASPARRO_SOURCE_{name.upper()}_URL": getattr(upstream, f"{name}_url"),
            f"KASPARRO_SOURCE_{name.upper()}_RATE": "off",
            f"KASPARRO_SOURCE_{name.upper()}_MAX_PAGES": "1",
        }
    del environ["KASPARRO_SOURCE_COINPAPRIKA_MAX_PAGES"]
    with App(Config.from_env(environ)) as made:
        made.open_database(threading.Event(), wait_seconds=LONG, migrate_first=False)
        for name in ("coinpaprika", "coingecko"):
            run(made, name, Task(), trigger=Trigger.CLI)
        yield made


def run(app, name, task, *, trigger=Trigger.BACKFILL, of=None):
    """One run to its end."""
    result = app.pipeline.run(of or app.sources[name], trigger=trigger, stop=threading.Event(), task=task)
    assert result is not None
    return result


def part(etl, name, window=NOVEMBER):
    """The first listing's slice."""
    (listing,) = listings.list_top(etl.conn, name, limit=1)
    return Part(listing=listing, window=window)


def untouched(etl):
    """What belongs to live runs alone, to the byte."""
    return [
        etl.rows("select md5(k::text) from checkpoints k where slice = '' order by source"),
        etl.rows("select md5(s::text) from schedules s order by source"),
        etl.rows("select md5(l::text) from leases l where strpos(key, '/') = 0 order by key"),
        etl.rows("select md5(n::text) from latest_quotes n order by listing_id"),
    ]


@pytest.mark.parametrize(("name", "quotes"), [("coinpaprika", 30), ("coingecko", 30 * 24)])
def test_slice_writes_quotes_of_its_days_and_leaves_the_live_source_alone(etl, app, name, quotes):
    """Ordinary quotes; a run, a lease and a checkpoint of its own; complete, so that the next run asks nobody."""
    before, asked = untouched(etl), part(etl, name)
    result = run(app, name, app.backfill_task(app.sources[name], asked, again=False))
    assert (result.status, result.counts.read, result.counts.inserted) == (RunStatus.SUCCEEDED, quotes, quotes)
    assert etl.run_row(result.run_id, "trigger", "slice", "requests") == ("backfill", asked.slice, 1)
    assert etl.value("select position from checkpoints where slice = %s", asked.slice) == {"complete": True}
    assert etl.value("select epoch from leases where key = %s", f"{name}/{asked.slice}") == 2
    written = "from quotes where run_id = %s and market_cap_usd > 0 and volume_24h_usd > 0"
    days = f"select min(observed_at)::date::text, max(observed_at)::date::text {written}"
    assert etl.rows(days, result.run_id) == [("2025-11-01", "2025-11-30")]
    assert untouched(etl) == before
    again = run(app, name, app.backfill_task(app.sources[name], asked, again=False))
    assert (again.status, again.counts.read, again.traffic.requests) == (RunStatus.SUCCEEDED, 0, 0)


def test_live_source_and_slice_run_beside_each_other_when_both_are_wanted(etl, app):
    """Each holds its own lease: here a live run goes from start to end inside of a slice's run."""
    task, live = app.backfill_task(app.sources["coinpaprika"], part(etl, "coinpaprika"), again=False), []

    def open_reader(source, get):
        live.append(run(app, "coinpaprika", Task(), trigger=Trigger.CLI))
        return task.open_reader(source, get)

    result = run(app, "coinpaprika", evolve(task, open_reader=open_reader))
    assert [each.status for each in (result, *live)] == [RunStatus.SUCCEEDED] * 2


def test_slice_is_paid_from_the_sources_bucket(etl, app):
    """The month's requests are those of live runs and backfills together."""
    used = etl.value("select month_used from buckets where name = 'coinpaprika'")
    run(app, "coinpaprika", app.backfill_task(app.sources["coinpaprika"], part(etl, "coinpaprika"), again=False))
    assert etl.value("select month_used from buckets where name = 'coinpaprika'") == used + 1


def test_quotes_of_the_past_stay_and_follow_their_map_when_all_is_replayed(etl, app):
    """Kept records of a slice are normalised by [backfill.fields], the live ones by [fields]."""
    source = app.sources["coinpaprika"]
    run(app, "coinpaprika", app.backfill_task(source, part(etl, "coinpaprika"), again=False))
    before = etl.outcome()

    def replay(of):
        work = Replay(app.database, app.pipeline.committer, Wanted(source="coinpaprika"))
        return run(app, "coinpaprika", Task(slice=REPLAY, work=work.work), trigger=Trigger.REPLAY, of=of)

    assert replay(source).counts.removed == 0
    assert etl.outcome() == before
    fields = {name: spec for name, spec in source.backfill.fields.items() if name != "volume_24h_usd"}
    result = replay(evolve(source, backfill=evolve(source.backfill, fields=fields)))
    assert (result.status, result.counts.updated) == (RunStatus.SUCCEEDED, 30)


@pytest.mark.parametrize(
    ("window", "id_", "code"),
    [
        (NOVEMBER, "gone-coin", "http_404"),
        (Window(first=date(2024, 1, 1), last=date(2024, 1, 31)), "btc-bitcoin", "http_402"),
    ],
)
def test_slice_failed_and_is_asked_again_when_the_upstream_refuses(etl, app, window, id_, code):
    """An id that is gone, a plan that reaches back less far: the run says so, and the slice has no checkpoint."""
    asked = part(etl, "coinpaprika", window)
    asked = evolve(asked, listing=evolve(asked.listing, external_id=id_))
    for _ in range(2):
        result = run(app, "coinpaprika", app.backfill_task(app.sources["coinpaprika"], asked, again=False))
        assert (result.status, result.error_code, result.traffic.requests) == (RunStatus.FAILED, code, 1)
    assert etl.value("select count(*) from checkpoints where starts_with(slice, 'backfill')") == 0
    assert etl.value("select failures from schedules where source = 'coinpaprika'") == 0


@pytest.mark.parametrize(("until", "status"), [("- 1", "crashed"), ("+ 100", "running")])
def test_dead_slices_run_is_closed_when_its_source_runs(etl, app, until, status):
    """Nobody may ever ask for that slice again; one that is alive is left alone."""
    etl.conn.execute(
        """
        with dead as (
            insert into runs (source, slice, trigger, status, epoch, code_version, config_fingerprint, started_at)
            values ('coinpaprika', 'backfill:x', 'backfill', 'running', 7, '0', '0', now())
            returning id
        )
        insert into leases (key, epoch, holder, run_id, lease_until)
        select 'coinpaprika/backfill:x', 7, 'gone', id, now() """
        + until
        + """ * interval '1 second' from dead
        """
    )
    run(app, "coinpaprika", Task(), trigger=Trigger.CLI)
    assert etl.value("select status from runs where slice = 'backfill:x'") == status
    held = etl.rows("select epoch from leases where key = 'coinpaprika/backfill:x' and run_id is not null")
    assert held == ([(7,)] if status == "running" else [])
