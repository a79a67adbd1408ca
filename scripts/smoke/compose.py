"""The service in containers: the project's own compose file, under a name of its own, on free ports."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from client import Client, Failed, wait_until
from stack import ROOT, SETTINGS, TICK, UPSTREAM_KEYS, free_port

# What the compose file is told besides: another database, stand-ins that want keys, and ports that are free.
_OVERRIDE = """
services:
  app:
    environment: &environment
      DATABASE_URL: "postgresql://kasparro:${POSTGRES_PASSWORD}@postgres/${SMOKE_DATABASE:-kasparro}"
    ports: !override
      - {target: 8000, published: "${SMOKE_PORT}", host_ip: 127.0.0.1}
  migrate:
    environment: *environment
  upstream:
    command: %s
    ports:
      - {target: 8001, host_ip: 127.0.0.1}
"""
_INTERNAL_UPSTREAM = "http://upstream:8001"


def _pip_settings() -> dict[str, str]:
    """The one line of .env that the build may need; with the others this would not be a stack of its own."""
    path = ROOT / ".env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if line.startswith("PIP_CONFIG_FILE="))


class ComposeStack:
    """One compose project; `serve` makes the service's container anew with other settings."""

    kind = "containers"

    def __init__(self, key: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kasparro-smoke-"))
        # The user in the container reads what is here.
        self._folder.chmod(0o755)
        (self._folder / "sources").mkdir(mode=0o755)
        keys = [f"--{name.split('_')[0].lower()}-key={value}" for name, value in UPSTREAM_KEYS.items()]
        listen = ["--host", "0.0.0.0", "--port", "8001"]  # noqa: S104 - inside the network of its own
        command = ["upstream", *listen, "--tick", str(TICK), "--require-keys", *keys]
        (self._folder / "override.yml").write_text(_OVERRIDE % json.dumps(command), encoding="utf-8")
        self._key = key
        self._environ = self._base_environ()
        self._database = "kasparro"
        # Chosen here: one that Docker chooses would be another after a restart.
        self._port = free_port()
        self.client = Client(f"http://127.0.0.1:{self._port}", key)
        self.upstream = Client("http://127.0.0.1")

    def open(self) -> None:
        self._compose("build", "--quiet", "app", seconds=900)
        self._compose("up", "--detach", "--wait", "postgres", "upstream")
        self._compose("up", "archives", "--no-log-prefix")
        self.upstream.url = f"http://{self._published('upstream', 8001)}"

    def serve(self, database: str, settings: Mapping[str, str]) -> None:
        if database != self._database:
            self._compose("exec", "-T", "postgres", "createdb", "--username=kasparro", database)
        self._database = database
        self._environ = self._base_environ() | dict(settings)
        # Without --wait: it gives up on a container that dies before its first probe, as one with faults may.
        self._compose("up", "--detach", "--force-recreate", "app")
        wait_until(lambda: self.client.ask("/health/ready").status == 200, "the service to be ready")

    def once(self, arguments: Sequence[str], settings: Mapping[str, str]) -> tuple[int, str]:
        given = [f"--env={name}={value}" for name, value in settings.items()]
        done = self._run("run", "--rm", "--no-deps", "-T", *given, "app", *arguments)
        return done.returncode, done.stdout + done.stderr

    def python(self, script: str, argument: str) -> tuple[int, str, str]:
        done = self._run("exec", "-T", "app", "python", "-c", script, argument)
        return done.returncode, done.stdout, done.stderr

    def restarts(self) -> int:
        return int(self._inspect("{{.RestartCount}}"))

    def stop(self) -> tuple[int, float]:
        began = time.monotonic()
        self._compose("stop", "app")
        return int(self._inspect("{{.State.ExitCode}}")), time.monotonic() - began

    def add_source(self, name: str, text: str) -> None:
        path = self._folder / "sources" / f"{name}.toml"
        path.write_text(text.replace("{upstream}", _INTERNAL_UPSTREAM), encoding="utf-8")

    def last_words(self) -> str:
        done = self._run("logs", "--no-color", "--tail", "30", "app", "migrate")
        return done.stdout + done.stderr

    def close(self) -> None:
        # The image has the project's name.
        image = ["docker", "image", "rm", self._environ["COMPOSE_PROJECT_NAME"]]
        with contextlib.ExitStack() as last:
            last.callback(shutil.rmtree, self._folder, ignore_errors=True)
            last.callback(subprocess.run, image, capture_output=True, timeout=60, check=False)
            self._compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def _base_environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KASPARRO_", "COINGECKO_", "COINPAPRIKA_", "COMPOSE_", "POSTGRES_", "GRAFANA_"))
        }
        return (
            _pip_settings()
            | kept
            | SETTINGS
            | {
                "COMPOSE_PROJECT_NAME": f"kasparro-smoke-{os.getpid()}",
                "COMPOSE_PROFILES": "demo",
                "COMPOSE_DISABLE_ENV_FILE": "1",
                "POSTGRES_PASSWORD": self._key,
                "GRAFANA_PASSWORD": self._key,
                "KASPARRO_API_KEYS": f"smoke:{self._key}",
                "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{_INTERNAL_UPSTREAM}/v1",
                "KASPARRO_SOURCE_COINGECKO_URL": f"{_INTERNAL_UPSTREAM}/api/v3",
                "ARCHIVES_FOLDER": "demo-archives",
                "SOURCES_FOLDER": str(self._folder / "sources"),
                "SECRETS_FOLDER": str(self._folder / "sources"),
            }
        )

    def _published(self, service: str, port: int) -> str:
        return self._compose("port", service, str(port)).strip()

    def _inspect(self, template: str) -> str:
        container = self._compose("ps", "--all", "--quiet", "app").strip()
        done = subprocess.run(
            ["docker", "inspect", "--format", template, container],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def _compose(self, *arguments: str, seconds: float = 180) -> str:
        done = self._run(*arguments, seconds=seconds)
        if done.returncode != 0:
            raise Failed(f"docker compose {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _run(self, *arguments: str, seconds: float = 180) -> subprocess.CompletedProcess[str]:
        files = ["--file", str(ROOT / "docker-compose.yml"), "--file", str(self._folder / "override.yml")]
        return subprocess.run(
            ["docker", "compose", *files, *arguments],
            env=self._environ | {"SMOKE_DATABASE": self._database, "SMOKE_PORT": str(self._port)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
