"""Who may import whom: no circles, only the directions of the design, and each outside library in one place."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import kasparro

ROOT = Path(kasparro.__file__).parent
BASE = {"errors", "clock", "model", "fields", "metrics", "log", "config", "setting_values", "tallies", "watchdog"}
# Layer -> the layers it may import beside itself; everybody may import the version from the package.
MAY_IMPORT = {
    "base": set(),
    "store": {"base"},
    "etl stages": {"base"},
    "etl.pipeline": {"base", "etl stages", "store"},
    "etl.scheduler": {"base", "etl stages", "etl.pipeline", "store"},
    "http": {"base", "store"},
    "upstream": {"base"},
    "reach": {"base", "store"},
    "app": {"base", "reach", "store", "etl stages", "etl.pipeline", "etl.scheduler", "http", "upstream"},
    "commands": {"base", "store", "etl stages", "etl.pipeline", "etl.scheduler", "http", "upstream", "app"},
    "__main__": {"base", "commands"},
}
# What of etl/ is not a stage or a tool: holding a lease and writing a batch are the pipeline's work, in own files.
ETL_OVER_STAGES = dict.fromkeys(
    ("pipeline", "tenure", "heartbeat", "commit", "purse", "replay", "prune", "judge", "endings", "next_run"),
    "etl.pipeline",
) | {"scheduler": "etl.scheduler"}
# Library -> the modules that may import it, by the start of their names.
ONLY_IN = {
    "psycopg": ("kasparro.store.",),
    "psycopg_pool": ("kasparro.store.",),
    "urllib3": ("kasparro.etl.fetch",),
    "prometheus_client": ("kasparro.metrics",),
    "falcon": ("kasparro.http.", "kasparro.upstream."),
    "waitress": ("kasparro.http.", "kasparro.upstream."),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """Every module that `module` imports anywhere, ours by their full names."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else str(node.module)


def layer(module: str) -> str:
    first, *rest = module.removeprefix("kasparro.").split(".")
    if first in BASE:
        return "base"
    if first == "etl":
        return ETL_OVER_STAGES.get(rest[0] if rest else "", "etl stages")
    return first


def test_imports_form_no_circle() -> None:
    """A module can be read after the ones it imports."""
    graph = {module: {name for name in imports(module) if name in FILES} for module in FILES}
    order = list(TopologicalSorter(graph).static_order())
    assert set(FILES) <= set(order)


@pytest.mark.parametrize("module", FILES)
def test_module_imports_only_what_its_layer_may(module: str) -> None:
    """Layers know those below them, and nothing else of ours."""
    ours = {name for name in imports(module) if name.startswith("kasparro.")}
    allowed = MAY_IMPORT.get(layer(module), set()) | {layer(module)}
    assert {name for name in ours if layer(name) not in allowed} == set()


@pytest.mark.parametrize("module", FILES)
def test_library_stays_in_its_place(module: str) -> None:
    """What talks to the outside can be found, and replaced, in one folder."""
    libraries = {name.split(".")[0] for name in imports(module)}
    strayed = {lib for lib in libraries & ONLY_IN.keys() if not module.startswith(ONLY_IN[lib])}
    assert strayed == set()
