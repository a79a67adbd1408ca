"""Do alerts and dashboards speak of metrics that there are, and are the alerts what their tests say?"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kasparro import metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
ALERT_TESTS = (DEPLOY / "prometheus" / "alerts_test.yml").read_text(encoding="utf-8")
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
# Parts of a histogram, which have names of their own.
PARTS = re.compile(r"_(bucket|sum|count)$")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool: Debian's package prometheus has it")


def panels() -> Iterator[dict[str, Any]]:
    for path in DASHBOARDS:
        yield from json.loads(path.read_text(encoding="utf-8"))["panels"]


def alert_expressions() -> list[str]:
    found = re.findall(r"^        expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", ALERTS, re.MULTILINE)
    return [block or line for block, line in found]


EXPRESSIONS = [
    *alert_expressions(),
    *(target["expr"] for panel in panels() for target in panel.get("targets", ())),
]


def named(text: str) -> set[str]:
    """The metrics that a text names, by the names they are declared with."""
    found = re.findall(r"\bkasparro_\w+", text)
    return {name if name in metrics.DECLARED else PARTS.sub("", name) for name in found}


def test_alerts_and_dashboards_name_only_metrics_that_are_declared() -> None:
    """A metric that was renamed would leave an alert that never fires, and an empty panel."""
    texts = (ALERTS, ALERT_TESTS, *(path.read_text(encoding="utf-8") for path in DASHBOARDS))
    assert all(texts)
    assert {name for text in texts for name in named(text)} <= metrics.DECLARED.keys()


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    """What nobody looks at need not be measured."""
    assert metrics.DECLARED.keys() - {name for text in EXPRESSIONS for name in named(text)} <= {
        "kasparro_source_enabled",
        "kasparro_last_failure_timestamp_seconds",
        "kasparro_next_run_timestamp_seconds",
        "kasparro_process_start_time_seconds",
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_figures_that_every_machine_shows_are_taken_once(expression: str) -> None:
    """With two machines, a sum over both would be twice what happened."""
    for name in named(expression):
        if not {"source", "bucket"} & set(metrics.DECLARED[name].labels):
            continue
        for found in re.finditer(rf"\b{name}\b", expression):
            before = re.sub(r"(sum by \([a-z, ]*instance\) \()?(rate\(|increase\()?$", "", expression[: found.start()])
            assert re.search(r"max by \([a-z, ]+\) \($", before), before


def test_labels_that_expressions_group_by_are_declared() -> None:
    """A misspelt label groups everything into one."""
    known = {label for each in metrics.DECLARED.values() for label in each.labels} | {"instance", "le"}
    groups = [group for text in EXPRESSIONS for group in re.findall(r"by \(([a-z, ]+)\)", text)]
    assert {label.strip() for group in groups for label in group.split(",")} <= known


def test_labels_that_expressions_select_are_declared() -> None:
    """By a label that a metric does not have nothing is found, or everything."""
    found = [pair for text in EXPRESSIONS for pair in re.findall(r"\b(kasparro_\w+)\{([^}]*)\}", text)]
    assert len(found) > 20
    for name, selectors in found:
        (declared,) = named(name)
        assert set(re.findall(r"(\w+)\s*[=!]", selectors)) <= {*metrics.DECLARED[declared].labels, "instance", "le"}


def test_legends_show_labels_that_their_expressions_leave() -> None:
    """Another label would be shown as nothing, and lines could not be told apart."""
    for target in (target for panel in panels() for target in panel.get("targets", ())):
        groups = re.findall(r"by \(([a-z, ]+)\)", target["expr"])
        names = [{"instance", *metrics.DECLARED[name].labels} for name in named(target["expr"])]
        left = {label.strip() for label in groups[0].split(",")} if groups else set().union(*names)
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left, target


def test_panels_have_the_fields_of_their_schema() -> None:
    """What Grafana would add to a dashboard of an older schema it does not add to one that calls itself newer."""
    (board,) = (json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS)
    # From 37 on a legend is shown where showLegend says so, from 36 on a datasource is named by type and uid.
    assert board["schemaVersion"] >= 37
    wanted = {
        "row": {"collapsed", "panels"}, "stat": {"reduceOptions"}, "table": {"showHeader"},
        "timeseries": {"legend", "tooltip"},
    }  # fmt: skip
    for panel in panels():
        given = panel if panel["type"] == "row" else panel["options"]
        assert wanted[panel["type"]] <= given.keys()
        assert panel["type"] != "timeseries" or given["legend"]["showLegend"] is True
        sources = [each["datasource"] for each in (panel, *panel.get("targets", ())) if panel["type"] != "row"]
        assert all(each.keys() == {"type", "uid"} for each in sources)
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(letters) == len(set(letters))


def test_panels_do_not_overlap() -> None:
    """Grafana would push them somewhere."""
    taken: set[tuple[int, int]] = set()
    for x, y, w, h in ((panel["gridPos"][name] for name in "xywh") for panel in panels()):
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken
        taken |= cells


def test_every_alert_is_tested() -> None:
    """That it fires; that none fires while all is well is a test of its own."""
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert len(alerts) == len(alert_expressions()) > 10
    assert [name for name in alerts if name not in ALERT_TESTS] == []


def test_panels_have_numbers_of_their_own_and_read_the_datasource_of_compose() -> None:
    """Two panels of one number show the same; another datasource shows nothing."""
    source = (DEPLOY / "grafana" / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    numbers = [panel["id"] for panel in panels()]
    assert len(numbers) == len(set(numbers)) > 20
    uids = {target["datasource"]["uid"] for panel in panels() for target in panel.get("targets", ())}
    assert uids == set(re.findall(r"^    uid: (\w+)$", source, re.MULTILINE))


@needs_promtool
@pytest.mark.parametrize(
    "command",
    ["check config ../prometheus.yml", "check rules --lint-fatal alerts.yml", "test rules alerts_test.yml"],
)
def test_promtool_finds_nothing_wrong(command: str) -> None:
    """The configuration loads, and every alert fires when it should and only then."""
    done = subprocess.run(
        [str(PROMTOOL), *command.split()],
        cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
