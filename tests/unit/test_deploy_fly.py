"""What does make deploy tell flyctl? A recording program stands in for flyctl, another one for the verification."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kasparro.config import Config
from kasparro.http import app as http_app

ROOT = Path(__file__).parents[2]
TOML = tomllib.loads((ROOT / "fly.toml").read_text(encoding="utf-8"))
NEW_IMAGE = "registry.fly.io/quotes:deployment-2"
KEY, GECKO = "k3y-of-the-operator", "g3cko-key"
ENV = {"FLY_APP": "quotes", "KASPARRO_API_KEYS": f"operator:{KEY},desk:another-key", "COINGECKO_API_KEY": GECKO}
# What is in the way of the verification's place: it says what it was asked, and fails when told to.
SMOKE = """
import json, os, pathlib, sys
path = pathlib.Path(os.environ["FLY_STATE"])
state = json.loads(path.read_text())
state["told"].append({"argv": ["smoke", *sys.argv[1:]], "stdin": os.environ["KASPARRO_SMOKE_KEY"]})
path.write_text(json.dumps(state))
sys.exit(state.get("fails") == "smoke")
"""
OLD_IMAGE = "registry.fly.io/quotes:deployment-1"
DEPLOYED = {
    "apps": ["quotes"],
    "secrets": [{"name": "DATABASE_URL"}],
    "machines": [
        {"id": "c1", "state": "started", "config": {"image": OLD_IMAGE, "metadata": {"role": "cron"}}},
        {"id": "m0", "config": {"image": OLD_IMAGE, "metadata": {"fly_process_group": "app"}}},
    ],
}  # fmt: skip


class Fly:
    """A checkout with what the script needs, and a state of things on Fly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state.json"
        shutil.copytree(ROOT / "scripts" / "deploy-fly", folder / "scripts" / "deploy-fly")
        shutil.copy(ROOT / "fly.toml", folder)
        (folder / "scripts" / "smoke").mkdir()
        (folder / "scripts" / "smoke" / "__main__.py").write_text(SMOKE)
        (folder / "bin").mkdir()
        standin = Path(__file__).with_name("standin_flyctl.py")
        (folder / "bin" / "flyctl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{standin}" "$@"\n')
        (folder / "bin" / "flyctl").chmod(0o755)
        self.has()

    def has(self, **state: Any) -> None:
        """Say what there is."""
        empty: dict[str, Any] = {"apps": [], "secrets": [], "clusters": [], "machines": [], "told": []}
        self._state.write_text(json.dumps(empty | state))

    def deploy(self, *options: str, path: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        path = path or f"{self._folder}/bin:/usr/bin:/bin"
        environ = {"PATH": path, "FLY_STATE": str(self._state), "HOME": str(self._folder), **ENV, **env}
        command = [sys.executable, str(self._folder / "scripts" / "deploy-fly"), *options]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    @property
    def told(self) -> list[dict[str, Any]]:
        return json.loads(self._state.read_text())["told"]

    @property
    def orders(self) -> list[str]:
        """The first words of every order, in order."""
        return [" ".join(re.findall(r"^\S+(?: [a-z]+)?", " ".join(order["argv"][:2]))) for order in self.told]

    def arguments(self, start: str, *, having: str = "") -> list[str]:
        """The arguments of the only order that begins so, and has this among its arguments."""
        (found,) = (
            order["argv"]
            for order in self.told
            if " ".join(order["argv"]).startswith(start) and (not having or having in order["argv"])
        )
        return list(found)


@pytest.fixture
def fly(tmp_path: Path) -> Fly:
    return Fly(tmp_path)


def test_deploy_makes_everything_the_first_time(fly: Fly) -> None:
    """App, database, secrets, release, proof, verification, cron: in this order."""
    done = fly.deploy()
    assert done.returncode == 0, done.stderr
    assert fly.orders == [
        "config validate", "apps create", "mpg create", "mpg attach", "secrets import", "deploy",
        "machine run", "smoke", "machine run",
    ]  # fmt: skip
    assert fly.arguments("mpg attach")[2] == "mp0000"
    assert "serves at https://quotes.fly.dev" in done.stdout


def test_deploy_makes_nothing_that_is_there(fly: Fly) -> None:
    """A later release: the app and its database stay, the old scheduled machine goes last, once its run has ended."""
    fly.has(**DEPLOYED)
    assert fly.deploy().returncode == 0
    assert fly.orders[:2] == ["config validate", "secrets import"]
    assert fly.orders[-3:] == ["machine run", "machine stop", "machine destroy"]
    assert fly.arguments("machine stop")[2] == fly.arguments("machine destroy")[2] == "c1"


def test_deploy_does_not_take_another_failure_for_a_new_app(fly: Fly) -> None:
    """Only an app that flyctl cannot find is made."""
    fly.has(**DEPLOYED, fails="status --app", reason="unauthorized")
    done = fly.deploy()
    assert done.returncode == 1
    assert "unauthorized" in done.stderr
    assert fly.orders == ["config validate"]


def test_deploy_hands_on_secrets_by_stdin_alone(fly: Fly, tmp_path: Path) -> None:
    """No argument, and nothing printed, has a secret in it; those that flyctl prints are masked."""
    (tmp_path / "paprika").write_text("p4prika-key\n")
    done = fly.deploy(COINPAPRIKA_API_KEY_FILE=str(tmp_path / "paprika"))
    (secrets,) = (order["stdin"] for order in fly.told if order["argv"][0] == "secrets")
    assert secrets.splitlines() == [
        f'KASPARRO_API_KEYS="""{ENV["KASPARRO_API_KEYS"]}"""',
        'COINPAPRIKA_API_KEY="""p4prika-key"""',
        f'COINGECKO_API_KEY="""{GECKO}"""',
    ]
    said = done.stdout + done.stderr + json.dumps([order["argv"] for order in fly.told])
    assert not [secret for secret in (KEY, GECKO, "another-key", "p4prika-key", "p4ssw0rd") if secret in said]
    assert "DATABASE_URL=postgresql://fly-user:***@pgbouncer.example/fly-db" in done.stdout


def test_deploy_uses_a_database_of_yours(fly: Fly) -> None:
    """Where an address is given, none is made."""
    assert fly.deploy(DATABASE_URL="postgresql://me:s3cret@db.example/quotes").returncode == 0
    assert not {"mpg create", "mpg attach"} & set(fly.orders)


def test_deploy_attaches_a_cluster_that_an_interrupted_one_made(fly: Fly) -> None:
    """Trying again goes on; nothing is paid for twice."""
    fly.has(apps=["quotes"], clusters=[{"id": "mp1234", "name": "quotes-db"}])
    assert fly.deploy().returncode == 0
    assert "mpg create" not in fly.orders
    assert fly.arguments("mpg attach")[2] == "mp1234"


def test_scheduled_machine_runs_the_release_that_was_deployed(fly: Fly) -> None:
    """Its image, its settings and its size, every hour, and no restart: the next hour is one."""
    fly.has(**DEPLOYED, digest="@sha256:0123")
    fly.deploy()
    cron = fly.arguments("machine run", having="--schedule")
    assert cron[2] == NEW_IMAGE
    assert cron[cron.index("--schedule") + 1] == "hourly"
    assert cron[cron.index("--restart") + 1] == "no"
    assert cron[cron.index("--metadata") + 1] == "role=cron"
    assert cron[cron.index("--") :] == ["--", "run", "--all", "--cron"]
    assert {f"--env={name}={value}" for name, value in TOML["env"].items()} <= set(cron)
    assert cron[cron.index("--vm-memory") + 1] == TOML["vm"][0]["memory"]


def test_one_off_machine_is_the_proof(fly: Fly) -> None:
    """As the scheduled one but for the schedule; what it did is looked for from outside, with the first key."""
    fly.deploy(DEPLOY_URL="https://quotes.example")
    cron, once = (fly.arguments("machine run", having=option) for option in ("--schedule", "--rm"))
    changed = {"--schedule", "hourly", "--rm", "role=cron", "role=one-off"}
    assert [word for word in cron if word not in changed] == [word for word in once if word not in changed]
    assert fly.arguments("smoke")[1:4] == ["--url", "https://quotes.example", "--cron-since"]
    assert [order["stdin"] for order in fly.told if order["argv"][0] == "smoke"] == [KEY]


def test_scheduled_machine_stays_as_it_was_when_the_verification_fails(fly: Fly) -> None:
    """What is not proven replaces nothing."""
    fly.has(**DEPLOYED, fails="smoke")
    done = fly.deploy()
    assert done.returncode == 1
    assert "the scheduled machine was left as it was" in done.stderr
    assert fly.orders[-1] == "smoke"


def test_deploy_of_an_image_builds_nothing(fly: Fly) -> None:
    """The way back to an earlier release, for both kinds of machine."""
    fly.has(**DEPLOYED)
    assert fly.deploy("--image", "registry.fly.io/quotes:deployment-0").returncode == 0
    deploy = fly.arguments("deploy")
    assert deploy[deploy.index("--image") + 1] == "registry.fly.io/quotes:deployment-0"
    assert "--remote-only" not in deploy
    assert fly.arguments("machine run", having="--schedule")[2] == "registry.fly.io/quotes:deployment-0"


def test_deploy_refuses_an_image_by_its_digest(fly: Fly) -> None:
    """`flyctl machine run` puts another digest behind it, and would fail once the release is out."""
    done = fly.deploy("--image", "registry.fly.io/quotes:deployment-0@sha256:0123")
    assert (done.returncode, fly.told) == (1, [])
    assert "IMAGE: must be named by its tag" in done.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KASPARRO_API_KEYS": ""}, "KASPARRO_API_KEYS: is needed"),
        ({"KASPARRO_API_KEYS": "no-name"}, "KASPARRO_API_KEYS: entry 1 must be name:key"),
        ({"DATABASE_URL": "mysql://nowhere"}, "DATABASE_URL: "),
        ({"COINPAPRIKA_API_KEY_FILE": "/none"}, "COINPAPRIKA_API_KEY_FILE: cannot read"),
        ({"COINGECKO_API_KEY": 'half"'}, "COINGECKO_API_KEY: must not hold quotation marks"),
        ({"FLY_APP": "My App"}, "FLY_APP: must be lower-case"),
    ],
)
def test_deploy_refuses_bad_settings_before_anything_is_done(fly: Fly, env: dict[str, str], said: str) -> None:
    """By name, without the value of a secret."""
    done = fly.deploy(**env)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert fly.told == []


def test_deploy_ends_where_flyctl_fails(fly: Fly) -> None:
    """With what flyctl said, masked; nothing after it is tried."""
    fly.has(**DEPLOYED, fails="deploy --app", reason=f"release_command failed at postgres://u:hidden@db, had pro {KEY}")
    done = fly.deploy(COINGECKO_API_PLAN="pro")
    assert done.returncode == 1
    assert "release_command failed at postgres://u:***@db, had pro ***" in done.stdout
    assert fly.orders[-1] == "deploy"


def test_dry_run_only_asks(fly: Fly) -> None:
    """The commands are those that would be given, and none is; the plan, which is no secret, masks no word of them."""
    fly.has(**DEPLOYED)
    done = fly.deploy("--dry-run", COINGECKO_API_PLAN="pro", DEPLOY_URL="https://process.example")
    assert done.returncode == 0
    assert fly.told == []
    commands = [" ".join(line.split()[2:4]) for line in done.stdout.splitlines() if line.startswith("$ flyctl ")]
    assert commands == [
        "config validate", "secrets import", "deploy --app", "machine run", "machine run", "machine stop",
        "machine destroy",
    ]  # fmt: skip
    assert f"{done.stdout}{done.stderr}".count(KEY) == 0
    assert "--url https://process.example" in done.stdout
    assert "    COINGECKO_API_PLAN=***" in done.stdout


def test_dry_run_needs_no_flyctl(fly: Fly, tmp_path: Path) -> None:
    """It then shows a first deployment; anything else says what is missing."""
    (tmp_path / "none").mkdir()
    done = fly.deploy("--dry-run", path=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "$ flyctl apps create quotes" in done.stdout
    assert "flyctl is missing" in fly.deploy(path=str(tmp_path / "none")).stderr


def test_fly_toml_has_settings_that_exist() -> None:
    """What is misspelt there would be noticed on Fly only."""
    config, problems = Config.read(TOML["env"])
    assert (problems, config.unknown) == ([], ())
    assert not config.scheduler, "the scheduled machine is the cron"


def test_fly_toml_fits_the_image() -> None:
    """Its port, its paths, its commands; and time to stop in order."""
    exposed = re.findall(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    service, ready = TOML["http_service"], TOML["checks"]["ready"]
    ports = {service["internal_port"], ready["port"], *(metrics["port"] for metrics in TOML["metrics"])}
    assert [str(port) for port in ports] == exposed
    paths = {ready["path"], *(check["path"] for check in service["checks"])}
    assert paths == {"/health/live", "/health/ready"} <= {path for path, _ in http_app.ROUTES}
    assert TOML["kill_signal"] == "SIGTERM"
    assert int(TOML["kill_timeout"].removesuffix("s")) > 10
