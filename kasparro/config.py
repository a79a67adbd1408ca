"""The settings: what the environment says, checked, in one frozen value.

The only reader of the environment. Every bad value is reported at once, by the name of its variable and
without the value where that could be a secret.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen

from kasparro import setting_values
from kasparro.errors import ConfigError

T = TypeVar("T")

# Every variable the service knows, with one line of meaning: `kasparro --help` prints it, the README repeats it.
VARIABLES: dict[str, str] = {
    "DATABASE_URL": "Postgres to use; absent: an embedded PostgreSQL",
    "KASPARRO_DIRECT_DSN": "Postgres for migrations, where DATABASE_URL goes through a pooler",
    "KASPARRO_PREPARE": "on or off: prepared statements; off behind PgBouncer in transaction mode (on)",
    "KASPARRO_DATA_DIR": "folder of the embedded PostgreSQL (as root /var/lib/kasparro, else the user's data folder)",
    "KASPARRO_HOST": "address to listen on (127.0.0.1)",
    "KASPARRO_PORT": "port to listen on (8000; PORT is understood too)",
    "KASPARRO_API_KEYS": "client keys as name:key, comma or line separated; absent: reads are open, POST /runs refused",
    "KASPARRO_SOURCES_DIR": "folder of TOML files that add to or replace the built-in sources",
    "COINPAPRIKA_API_KEY": "CoinPaprika key; present: the pro host",
    "COINGECKO_API_KEY": "CoinGecko key",
    "COINGECKO_API_PLAN": "demo or pro: which host and header the CoinGecko key belongs to (demo)",
    "KASPARRO_CSV_GLOB": "files of the built-in source csv, e.g. /archives/**/*.csv; absent: csv is off",
    "KASPARRO_SCHEDULER": "on or off: run due sources inside `serve` (on)",
    "KASPARRO_LEASE_SECONDS": "how long a lease lasts without renewal (30)",
    "KASPARRO_STALL_SECONDS": "after how long without a sign of life a run is given up as stalled (120)",
    "KASPARRO_DB_WAIT_SECONDS": "how long one-shot commands wait for Postgres (30)",
    "KASPARRO_RAW_RETENTION_DAYS": "raw records that changed no quote for so long are pruned once a day; absent: never",
    "KASPARRO_FAULTS": "failures to inject, for recovery demonstrations: see `kasparro faults`; absent: none",
}
# Settings of one source: KASPARRO_SOURCE_<NAME>_<one of these>.
SOURCE_VARIABLES = ("URL", "SCHEDULE", "ENABLED", "MAX_PAGES", "RATE")
# Variables that may also be given as NAME_FILE, a path to a mounted secret.
_FILE_SUFFIX = "_FILE"
# Known elsewhere (the test suite), so not reported as unknown.
_FOREIGN = {"KASPARRO_TEST_DSN"}

_API_KEY = re.compile(r"^[A-Z][A-Z0-9_]*_API_KEY$")
_API_PLAN = re.compile(r"^[A-Z][A-Z0-9_]*_API_PLAN$")
_SOURCE = re.compile(rf"^KASPARRO_SOURCE_([A-Z][A-Z0-9_]*)_({'|'.join(SOURCE_VARIABLES)})$")


@frozen(repr=False)
class Secret:
    """A value that never shows: not in repr, not in logs, not in errors. `reveal()` where it must travel."""

    _value: str

    def reveal(self) -> str:
        """The value itself, to hand to whoever must have it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


@frozen(kw_only=True)
class SourceOverride:
    """What the environment changes about one source; None leaves the file's value, max_pages 0 lifts the limit.

    `rate` is (requests, seconds); no requests lift that limit.
    """

    url: str | None = None
    schedule: str | None = None
    enabled: bool | None = None
    max_pages: int | None = None
    rate: tuple[int | None, float] | None = None


@frozen(kw_only=True)
class Config:
    """Every setting of the service. Durations in seconds."""

    database_url: Secret | None = None
    direct_dsn: Secret | None = None
    prepare: bool = True
    data_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    # What chose the port, for messages: KASPARRO_PORT, PORT or an option.
    port_setting: str = "KASPARRO_PORT"
    api_keys: Mapping[str, Secret] = field(factory=dict)
    sources_dir: Path | None = None
    upstream_keys: Mapping[str, Secret] = field(factory=dict)
    upstream_plans: Mapping[str, str] = field(factory=dict)
    csv_glob: str | None = None
    scheduler: bool = True
    lease_seconds: float = 30.0
    stall_seconds: float = 120.0
    db_wait_seconds: float = 30.0
    raw_retention_days: int | None = None
    faults: str | None = None
    source_overrides: Mapping[str, SourceOverride] = field(factory=dict)
    unknown: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Config":
        """Read the settings from `environ`. Blank values count as absent.

        Raises ConfigError with one line for every value that cannot be used.
        """
        config, problems = cls.read(environ)
        if problems:
            raise ConfigError(problems)
        return config

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "tuple[Config, list[str]]":
        """As `from_env`, but with the problems beside what could be read; what could not has its default."""
        env = _Reader(environ)
        config = cls(
            database_url=env.secret("DATABASE_URL", setting_values.dsn),
            direct_dsn=env.secret("KASPARRO_DIRECT_DSN", setting_values.dsn),
            prepare=env.get("KASPARRO_PREPARE", setting_values.switch, True),
            data_dir=env.get("KASPARRO_DATA_DIR", setting_values.path, None),
            host=env.get("KASPARRO_HOST", str, "127.0.0.1"),
            port=env.get("KASPARRO_PORT", setting_values.port, env.get("PORT", setting_values.port, 8000)),
            port_setting=env.first_of("KASPARRO_PORT", "PORT"),
            api_keys=env.api_keys("KASPARRO_API_KEYS"),
            sources_dir=env.get("KASPARRO_SOURCES_DIR", setting_values.folder, None),
            upstream_keys=env.matching_secrets(_API_KEY),
            upstream_plans=env.plans(),
            csv_glob=env.get("KASPARRO_CSV_GLOB", str, None),
            scheduler=env.get("KASPARRO_SCHEDULER", setting_values.switch, True),
            lease_seconds=env.get("KASPARRO_LEASE_SECONDS", setting_values.seconds, 30.0),
            stall_seconds=env.get("KASPARRO_STALL_SECONDS", setting_values.seconds, 120.0),
            db_wait_seconds=env.get("KASPARRO_DB_WAIT_SECONDS", setting_values.seconds, 30.0),
            raw_retention_days=env.get("KASPARRO_RAW_RETENTION_DAYS", setting_values.days, None),
            faults=env.get("KASPARRO_FAULTS", str, None),
            source_overrides=env.source_overrides(),
            unknown=env.unknown(),
        )
        return config, sorted(env.problems)


class _Reader:
    """Reads variables one by one and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name: value.strip() for name, value in environ.items() if value.strip()}
        self.problems: list[str] = []

    def get(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self._environ.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except setting_values.SecretValueError as ex:
            self.problems.append(f"{name}: {ex}")
            return default
        except ValueError as ex:
            self.problems.append(f"{name}: {ex}, got {text!r}")
            return default

    def first_of(self, *names: str) -> str:
        """The name that is set; the first of all where none is."""
        return next((name for name in names if name in self._environ), names[0])

    def secret(self, name: str, check: Callable[[str], str] = str) -> Secret | None:
        text = self._text_or_file(name)
        if text is None:
            return None
        try:
            return Secret(check(text))
        except ValueError as ex:
            self.problems.append(f"{name}: {ex}")
            return None

    def matching_secrets(self, pattern: re.Pattern[str]) -> dict[str, Secret]:
        names = {name.removesuffix(_FILE_SUFFIX) for name in self._environ}
        found = {name: self.secret(name, setting_values.header_value) for name in sorted(names) if pattern.match(name)}
        return {name: secret for name, secret in found.items() if secret is not None}

    def plans(self) -> dict[str, str]:
        found = {name: value for name, value in self._environ.items() if _API_PLAN.match(name)}
        plan = found.get("COINGECKO_API_PLAN")
        if plan is not None and plan not in ("demo", "pro"):
            # Not shown, for it may be the key, set under the wrong name.
            self.problems.append("COINGECKO_API_PLAN: must be demo or pro")
            del found["COINGECKO_API_PLAN"]
        return found

    def api_keys(self, name: str) -> dict[str, Secret]:
        given = name in self._environ or name + _FILE_SUFFIX in self._environ
        text = self._text_or_file(name)
        keys: dict[str, Secret] = {}
        for number, entry in enumerate(re.split(r"[,\n]", text or ""), start=1):
            if not entry.strip():
                continue
            # Told by its number: what stands before the colon may be the key, where somebody mixed them up.
            client, colon, key = (part.strip() for part in entry.partition(":"))
            if not colon or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", client):
                self.problems.append(f"{name}: entry {number} must be name:key, with a name of letters, digits, _ . -")
            elif len(key) < 8 or not key.isascii() or not key.isprintable() or " " in key:
                self.problems.append(f"{name}: the key of entry {number} must be 8 or more printable ASCII characters")
            elif key in (known.reveal() for known in keys.values()):
                self.problems.append(f"{name}: entry {number} has the key of another name; each needs its own")
            elif client in keys:
                self.problems.append(f"{name}: the name of entry {number} stands twice")
            else:
                keys[client] = Secret(key)
        if given and not keys and not any(problem.startswith(name) for problem in self.problems):
            # Empty by mistake, most likely: an open API is what nobody meant by setting this.
            self.problems.append(f"{name}: holds no key; leave it out for an API that anybody may read")
        return keys

    def source_overrides(self) -> dict[str, SourceOverride]:
        found: dict[str, dict[str, Any]] = {}
        parsers: dict[str, Callable[[str], Any]] = {
            "URL": setting_values.url, "SCHEDULE": setting_values.schedule,
            "ENABLED": setting_values.switch, "MAX_PAGES": setting_values.pages,
            "RATE": setting_values.rate,
        }  # fmt: skip
        for name in sorted(self._environ):
            match = _SOURCE.match(name)
            if match:
                source, key = match[1].lower(), match[2]
                found.setdefault(source, {})[key.lower()] = self.get(name, parsers[key], None)
        return {source: SourceOverride(**values) for source, values in found.items()}

    def unknown(self) -> tuple[str, ...]:
        known = VARIABLES.keys() | _FOREIGN
        return tuple(
            name
            for name in sorted(self._environ)
            if name.startswith("KASPARRO_")
            and name.removesuffix(_FILE_SUFFIX) not in known
            and not _SOURCE.match(name)
            and not _API_KEY.match(name.removesuffix(_FILE_SUFFIX))
        )

    def _text_or_file(self, name: str) -> str | None:
        path = self._environ.get(name + _FILE_SUFFIX)
        if path is None:
            return self._environ.get(name)
        if name in self._environ:
            self.problems.append(f"{name}: set either {name} or {name}_FILE, not both")
            return None
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as ex:
            reason = ex.strerror if isinstance(ex, OSError) else "not UTF-8 text"
            self.problems.append(f"{name}_FILE: cannot read {path!r}: {reason}")
            return None
        if not text:
            # By mistake: without it another database would be filled, or an upstream asked without its key.
            self.problems.append(f"{name}_FILE: {path!r} is empty")
        return text or None
