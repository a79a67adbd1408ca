"""`kasparro faults`: which failures can be injected, which KASPARRO_FAULTS sets, and which fired on this database."""

import argparse

from kasparro import errors
from kasparro.app import App
from kasparro.commands import logs, output
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.etl import faults
from kasparro.store import faults as fired_faults
from kasparro.store import migrate


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Show; 0 once the database answered what fired."""
    logs.silence(config)
    with App(config) as app:
        configured = [str(fault) for fault in faults.parse(config.faults or "", app.sources)[0]]
        if not args.json:
            _show_possible(configured)
        fired = _fired(app, stop)
    if args.json:
        stages = {stage: {"moments": list(moments)} | _counted(stage) for stage, moments in faults.STAGES.items()}
        kinds = {kind: {"does": does, "stage": only or None} for kind, (does, only) in faults.KINDS.items()}
        output.show_json({"stages": stages, "kinds": kinds, "configured": configured, "fired": fired})
        return 0
    print("\nfired:" if fired else "\nnothing fired on this database")
    if fired:
        output.show_table(
            ("fault", "run", "at"), [(each["fault"], str(each["run_id"] or "-"), each["fired_at"]) for each in fired]
        )
    return 0


def _fired(app: App, stop: Stop) -> list[dict[str, object]]:
    """What fired on the database: nothing on one that nobody has used."""
    try:
        app.open_database(stop, wait_seconds=app.config.db_wait_seconds, migrate_first=False)
    except errors.SchemaError as ex:
        if ex.code == migrate.NO_SCHEMA:
            return []
        raise
    with app.database.connection() as conn:
        return fired_faults.list_fired(conn)


def _counted(stage: str) -> dict[str, str]:
    """What a stage's place is counted in."""
    counted = "page" if stage in faults.PAGED else "batch" if stage in faults.BATCHED else None
    return {"counted": counted} if counted else {}


def _show_possible(configured: list[str]) -> None:
    stages = [
        (stage, " ".join(moments) or None, _counted(stage).get("counted")) for stage, moments in faults.STAGES.items()
    ]
    output.show_table(("stage", "moments", "counted"), stages)
    print()
    output.show_table(
        ("kind", "does", "only at"), [(kind, does, only or None) for kind, (does, only) in faults.KINDS.items()]
    )
    print(f"\nKASPARRO_FAULTS={faults.FORM}, ...")
    print("set: " + (", ".join(configured) if configured else "none"))
