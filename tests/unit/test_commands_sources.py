"""What `kasparro sources` finds out: addresses, plans, files and budgets, without a network."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kasparro.commands import sources
from kasparro.config import VARIABLES, Config
from kasparro.etl import audit, catalogue

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def audits(environ: dict[str, str]) -> dict[str, audit.Audit]:
    config = Config.from_env(environ)
    return {each.source.name: each for each in audit.sources(catalogue.load_all(config), config, now=NOW)}


def test_settings_shows_every_variable() -> None:
    """A setting that is not shown cannot be checked."""
    assert list(sources.settings(Config())) == list(VARIABLES)


def test_settings_shows_no_secret() -> None:
    """Addresses only as set: their last characters may be a password."""
    shown = sources.settings(
        Config.from_env({
            "DATABASE_URL": "host=db password=hunter2hunter2hunter2",
            "KASPARRO_API_KEYS": "desk:hunter2hunter2hunter2-abcd,bot:hunter2hunter2",
        })
    )  # fmt: skip
    assert shown["DATABASE_URL"] == "set"
    assert shown["KASPARRO_API_KEYS"] == "desk: set (…abcd), bot: set"


@pytest.mark.parametrize(
    ("environ", "url", "plan"),
    [
        ({}, "https://api.coingecko.com/api/v3", None),
        ({"COINGECKO_API_KEY": "k"}, "https://api.coingecko.com/api/v3", "demo"),
        ({"COINGECKO_API_KEY": "k", "COINGECKO_API_PLAN": "pro"}, "https://pro-api.coingecko.com/api/v3", "pro"),
        ({"KASPARRO_SOURCE_COINGECKO_URL": "http://127.0.0.1:1/x"}, "http://127.0.0.1:1/x", None),
    ],
)
def test_audit_shows_the_host_that_is_asked(environ: dict[str, str], url: str, plan: str | None) -> None:
    """Key and plan decide on the host, unless the operator names one."""
    found = audits(environ)["coingecko"]
    assert (found.url, found.plan) == (url, plan)


def test_audit_names_the_operators_file_in_place_of_the_built_in_one(tmp_path: Path) -> None:
    """A file of the same name replaces a source; who looks for it must find the right one."""
    text = (catalogue.BUILT_IN_FOLDER / "csv.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    found = audits({"KASPARRO_SOURCES_DIR": str(tmp_path)})
    assert found["csv"].file == tmp_path / "mine.toml"
    assert found["coingecko"].file == catalogue.BUILT_IN_FOLDER / "coingecko.toml"


def test_audit_counts_the_files_of_a_glob(tmp_path: Path) -> None:
    """A pattern that fits nothing is the usual mistake."""
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.txt").touch()
    assert audits({"KASPARRO_CSV_GLOB": f"{tmp_path}/*.csv"})["csv"].files == 1
    assert audits({})["csv"].files == 0


def test_audit_finds_no_problem_in_a_disabled_source() -> None:
    """What does not run asks nothing."""
    busy = {"KASPARRO_SOURCE_COINGECKO_SCHEDULE": "every 1m"}
    assert audits(busy)["coingecko"].problem is not None
    assert audits({**busy, "KASPARRO_SOURCE_COINGECKO_ENABLED": "off"})["coingecko"].problem is None


def test_audit_suggests_an_interval_that_fits_the_budget() -> None:
    """Following the advice ends the complaint."""
    everything = {"KASPARRO_SOURCE_COINGECKO_MAX_PAGES": "0"}
    problem = audits(everything)["coingecko"].problem
    assert problem is not None
    minutes = problem.partition("every ")[2].partition("m'")[0]
    advised = {**everything, "KASPARRO_SOURCE_COINGECKO_SCHEDULE": f"every {minutes}m"}
    assert audits(advised)["coingecko"].problem is None


def test_settings_show_the_plan_in_force_when_a_key_is_set() -> None:
    """Without a key there is no plan; with one and nothing said it is the demo plan."""
    assert sources.settings(Config.from_env({}))["COINGECKO_API_PLAN"] is None
    assert sources.settings(Config.from_env({"COINGECKO_API_KEY": "k"}))["COINGECKO_API_PLAN"] == "demo"
