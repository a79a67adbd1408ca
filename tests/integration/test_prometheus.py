"""A real Prometheus reads /metrics, and understands every rule and every panel. promtool checks the text itself."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import api_fixtures as fixtures
import pytest
import urllib3

from kasparro.http import server
from kasparro.store import totals
from kasparro.tallies import Counts, Traffic

DEPLOY = Path(__file__).parents[2] / "deploy"
# Seconds. It takes two on an idle machine.
PATIENCE_SECONDS = 60.0


def program(name: str) -> str:
    """The path of a program of Debian's package prometheus; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name}: Debian's package prometheus has it")
    return path


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[fixtures.Api]:
    """The API on a database of its own."""
    with fixtures.serve_clone(databases) as api:
        yield api


@pytest.fixture
def api(shared: fixtures.Api) -> fixtures.Api:
    """The same, empty."""
    return shared.emptied()


def use(api: fixtures.Api) -> None:
    """Let a source have run."""
    totals.count_up(api.conn, "csv", Counts(read=10, inserted=7, rejected=3), Traffic(requests=5, request_seconds=2.5))
    totals.count_run(api.conn, "csv", status="succeeded", seconds=12.5)
    fixtures.add_run(api.conn, "csv")
    api.conn.execute("insert into anomaly_totals values ('csv', 'records', 'alert', 3)")


@pytest.mark.parametrize("used", [False, True])
def test_promtool_finds_nothing_wrong_with_the_metrics(api: fixtures.Api, *, used: bool) -> None:
    """Names, units and texts follow the conventions, whether anything was counted yet or not."""
    promtool = program("promtool")
    if used:
        use(api)
    text = api.get("/metrics").text
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def prometheus(api: fixtures.Api, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus with the configuration of compose, which reads the API on a port."""
    path = program("prometheus")
    use(api)
    served = server.Server(api.client.app, "127.0.0.1", 0)
    served.start()
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8").replace("app:8000", f"127.0.0.1:{served.port}")
    (tmp_path / "prometheus.yml").write_text(text.replace("15s", "1s"), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with subprocess.Popen([path, *options, f"--web.listen-address={address}", "--log.level=error"]) as process:
        yield f"http://{address}/api/v1"
        process.terminate()
    served.stop(5)


def ask(address: str, path: str, **params: str) -> Any:
    """The data of an answer, None while it is starting."""
    try:
        answer = urllib3.request("GET", f"{address}/{path}", fields=params, retries=False, timeout=10)
    except urllib3.exceptions.HTTPError:
        return None
    assert answer.status in (200, 503), f"{params}: {answer.data!r}"
    return answer.json()["data"] if answer.status == 200 else None


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds, once it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"Prometheus has nothing for {what}"
        time.sleep(0.05)
    return found


def series(address: str, expression: str) -> Any:
    return wait_for(lambda: (ask(address, "query", query=expression) or {}).get("result"), expression)


def judged_rules(address: str) -> list[Any]:
    """All rules, once each was evaluated."""
    groups = (ask(address, "rules") or {}).get("groups", [])
    rules = [rule for group in groups for rule in group["rules"]]
    return [] if any(rule["health"] == "unknown" for rule in rules) else rules


def test_prometheus_reads_the_metrics_and_knows_every_rule_and_panel(prometheus: str) -> None:
    """What is scraped arrives as it was counted; no rule is in error; each panel's query is one."""
    (records,) = series(prometheus, 'max by (source) (kasparro_records_total{source="csv", outcome="inserted"})')
    assert records["value"][1] == "7"
    assert [each["value"][1] for each in series(prometheus, 'up{job="kasparro"}')] == ["1"]
    rules = wait_for(lambda: judged_rules(prometheus), "rules that were evaluated")
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "kasparro.json").read_text(encoding="utf-8"))
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for target in targets:
        assert ask(prometheus, "query", query=target["expr"].replace("$source", ".*")) is not None
    assert len(targets) > 30
