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
"compose port prometheus 9090") echo "127.0.0.1:9091" ;;
"compose port grafana 3000") echo "127.0.0.1:3001" ;;
"compose port app 8000") echo "${PUBLISHED:-127.0.0.1:8000}" ;;
"compose exec -T app python"*) [ -z "$REFUSED" ] || exit 1; sed -n 's/^KASPARRO_API_KEYS=[a-z]*://p' .env ;;
"compose exec "*"$BROKEN"*) exit 1 ;;
"compose exec "*pg_dump*) echo dump ;;
"compose exec "*regclass*) echo runs ;;
"compose exec "*count*) echo 1 ;;
"compose exec "*) cat >>"$RECORD" ;;
"ps --all "*) [ -z "$OTHER" ] || echo "$OTHER" ;;
"volume inspect "*) [ -n "$DATA" ] ;;
"compose ps --quiet app" | "compose ps --all --quiet app") [ -z "$RUNNING" ] || echo 0123 ;;
"compose config app") printf '    host_ip: 127.0.0.1\n    published: "8000"\n' ;;
inspect*StartedAt*) echo "$RUNNING" ;;
inspect*PortBindings*) echo "$BOUND" ;;
"compose run "*"$MIGRATION_FAILS") [ -z "$MIGRATION_FAILS" ] || { echo "a setting is wrong"; exit 2; } ;;
"compose up "*"$SERVICE") [ -z "$FAILS" ] || { echo " Container app Starting"; echo "$FAILS" >&2; exit 1; } ;;
esac
"""


class Checkout:
    """A folder with what the script needs of a checkout."""

    def __init__(self, folder: Path) -> None:
        self.env_file = folder / ".env"
        self._folder = folder
        self._record = folder / "record"
        shutil.copytree(ROOT / "scripts" / "containers", folder / "scripts" / "containers")
        for name in (
            "scripts/stack",
            "docker-compose.yml",
            ".env.example",
            "deploy/demo.env",
            "kasparro/__init__.py",
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / "bin").mkdir()
        (folder / "bin" / "docker").write_text(DOCKER)
        (folder / "bin" / "docker").chmod(0o755)

    def stack(self, *arguments: str, path: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        env = (
            {"BROKEN": "nothing"}
            | env
            | {"PATH": path or f"{self._folder}/bin:/usr/bin:/bin", "RECORD": str(self._record)}
        )
        command = ["/bin/sh", "scripts/stack", *arguments]
        return subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        """project|profiles|arguments of every call of docker compose, the first look excepted."""
        return [call for call in self.recorded if "|compose " in call and "version" not in call]

    @property
    def recorded(self) -> list[str]:
        """Every call, and what was given to it on its stdin."""
        return self._record.read_text().splitlines() if self._record.exists() else []


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
        ("FATAL: password authentication failed for user", "make new-password"),
        ("listen tcp4 192.0.2.7:8000: bind: cannot assign requested address", "KASPARRO_HOST: must be"),
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


@pytest.mark.parametrize(
    "line", ["export KASPARRO_API_KEYS=me:mine", " KASPARRO_API_KEYS = me:mine", "KASPARRO_API_KEYS: me:mine"]
)
def test_up_knows_every_way_to_write_a_line(checkout: Checkout, line: str) -> None:
    """Compose reads them all, and the last one counts: an appended one would replace the user's."""
    checkout.env_file.write_text(f"{line}\n")
    assert checkout.stack("up").returncode == 0
    assert checkout.env_file.read_text().count("KASPARRO_API_KEYS") == 1


def test_up_appends_no_key_where_a_file_has_them(checkout: Checkout) -> None:
    """Two places for one secret are refused by the service."""
    checkout.env_file.write_text("KASPARRO_API_KEYS_FILE=/secrets/api-keys\n")
    assert checkout.stack("up").returncode == 0
    assert "KASPARRO_API_KEYS=" not in checkout.env_file.read_text()


def test_up_prints_no_key_that_the_service_refuses(checkout: Checkout) -> None:
    """Nor does it fail for that: the service runs."""
    done = checkout.stack("up", REFUSED="yes")
    assert done.returncode == 0
    assert "-H 'X-API-Key: ...' " in done.stdout


def test_up_quotes_the_key(checkout: Checkout) -> None:
    """A curl line that cannot be pasted would be none."""
    checkout.env_file.write_text("KASPARRO_API_KEYS=me:it's-mine\n")
    assert r"-H 'X-API-Key: it'\''s-mine' " in checkout.stack("up").stdout


@pytest.mark.parametrize("wrong", ["app sources list --json", "migrate"])
def test_up_replaces_nothing_when_settings_or_a_migration_will_not_do(checkout: Checkout, wrong: str) -> None:
    """Both are tried in containers of their own while the old service goes on."""
    done = checkout.stack("up", MIGRATION_FAILS=wrong)
    assert done.returncode == 1
    assert "a setting is wrong" in done.stderr
    assert not [call for call in checkout.calls if call.endswith(" app") and " up " in call]


@pytest.mark.parametrize(("bound", "tried"), [("127.0.0.1:8000", False), ("127.0.0.1:9000", True)])
def test_up_tries_a_port_that_is_new(checkout: Checkout, bound: str, *, tried: bool) -> None:
    """Before the service that runs is replaced; its own port is taken by itself."""
    checkout.stack("up", RUNNING="2026-01-01T00:00:00.123456789Z", BOUND=bound)
    (trial,) = [call for call in checkout.calls if "sources list" in call]
    assert ("--service-ports" in trial) == tried


@pytest.mark.parametrize(("started", "stopped"), [("2001-01-01T00:00:00.5Z", True), ("2999-01-01T00:00:00.5Z", False)])
def test_up_starts_the_service_anew_when_secrets_changed(checkout: Checkout, started: str, *, stopped: bool) -> None:
    """It reads them when it starts; compose sees no change in a folder."""
    checkout.stack("up", RUNNING=started)
    assert ("||compose stop app" in checkout.calls) == stopped


@pytest.mark.parametrize("command", ["up", "down", "down-clean", "new-password", "backup"])
def test_stack_of_another_checkout_is_not_touched(checkout: Checkout, tmp_path: Path, command: str) -> None:
    """It has the same name, and data that are not ours; one that was moved here is ours."""
    (tmp_path / "other").mkdir()
    done = checkout.stack(command, OTHER=str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"checkout {tmp_path / 'other'}" in done.stderr
    assert "COMPOSE_PROJECT_NAME" in done.stderr
    assert checkout.calls == []
    assert checkout.stack("up", OTHER=str(tmp_path / "gone")).returncode == 0


@pytest.mark.parametrize("command", ["up", "down-clean"])
def test_data_without_their_password_are_not_touched(checkout: Checkout, command: str) -> None:
    """A lost .env: another password would not open them, and they need not go."""
    done = checkout.stack(command, DATA="yes")
    assert done.returncode == 1
    assert "make new-password" in done.stderr
    assert checkout.calls == []
    assert not checkout.env_file.exists()


def test_new_password_is_given_to_the_data_and_kept(checkout: Checkout) -> None:
    """In .env and the database, never in an argument, where every user of the machine could read it."""
    checkout.env_file.write_text("POSTGRES_PASSWORD=lost\nKASPARRO_API_KEYS=\n")
    done = checkout.stack("new-password", DATA="yes")
    assert done.returncode == 0
    (password,) = re.findall(r"^POSTGRES_PASSWORD=([0-9a-f]{48})$", checkout.env_file.read_text(), re.MULTILINE)
    assert f"alter role kasparro password '{password}'" in checkout.recorded
    assert password not in "".join(checkout.calls) + done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KASPARRO_PORT", "abc"),
        ("KASPARRO_PORT", "99999"),
        ("KASPARRO_HOST", "localhost"),
        ("POSTGRES_VERSION", "17"),
        ("POSTGRES_VERSION", "18.1"),
    ],
)
def test_setting_of_the_stack_is_refused_by_name(checkout: Checkout, name: str, value: str) -> None:
    """Before anything is built; 17 would be an empty database beside the one that is there."""
    done = checkout.stack("up", **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: ")
    assert checkout.calls == []


def test_backup_replaces_a_dump_only_when_it_is_whole(checkout: Checkout, tmp_path: Path) -> None:
    """For its owner's eyes, whatever the umask; a failure leaves the one from before."""
    assert checkout.stack("backup", "a.dump").returncode == 0
    assert (tmp_path / "a.dump").read_text() == "dump\n"
    assert (tmp_path / "a.dump").stat().st_mode & 0o777 == 0o600
    assert checkout.stack("backup", "a.dump", BROKEN="pg_dump").returncode == 1
    assert (tmp_path / "a.dump").read_text() == "dump\n"
    assert not (tmp_path / "a.dump.part").exists()


def test_restore_swaps_and_starts_when_the_copy_is_good(checkout: Checkout, tmp_path: Path) -> None:
    """Filled, migrated, and only then put in the place of what is there, which is kept once."""
    (tmp_path / "a.dump").write_text("dump\n")
    assert checkout.stack("restore", "a.dump").returncode == 0
    wanted = ("pg_restore", "postgres/restoring migrate", "stop app", "exists replaced", "to replaced", "up.* app")
    found = [next(n for n, call in enumerate(checkout.calls) if re.search(words, call)) for words in wanted]
    assert found == sorted(found)


@pytest.mark.parametrize("broken", ["pg_restore", "regclass", "to replaced"])
def test_restore_changes_nothing_when_a_step_fails(checkout: Checkout, tmp_path: Path, broken: str) -> None:
    """What comes after it is not done; the service runs, on the data that were there."""
    (tmp_path / "a.dump").write_text("dump\n")
    done = checkout.stack("restore", "a.dump", BROKEN=broken)
    assert done.returncode == 1
    assert "Nothing was changed." in done.stderr
    after = checkout.calls[next(n for n, call in enumerate(checkout.calls) if broken in call) + 1 :]
    wanted = "compose start app" if broken == "to replaced" else "drop database if exists restoring"
    assert [wanted in call for call in after] == [True]


def test_up_starts_monitoring_after_the_service(checkout: Checkout) -> None:
    """It tells where, or names what did not start; the service does without it."""
    checkout.env_file.write_text("COMPOSE_PROFILES=observability\n")
    assert "Prometheus: http://127.0.0.1:9091   Grafana: http://127.0.0.1:3001\n" in checkout.stack("up").stdout
    failed = checkout.stack("up", FAILS="no such host", SERVICE="grafana")
    assert failed.returncode == 1
    assert "answers at" in failed.stdout
    assert "no such host\n\ngrafana did not start" in failed.stderr


def test_demo_is_a_stack_of_its_own(checkout: Checkout) -> None:
    """It is built, started and removed under its own name, so that its data are its own."""
    checkout.stack("up", COMPOSE_PROFILES="demo")
    checkout.stack("down-clean", COMPOSE_PROFILES="demo")
    assert {call.partition("|")[0] for call in checkout.calls} == {"kasparro-demo"}


def test_down_works_with_an_env_that_says_little(checkout: Checkout) -> None:
    """Compose wants to see every secret, also where it needs none."""
    checkout.env_file.write_text("POSTGRES_PASSWORD=mine\n")
    (checkout.env_file.parent / "bin" / "docker").write_text(
        '#!/bin/sh\necho "$POSTGRES_PASSWORD|$GRAFANA_PASSWORD" >&2\n'
    )
    assert checkout.stack("down").stderr.splitlines()[-1] == "|none"


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
