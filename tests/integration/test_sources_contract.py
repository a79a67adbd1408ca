"""What holds for every built-in source, read from the stand-ins: a new one is covered the moment it is named."""

import threading

import pytest
from etl_fixtures import LONG

from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.model import RunStatus, Trigger
from kasparro.upstream import archives
from kasparro.upstream.options import Options
from kasparro.upstream.server import UpstreamServer

pytest_plugins = ("etl_checks",)

NAMES = list(catalogue.load_all(Config()))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """All built-in sources, reading from stand-ins whose time stands still."""
    folder = tmp_path_factory.mktemp("archives")
    archives.write_archives(folder, days=60, coins=4)
    with UpstreamServer(Options(tick=1000, coinpaprika_coins=150, coingecko_coins=600)) as upstream:
        environ = {"KASPARRO_CSV_GLOB": f"{folder}/*.csv"}
        for name in ("coinpaprika", "coingecko"):
            environ[f"KASPARRO_SOURCE_{name.upper()}_URL"] = getattr(upstream, f"{name}_url")
            # The stand-ins have no limit.
            environ[f"KASPARRO_SOURCE_{name.upper()}_RATE"] = "off"
        yield catalogue.load_all(Config.from_env(environ))


@pytest.mark.parametrize("name", NAMES)
def test_source_writes_once_when_its_upstream_does_not_move(etl, sources, name):
    """The first run inserts everything, the second one writes nothing; whatever is rejected is expected."""
    first = etl.run(of=sources[name])
    assert first.status is RunStatus.SUCCEEDED
    assert first.counts.inserted >= 100
    # The same coin may stand on two pages.
    again = first.counts.duplicate + first.counts.unchanged
    assert first.counts.read == first.counts.inserted + again + first.counts.rejected_expected
    assert again <= 5
    assert etl.value("select count(*) from latest_quotes") == etl.value("select count(*) from listings") > 0
    before = etl.writes()
    second = etl.run(of=sources[name])
    assert (second.status, second.counts.inserted, second.counts.updated) == (RunStatus.SUCCEEDED, 0, 0)
    assert second.counts.raw_inserted == 0
    assert etl.writes() == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batches", [1, 3])
def test_source_ends_with_the_same_tables_when_it_was_interrupted(etl, sources, name, batches):
    """After so many batches, and once more in the next run."""
    etl.run(of=sources[name], batch_records=40)
    undisturbed = etl.outcome()
    etl.empty()
    for _ in range(2):
        assert interrupted(etl, sources[name], batches).status is RunStatus.INTERRUPTED
    last = etl.run(of=sources[name], batch_records=40)
    assert etl.run_row(last.run_id, "status", "resumed_from") == ("succeeded", last.run_id - 1)
    assert etl.outcome() == undisturbed


def interrupted(etl, source, batches):
    """A run that is told to stop when it has committed so many batches."""
    stop, seen = threading.Event(), []

    def watch(progress):
        seen.append(progress)
        if len(seen) >= batches:
            stop.set()

    runner = etl.build(batch_records=40)
    result = runner.run(source, trigger=Trigger.CLI, stop=stop, watch=watch)
    assert stop.wait(LONG)
    return result
