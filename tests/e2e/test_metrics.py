"""What went wrong is seen from outside within one run: in a log line, in a metric, in the run's record."""

import json
import re
import urllib.request
from pathlib import Path

from program import Program, Start, environment, get, post, wait_until

NO_DATABASE = "postgresql://kasparro@127.0.0.1:1/none"


def scrape(url: str) -> dict[str, float]:
    """Every sample by its name and labels, as they stand there."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^kasparro_(\S+) (\S+)$", text, re.MULTILINE)}


def lines(program: Program, message: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in program.lines if line.startswith("{")]
    return [line for line in found if line["message"] == message]


def ended(url: str, source: str) -> bool:
    runs = get(f"{url}/runs?source={source}")[1].get("data", [])
    return bool(runs) and runs[0]["finished_at"] is not None


def test_slow_source_is_seen_within_one_run(start: Start, env: dict[str, str], upstream: str) -> None:
    """The time is the upstream's, and told apart from what was waited for and from our own work."""
    post(f"{upstream}/_control/faults", {"upstream": "coinpaprika", "kind": "slow", "seconds": 2, "times": 1})
    slow = {"KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on", "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1"}
    serve = start("serve", env=env | slow)
    url = serve.wait_url()
    wait_until(lambda: ended(url, "coinpaprika"), "the run")
    found, (run,) = scrape(url), get(f"{url}/runs?source=coinpaprika")[1]["data"]
    assert found['upstream_request_seconds_total{source="coinpaprika"}'] >= 2
    assert found['last_run_duration_seconds{source="coinpaprika"}'] >= 2
    assert run["request_seconds"] >= 2
    serve.wait_line('"run ended"')
    (request,) = lines(serve, "request answered")
    assert (request["source"], request["run_id"], request["stage"]) == ("coinpaprika", run["run_id"], "fetch")
    assert request["seconds"] >= 2 > request["waited_seconds"]  # type: ignore[operator]


def test_runs_of_a_command_show_in_the_metrics_of_the_service(home: Path, start: Start, env: dict[str, str]) -> None:
    """The scheduled machine has gone when Prometheus asks: what it did is in the database."""
    (home / "archives" / "a.csv").write_text("symbol,name,date,price\nXYZ,Xyz,2024-03-01,1.50\nABC,Abc,,2\n")
    command = start("run", "csv", "--cron", env=env)
    assert command.wait() == 0
    url = start("serve", "--no-scheduler", env=env).wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "readiness")
    found = scrape(url)
    assert found['runs_total{source="csv",status="partial"}'] == 1
    assert found['records_total{outcome="inserted",source="csv"}'] == 1
    assert found['open_rejections{source="csv"}'] == 1
    assert found["scheduler_enabled"] == 0


def test_metrics_are_there_without_a_database(home: Path, start: Start) -> None:
    """An alert on what is missing needs somebody who says so; no key is asked for."""
    env = environment(home, {"DATABASE_URL": NO_DATABASE, "KASPARRO_API_KEYS": "desk:a-key-of-some-length"})
    url = start("serve", env=env).wait_url()
    found = scrape(url)
    assert found["database_up"] == 0
    assert any(name.startswith("build_info{") for name in found)
