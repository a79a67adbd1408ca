"""What is to be deployed, and with what? From the environment, fly.toml and the options, all checked beforehand."""

import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyctl import Failed

from kasparro import __version__
from kasparro.config import Config

ROOT = Path(__file__).resolve().parents[2]
# What the environment may hand on as secrets of the app. The plan is none, but belongs to a key.
_HANDED_ON = (
    "KASPARRO_API_KEYS",
    "DATABASE_URL",
    "KASPARRO_DIRECT_DSN",
    "COINPAPRIKA_API_KEY",
    "COINGECKO_API_KEY",
    "COINGECKO_API_PLAN",
)


@dataclass(frozen=True)
class Settings:
    """One deployment. `image` None: it is built from this checkout."""

    app: str
    org: str
    region: str
    postgres: str
    url: str
    image: str | None
    secrets: Mapping[str, str]
    # Each value of theirs that nobody may see: the keys of clients one by one, and not the plan.
    hidden: Sequence[str]
    smoke_key: str
    # Of fly.toml: what the scheduled machine has in common with the others.
    env: Mapping[str, str]
    size: str
    memory: str
    build_args: Mapping[str, str]


def read(environ: Mapping[str, str], *, image: str | None) -> Settings:
    """Raises Failed with everything that is wrong with the settings."""
    toml: dict[str, Any] = tomllib.loads((ROOT / "fly.toml").read_text(encoding="utf-8"))
    app = environ.get("FLY_APP") or toml["app"]
    problems, secrets = _secrets(environ, toml["env"])
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", app):
        problems.append(f"FLY_APP: must be lower-case letters, digits and dashes, got {app!r}")
    if image is not None and "@" in image:
        problems.append(f"IMAGE: must be named by its tag, without a digest, which flyctl adds itself, got {image!r}")
    if problems:
        raise Failed("\n".join(problems))
    config = Config.from_env(secrets)
    keys = [key.reveal() for key in config.api_keys.values()]
    others = (*config.upstream_keys.values(), config.database_url, config.direct_dsn)
    return Settings(
        app=app,
        org=environ.get("FLY_ORG") or "personal",
        region=toml["primary_region"],
        postgres=environ.get("FLY_POSTGRES") or f"{app}-db",
        url=environ.get("DEPLOY_URL") or f"https://{app}.fly.dev",
        image=image,
        secrets=secrets,
        hidden=[*keys, *(secret.reveal() for secret in others if secret is not None)],
        smoke_key=keys[0],
        env=toml["env"],
        size=toml["vm"][0]["size"],
        memory=toml["vm"][0]["memory"],
        build_args={"VERSION": __version__, "REVISION": _revision()},
    )


def _secrets(environ: Mapping[str, str], env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What is wrong with secrets and settings of the service, and the secrets by name."""
    given = {name: environ[name] for name in _HANDED_ON if environ.get(name, "").strip()}
    files = {f"{name}_FILE": environ[f"{name}_FILE"] for name in _HANDED_ON if environ.get(f"{name}_FILE", "").strip()}
    config, problems = Config.read({**env, **given, **files})
    for name in config.unknown:
        problems.append(f"fly.toml: [env] has {name}, which is no setting")
    if problems:
        return problems, {}
    secrets = {}
    for name in _HANDED_ON:
        value = (
            Path(files[f"{name}_FILE"]).read_text(encoding="utf-8") if f"{name}_FILE" in files else given.get(name, "")
        )
        # Lines where they are entries of a list; flyctl reads one a secret.
        value = re.sub(r"\s*\n\s*", ",", value.strip()) if name == "KASPARRO_API_KEYS" else value.strip()
        if '"' in value or "\n" in value:
            problems.append(f"{name}: must not hold quotation marks or line breaks: flyctl would not read it")
        if value:
            secrets[name] = value
    if "KASPARRO_API_KEYS" not in secrets:
        problems.append("KASPARRO_API_KEYS: is needed, as name:key: without keys anybody could read the API")
    return problems, secrets


def _revision() -> str:
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return asked.stdout.strip() or "unknown"
