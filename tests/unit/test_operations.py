"""Does docs/OPERATIONS.md tell of what there is: every alert, and no setting or target that there is not?"""

import re
from pathlib import Path

from kasparro import config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")


def test_alert_is_explained() -> None:
    """Whoever is woken by one finds what it means and what to do; a row for one that is gone would mislead."""
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    alerts = re.findall(r"^ +- alert: (\w+)$", rules, re.MULTILINE)
    assert alerts
    assert re.findall(r"^\| `(Kasparro\w+)` \|", TEXT, re.MULTILINE) == alerts


def test_operations_name_what_there_is() -> None:
    """Settings and make targets by their right names."""
    found = set(re.findall(r"\bKASPARRO_[A-Z_]+\b", TEXT)) - {"KASPARRO_SOURCE_S_RATE", "KASPARRO_SMOKE_KEY"}
    settings = {name.removesuffix("_FILE") for name in found}
    assert settings <= config.VARIABLES.keys()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", TEXT)) <= targets
