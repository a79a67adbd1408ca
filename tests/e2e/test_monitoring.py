"""What went wrong is seen from outside within one run: in a log line, in a metric, in the run's record."""

import json
import re
import urllib.request
from pathlib import Path

from program import Program, Start, environment, get, post, run, wait_until

MARKET = """
name = "market"
kind = "json_api"
schedule = "every 1d"
min_records = 40

[http]
url = "{url}/v1"
path = "/tickers"

[fields]
external_id = "id"
symbol = "symbol"
name = "name"
observed_at = "last_updated"
price_usd = {{ path = "quotes.USD.price", zero_is_null = true }}
rank = "rank"
"""
FAULTS = (
    {"kind": "rename", "field": "symbol", "to": "ticker"},
    {"kind": "drop", "keep": 0.5},
    {"kind": "slow", "seconds": 1},
)
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
    found, (record,) = scrape(url), get(f"{url}/runs?source=coinpaprika")[1]["data"]
    assert found['upstream_request_seconds_total{source="coinpaprika"}'] >= 2
    assert found['last_run_duration_seconds{source="coinpaprika"}'] >= 2
    assert record["request_seconds"] >= 2
    serve.wait_line('"run ended"')
    (request,) = lines(serve, "request answered")
    assert (request["source"], request["run_id"], request["stage"]) == ("coinpaprika", record["run_id"], "fetch")
    assert request["seconds"] >= 2 > request["waited_seconds"]  # type: ignore[operator]


def test_whatever_goes_wrong_is_seen_within_one_run(
    home: Path, start: Start, env: dict[str, str], upstream: str
) -> None:
    """A field with another name, half of the records, a slow answer: each in log, metric and API."""
    (home / "market.toml").write_text(MARKET.format(url=upstream))
    env |= {"KASPARRO_SOURCES_DIR": str(home)}
    assert run("run", "market", env=env).returncode == 0
    for fault in FAULTS:
        assert post(f"{upstream}/_control/faults", {"upstream": "coinpaprika", "times": 1, **fault})[0] == 200
    second = run("run", "market", "--cron", env=env)
    said = [json.loads(line) for line in second.stderr.splitlines()]
    assert {"field drifted", "anomaly"} <= {line["message"] for line in said if line["level"] != "INFO"}
    assert max(line["seconds"] for line in said if line["message"] == "request answered") >= 1
    url = start("serve", "--no-scheduler", env=env).wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "readiness")
    found = scrape(url)
    assert sum(value for name, value in found.items() if name.startswith("open_drifts{")) > 0
    assert found['last_run_anomalies{severity="alert",source="market"}'] >= 1
    assert found['upstream_request_seconds_total{source="market"}'] >= 1
    (last, _) = get(f"{url}/runs?source=market")[1]["data"]
    assert last["anomalies"]
    assert get(f"{url}/runs/{last['run_id']}")[1]["drifts"]


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
