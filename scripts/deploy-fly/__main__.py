"""Deploy to Fly.io: make deploy, or make deploy DRY_RUN=1 for what it would do.

Makes what is missing (the app; a Managed Postgres where there is no DATABASE_URL), hands the keys of the environment on
as secrets, deploys what fly.toml says, lets a one-off machine prove that sources can be ingested, verifies the API from
outside, and replaces the scheduled machine, which is the cron and which no deployment of Fly's would update.

environment:
  KASPARRO_API_KEYS     required; this and the others below also as NAME_FILE
  DATABASE_URL          a PostgreSQL of yours, where it is not to be one of Fly's; KASPARRO_DIRECT_DSN beside it
  COINPAPRIKA_API_KEY, COINGECKO_API_KEY, COINGECKO_API_PLAN
  FLY_APP, FLY_ORG      the app's name (fly.toml's) and its organization (personal)
  FLY_POSTGRES          name of the Managed Postgres cluster (the app's name and -db)
  DEPLOY_URL            where the API is verified (https://APP.fly.dev)
  FLY_API_TOKEN         flyctl's own, where nobody has logged in
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import settings
from flyctl import Failed, Flyctl
from settings import ROOT, Settings

# The metadata by which the scheduled machine is found again.
_CRON = "cron"


def main() -> int:
    """0 when the deployment serves, and its cron has run."""
    parser = argparse.ArgumentParser(
        prog="make deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the commands")
    parser.add_argument("--image", help="deploy this image of an earlier release instead of building one")
    args = parser.parse_args()
    try:
        wanted = settings.read(os.environ, image=args.image)
        flyctl = Flyctl(dry_run=args.dry_run, secrets=wanted.hidden)
        deploy(flyctl, wanted)
    except Failed as ex:
        print(ex, file=sys.stderr)
        return 1
    return 0


def deploy(flyctl: Flyctl, wanted: Settings) -> None:
    """The whole of it, in order."""
    # First: a mistake in it shall not be found when an app and a database are made, and cost money.
    flyctl.tell("config", "validate", "--strict", "--app", wanted.app, "--config", "fly.toml")
    is_new = make_app(flyctl, wanted)
    make_database(flyctl, wanted, known=[] if is_new else flyctl.ask("secrets", "list", "--app", wanted.app) or [])
    flyctl.tell("secrets", "import", "--stage", "--app", wanted.app, secrets=wanted.secrets)
    flyctl.tell("deploy", "--app", wanted.app, "--config", "fly.toml", "--ha=false", "--yes", *_source(wanted))
    machines = [] if flyctl.dry_run and is_new else flyctl.ask("machines", "list", "--app", wanted.app) or []
    image = wanted.image or ("IMAGE-OF-THIS-RELEASE" if flyctl.dry_run else _deployed_image(machines))
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run_machine(flyctl, wanted, image, "--rm", role="one-off")
    verify(flyctl, wanted, cron_since=began)
    run_machine(flyctl, wanted, image, "--schedule", "hourly", role=_CRON)
    for machine in machines:
        if _metadata(machine).get("role") == _CRON:
            remove_machine(flyctl, wanted, machine)
    print("# nothing was done" if flyctl.dry_run else f"# {wanted.app} serves at {wanted.url}, and ingests every hour")


def make_app(flyctl: Flyctl, wanted: Settings) -> bool:
    """Whether it had to be made."""
    # Of this app alone: a token that is good for one app cannot list them all.
    is_new = flyctl.ask("status", "--app", wanted.app, absent="could not find app") is None
    if is_new:
        flyctl.tell("apps", "create", wanted.app, "--org", wanted.org, "--yes")
    return is_new


def make_database(flyctl: Flyctl, wanted: Settings, *, known: Sequence[Any]) -> None:
    """Make and attach a Managed Postgres, unless the app has, or is given, the address of a database."""
    if "DATABASE_URL" in {*wanted.secrets, *map(_name, known)}:
        return
    cluster = _cluster(flyctl, wanted)
    if cluster is None:
        flyctl.tell(
            *("mpg", "create", "--name", wanted.postgres, "--org", wanted.org, "--region", wanted.region),
            *("--plan", "basic", "--pg-major-version", "17"),
        )
        cluster = "ID-OF-THE-NEW-CLUSTER" if flyctl.dry_run else _cluster(flyctl, wanted)
    if cluster is None:
        raise Failed(f"flyctl mpg list has no {wanted.postgres}, which was just made: try again")
    flyctl.tell("mpg", "attach", cluster, "--app", wanted.app)


def run_machine(flyctl: Flyctl, wanted: Settings, image: str, *options: str, role: str) -> None:
    """Start a machine that ingests everything once. It gets the settings of fly.toml here, for flyctl reads none."""
    env = [f"--env={name}={value}" for name, value in wanted.env.items()]
    size = ["--region", wanted.region, "--vm-size", wanted.size, "--vm-memory", wanted.memory]
    flyctl.tell(
        *("machine", "run", image, "--app", wanted.app, *size, "--metadata", f"role={role}", *env),
        *("--restart", "no", "--detach", *options, "--", "run", "--all", "--cron"),
    )


def remove_machine(flyctl: Flyctl, wanted: Settings, machine: Any) -> None:
    """Destroy it; one that is in the middle of a run may end it in order first."""
    if machine.get("state") == "started":
        patience = ["--signal", "SIGTERM", "--timeout", "15", "--wait-timeout", "30s"]
        flyctl.tell("machine", "stop", machine["id"], "--app", wanted.app, *patience)
    flyctl.tell("machine", "destroy", machine["id"], "--app", wanted.app, "--force")


def verify(flyctl: Flyctl, wanted: Settings, *, cron_since: str) -> None:
    """Wait for what the one-off machine ingests, then read the API from outside. Raises Failed when that does."""
    command = ["scripts/smoke", "--url", wanted.url, "--cron-since", cron_since]
    print(f"$ KASPARRO_SMOKE_KEY=*** {shlex.join(['python', *command])}", flush=True)
    if flyctl.dry_run:
        return
    environ = os.environ | {"KASPARRO_SMOKE_KEY": wanted.smoke_key}
    if subprocess.run([sys.executable, *command], cwd=ROOT, env=environ, check=False).returncode != 0:
        raise Failed(
            "the release is deployed, but not as it should be; the scheduled machine was left as it was. "
            "See flyctl logs, and docs/OPERATIONS.md on rolling back"
        )


def _source(wanted: Settings) -> list[str]:
    """An image that there is, or one that Fly builds of this checkout."""
    if wanted.image is not None:
        return ["--image", wanted.image]
    return ["--remote-only", *(f"--build-arg={name}={value}" for name, value in wanted.build_args.items())]


def _deployed_image(machines: Sequence[Any]) -> str:
    """The image of the machines that a deployment keeps, by its tag: `machine run` puts the digest behind it itself.

    Raises Failed unless there is exactly one.
    """
    kept = [machine for machine in machines if "fly_process_group" in _metadata(machine)]
    images = {machine["config"]["image"].partition("@")[0] for machine in kept}
    if len(images) != 1:
        raise Failed(f"the machines should all run the new image, but run {sorted(images) or 'none'}: deploy again")
    return str(images.pop())


def _cluster(flyctl: Flyctl, wanted: Settings) -> str | None:
    """The id of the Managed Postgres cluster, if there is one of that name."""
    clusters = flyctl.ask("mpg", "list", "--org", wanted.org) or []
    return next((str(cluster["id"]) for cluster in clusters if _name(cluster) == wanted.postgres), None)


def _metadata(machine: Any) -> dict[str, str]:
    return machine["config"].get("metadata") or {}


def _name(entry: Any) -> str:
    """Some of flyctl's lists say Name, others name."""
    return str(entry.get("name") or entry.get("Name"))


if __name__ == "__main__":
    sys.exit(main())
