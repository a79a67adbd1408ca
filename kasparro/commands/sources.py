"""`kasparro sources list | check`: what the TOML files and the environment come to, before anything runs.

Needs neither database nor network. `guess` and `try` are in files of their own beside this one.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kasparro import errors
from kasparro.app import App, load_sources
from kasparro.commands import logs, output, sources_guess, sources_try
from kasparro.commands.signals import Stop
from kasparro.config import Config, Secret
from kasparro.etl import audit as audits
from kasparro.etl import catalogue


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:  # noqa: ARG001 - as every command
    """Do one of them; a check that finds a source above its budget returns 1. Raises ConfigError for every mistake."""
    if args.action == "guess":
        return sources_guess.run(args)
    if args.action == "try":
        return sources_try.run(args)
    logs.silence(config)
    with App(config) as app:
        found = audits.sources(app.sources, config, now=app.clock.now())
    return _check(found, config, as_json=args.json) if args.action == "check" else _list(found, as_json=args.json)


def problems(config: Config, *, known: Sequence[str]) -> list[str]:
    """What is wrong with sources and addresses besides the `known` problems of the settings, as far as can be told."""
    try:
        load_sources(config)
    except errors.ConfigError as ex:
        if not any(problem.startswith("KASPARRO_SOURCES_DIR") for problem in known):
            return ex.problems
        # A source that seems not to be there may be in the folder that could not be read.
        return [problem for problem in ex.problems if catalogue.NO_SUCH_SOURCE not in problem]
    return []


def _list(found: Sequence[audits.Audit], *, as_json: bool) -> int:
    entries = [
        {
            "source": audit.source.name,
            "kind": audit.source.kind.value,
            "schedule": audit.source.schedule.text,
            "enabled": audit.source.enabled,
            "file": str(audit.file),
        }
        for audit in found
    ]
    if as_json:
        output.show_json({"sources": entries})
    else:
        output.show_table(list(entries[0]), [list(entry.values()) for entry in entries])
    return 0


def _check(found: Sequence[audits.Audit], config: Config, *, as_json: bool) -> int:
    entries = {
        audit.source.name: {
            "enabled": audit.source.enabled,
            "kind": audit.source.kind.value,
            "file": str(audit.file),
            "schedule": audit.source.schedule.text,
            "url": audit.url,
            "glob": audit.source.files.glob or None if audit.source.files is not None else None,
            "files": audit.files,
            "key": {audit.key_variable: output.mask(audit.key)} if audit.key_variable else None,
            "plan": audit.plan,
            "max_pages": audit.source.paging.max_pages if audit.source.paging is not None else None,
            "freshness_seconds": audit.source.freshness_seconds,
            "calls_per_month": audit.calls_per_month,
            "monthly_requests": audit.source.limits.monthly_requests,
        }
        for audit in found
    }
    problems = [audit.problem for audit in found if audit.problem is not None]
    warnings = [audit.warning for audit in found if audit.warning is not None]
    if as_json:
        answer = {"ok": not problems, "settings": settings(config), "sources": entries, "problems": problems}
        output.show_json(answer | {"warnings": warnings, "unknown_settings": list(config.unknown)})
    else:
        _show(config, entries)
    for problem in (*warnings, *problems):
        output.say(f"kasparro: {problem}", stream=sys.stderr)
    return 1 if problems else 0


def _show(config: Config, entries: Mapping[str, Mapping[str, Any]]) -> None:
    output.show_table(("setting", "value"), list(settings(config).items()))
    print()
    columns = ("source", "enabled", "schedule", "reads", "key", "plan", "pages", "calls a month", "budget")
    rows = [
        [
            name,
            entry["enabled"],
            entry["schedule"],
            entry["url"] or (f"{entry['files']} files of {entry['glob']}" if entry["glob"] else "no glob is set"),
            next(iter((entry["key"] or {"": None}).values())),
            entry["plan"],
            entry["max_pages"],
            entry["calls_per_month"],
            entry["monthly_requests"],
        ]
        for name, entry in entries.items()
    ]
    output.show_table(columns, rows, numbers=("pages", "calls a month", "budget"))


def settings(config: Config) -> dict[str, str | None]:
    """The effective value of every setting, by its variable; None where it is absent, secrets only as `set`."""
    default_plan = "demo" if "COINGECKO_API_KEY" in config.upstream_keys else None
    clients = ", ".join(f"{name}: {output.mask(secret)}" for name, secret in config.api_keys.items())
    return {
        "DATABASE_URL": _set(config.database_url),
        "KASPARRO_DIRECT_DSN": _set(config.direct_dsn),
        "KASPARRO_PREPARE": _switch(on=config.prepare),
        "KASPARRO_DATA_DIR": _text(config.data_dir),
        "KASPARRO_HOST": config.host,
        "KASPARRO_PORT": str(config.port),
        "KASPARRO_API_KEYS": clients or None,
        "KASPARRO_SOURCES_DIR": _text(config.sources_dir),
        "COINPAPRIKA_API_KEY": output.mask(config.upstream_keys.get("COINPAPRIKA_API_KEY")),
        "COINGECKO_API_KEY": output.mask(config.upstream_keys.get("COINGECKO_API_KEY")),
        "COINGECKO_API_PLAN": config.upstream_plans.get("COINGECKO_API_PLAN", default_plan),
        "KASPARRO_CSV_GLOB": config.csv_glob,
        "KASPARRO_SCHEDULER": _switch(on=config.scheduler),
        "KASPARRO_LEASE_SECONDS": f"{config.lease_seconds:g}",
        "KASPARRO_STALL_SECONDS": f"{config.stall_seconds:g}",
        "KASPARRO_DB_WAIT_SECONDS": f"{config.db_wait_seconds:g}",
        "KASPARRO_RAW_RETENTION_DAYS": _text(config.raw_retention_days),
        "KASPARRO_FAULTS": config.faults,
    }


def _set(address: Secret | None) -> str | None:
    """A connection string's last characters are its database, or its password: nothing of it is shown."""
    return None if address is None else "set"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _switch(*, on: bool) -> str:
    return "on" if on else "off"
