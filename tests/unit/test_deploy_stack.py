"""What does scripts/stack (make up, down, logs) do around docker? A recording program stands in for docker itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Writes down its arguments, project and API keys; answers as the real one does where the script asks something.
DOCKER = """#!/bin/sh
echo "$COMPOSE_PROJECT_NAME|$COMPOSE_PROFILES|$*" >>"$RECORD"
case "$*" in
"version "*) [ -z "$NO_DAEMON" ] || { echo "no daemon" >&2; exit 1; } ;;
"compose port postgres 5432") echo "127.0.0.1:49152" ;;
"compose port app 8000") echo "${PUBLISHED:-127.0.0.1:8000}" ;;
"compose exec "*) sed -n 's/^KASPARRO_API_KEYS=[a-z]*://p' .env ;;
"compose up "*) [ -z "$FAILS" ] || { echo " Container app Starting"; echo "$FAILS" >&2; exit 1; } ;;
esac
"""


class Checkout:
    """A folder with what the script needs of a checkout."""

    def __init__(self, folder: Path) -> None:
        self.env_file = folder / ".env"
        self._folder = folder
        self._record = folder / "record"
        for name in ("scripts/stack", ".env.example", "deploy/demo.env", "kasparro/__init__.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / "bin").mkdir()
        (folder / "bin" / "docker").write_text(DOCKER)
        (folder / "bin" / "docker").chmod(0o755)

    def stack(self, *arguments: str, path: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        env |= {"PATH": path or f"{self._folder}/bin:/usr/bin:/bin", "RECORD": str(self._record)}
        command = ["/bin/sh", "scripts/stack", *arguments]
        return subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        """project|profiles|arguments of every call of docker compose, the first look excepted."""
        return [call for call in self._record.read_text().splitlines() if "|compose " in call and "version" not in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_up_says_what_is_missing_without_docker(checkout: Checkout, tmp_path: Path) -> None:
    """And what works without it; nothing is written."""
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "dirname").symlink_to(shutil.which("dirname") or "")
    done = checkout.stack("up", path=str(tmp_path / "only"))
    assert done.returncode == 1
    assert "docker is missing" in done.stderr
    assert "make demo" in done.stderr
    assert not checkout.env_file.exists()


def test_up_says_what_docker_says_when_it_does_not_answer(checkout: Checkout) -> None:
    """Not running, or not allowed: docker's own words tell which."""
    done = checkout.stack("up", NO_DAEMON="yes")
    assert done.returncode == 1
    assert "Docker does not answer:\nno daemon\n" in done.stderr
    assert "make demo" in done.stderr


def test_up_writes_env_once(checkout: Checkout) -> None:
    """Random secrets for the owner's eyes, never changed again; only the key is printed, in the curl lines."""
    done = checkout.stack("up")
    text = checkout.env_file.read_text()
    found = dict(re.findall(r"^([A-Z_]+)=(.+)$", text, re.MULTILINE))
    assert done.returncode == 0
    assert checkout.env_file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"operator:[0-9a-f]{48}", found["KASPARRO_API_KEYS"])
    assert f"curl -s -H 'X-API-Key: {found['KASPARRO_API_KEYS'][9:]}' 'http://127.0.0.1:8000/data?" in done.stdout
    for name in ("POSTGRES_PASSWORD", "GRAFANA_PASSWORD"):
        assert re.fullmatch(r"[0-9a-f]{48}", found[name])
        assert found[name] not in done.stdout + done.stderr
    assert checkout.stack("up").returncode == 0
    assert checkout.env_file.read_text() == text


def test_up_keeps_what_env_says(checkout: Checkout) -> None:
    """Only what has no line is added: an API that was opened on purpose stays open."""
    checkout.env_file.write_text("KASPARRO_API_KEYS=\nPOSTGRES_PASSWORD=mine")
    done = checkout.stack("up")
    lines = checkout.env_file.read_text().splitlines()
    assert lines[:2] == ["KASPARRO_API_KEYS=", "POSTGRES_PASSWORD=mine"]
    assert [line.partition("=")[0] for line in lines[2:]] == ["GRAFANA_PASSWORD"]
    assert "X-API-Key" not in done.stdout


def test_up_tells_the_address_that_was_published(checkout: Checkout) -> None:
    """Whatever chose it; everywhere is reached as here."""
    assert "answers at http://127.0.0.1:49153\n" in checkout.stack("up", PUBLISHED="0.0.0.0:49153").stdout
    assert "answers at http://192.0.2.7:80\n" in checkout.stack("up", PUBLISHED="192.0.2.7:80").stdout


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Bind for 127.0.0.1:8000 failed: port is already allocated", "KASPARRO_PORT=8080 make up"),
        ("listen tcp4 127.0.0.1:8000: bind: address already in use", "KASPARRO_PORT=8080 make up"),
        ("FATAL: password authentication failed for user", "another POSTGRES_PASSWORD"),
        ("no space left on device", "did not start"),
    ],
)
def test_up_shows_why_it_failed(checkout: Checkout, words: str, advice: str) -> None:
    """Docker's words without its progress, and what to do about them."""
    done = checkout.stack("up", FAILS=words)
    assert done.returncode == 1
    assert words in done.stderr
    assert advice in done.stderr
    assert "Starting" not in done.stderr


def test_demo_is_a_stack_of_its_own(checkout: Checkout) -> None:
    """It is built, started and removed under its own name, so that its data are its own."""
    checkout.stack("up", COMPOSE_PROFILES="demo")
    checkout.stack("down-clean", COMPOSE_PROFILES="demo")
    assert {call.partition("|")[0] for call in checkout.calls} == {"kasparro-demo"}


def test_down_keeps_the_data(checkout: Checkout) -> None:
    """Only down-clean removes volumes; both stop the containers of every profile."""
    checkout.stack("down")
    checkout.stack("down-clean")
    assert checkout.calls == [
        "|demo,observability|compose down --remove-orphans",
        "|demo,observability|compose down --remove-orphans --volumes",
    ]


def test_suite_runs_on_a_postgres_that_is_gone_afterwards(checkout: Checkout, tmp_path: Path) -> None:
    """Under a name of its own, on a database whose name says that it is for tests; whether the tests pass or not."""
    (tmp_path / "bin" / "make").write_text('#!/bin/sh\necho "$1 $KASPARRO_TEST_DSN"\nexit 3\n')
    (tmp_path / "bin" / "make").chmod(0o755)
    done = checkout.stack("test")
    assert done.returncode == 3
    assert re.fullmatch(r"test postgresql://kasparro:[0-9a-f]{48}@127\.0\.0\.1:49152/kasparro_test\n", done.stdout)
    projects = {call.partition("|")[0] for call in checkout.calls}
    assert len(projects) == 1
    assert projects.pop().startswith("kasparro-test-")
    assert checkout.calls[-1].endswith("compose down --volumes --timeout 5")
    assert not checkout.env_file.exists()


def test_make_help_lists_every_target() -> None:
    """Those with a dash in their names too."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE)
    assert targets == re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)
    assert "down-clean" in targets
