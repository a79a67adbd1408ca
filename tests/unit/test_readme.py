"""Does the README tell of everything there is? A setting, command, endpoint or package that is not in it fails here."""

import configparser
import re
from pathlib import Path

import pytest

from kasparro import config, metrics
from kasparro.commands import arguments
from kasparro.http import app as http_app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (*config.VARIABLES, *(f"KASPARRO_SOURCE_<NAME>_{name}" for name in config.SOURCE_VARIABLES))


def _section(title: str) -> str:
    """The text of one section, its subsections included."""
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^\1 |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title}"
    return found[2]


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_is_documented(name: str) -> None:
    """Every variable that the service reads has a row in the README's table."""
    assert f"| `{name}` |" in _section("Settings")


@pytest.mark.parametrize("path", [path for path, _ in http_app.ROUTES])
def test_endpoint_is_documented(path: str) -> None:
    """Every path that the API answers is in the README's table."""
    assert re.search(rf"`(GET|POST) {re.escape(path)}`", _section("Endpoints"))


@pytest.mark.parametrize("command", sorted(arguments.COMMANDS))
def test_command_is_documented(command: str) -> None:
    """Every command has a row in the README's table."""
    assert f"`kasparro {command}" in _section("Commands")


def test_dependency_is_explained() -> None:
    """Every package that the service needs has a row that says why."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"] + setup["options.extras_require"]["embedded"]
    names = {re.split(r"[\[>=<]", line)[0] for line in needed.split()}
    missing = {
        name for name in names if not re.search(rf"^\|[^|]*\b{re.escape(name)}\b", _section("Dependencies"), re.M)
    }
    assert not missing


def test_metrics_table_is_what_is_declared() -> None:
    """Every metric has its row, with labels and meaning, and there are no others."""
    rows = re.findall(r"^\| `(kasparro_\w+)` \|([a-z, ]*)\| (.*) \|$", _section("Metrics"), re.MULTILINE)
    wanted = [(each.name, ", ".join(each.labels), each.meaning) for each in metrics.DECLARED.values()]
    assert [(name, labels.strip(), meaning) for name, labels, meaning in rows] == wanted


def test_settings_documented_exist() -> None:
    """No row of the settings table names a variable that nothing reads."""
    rows = set(re.findall(r"^\| `([A-Z_<>]+)` \|", _section("Settings"), re.MULTILINE))
    assert rows <= {*SETTINGS, "KASPARRO_TEST_DSN"}


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link of a page to another leads to a file that is there, and to a heading in it."""
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in {title.lower().replace(" ", "-") for title in titles}, (target, heading)
