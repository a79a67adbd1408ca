"""One budget for all who use a key: two processes and one that died keep the upstream's limit, by its own log."""

import json
import signal
from pathlib import Path

from program import Start, get, post, run, wait_until

REQUESTS, SECONDS, PAGES = 8, 1.0, 12
SOURCE = """
name = "{name}"
kind = "json_api"
schedule = "every 1d"

[http]
url = "{url}/api/v3"
path = "/coins/markets"
params = {{ vs_currency = "usd" }}

[paging]
param = "page"
size_param = "per_page"
size = 2
max_pages = {pages}

[limits]
bucket = "desk"
requests = {requests}
seconds = {seconds}
burst = 3

[fields]
external_id = "id"
symbol = "symbol"
name = "name"
observed_at = "last_updated"
price_usd = "current_price"
"""


def asked_at(upstream: str) -> list[float]:
    """When each request arrived, by the upstream's own clock."""
    return [entry["monotonic"] for entry in get(f"{upstream}/_control/requests")[1]]


def test_limit_holds_when_two_processes_share_a_key_and_one_dies(
    home: Path, start: Start, env: dict[str, str], upstream: str
) -> None:
    """A crash loop cannot exceed it either: what was spent is spent, whoever starts again."""
    folder = home / "sources"
    folder.mkdir()
    for name in ("first", "second"):
        text = SOURCE.format(name=name, url=upstream, pages=PAGES, requests=REQUESTS, seconds=SECONDS)
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    env = env | {"KASPARRO_SOURCES_DIR": str(folder), "KASPARRO_LEASE_SECONDS": "2"}
    assert run("migrate", env=env).returncode == 0
    killed, other = start("run", "first", env=env), start("run", "second", "--json", env=env)
    wait_until(lambda: len(asked_at(upstream)) >= 5, "some requests")
    killed.stop(signal.SIGKILL)
    again = run("run", "first", "--json", env=env)
    assert (again.returncode, other.wait()) == (0, 0), again.stderr
    times = asked_at(upstream)
    assert len(times) >= 2 * PAGES
    assert max(sum(begin <= moment <= begin + SECONDS for moment in times) for begin in times) <= REQUESTS
    assert json.loads(again.stdout)["runs"][0]["throttled_seconds"] > 0


def test_run_ends_as_deferred_when_the_upstream_wants_two_hours(
    env: dict[str, str], upstream: str, start: Start
) -> None:
    """Nobody waits for it: exit code 75 says to come back later, and the second attempt asks nobody."""
    fault = {"upstream": "coinpaprika", "kind": "status", "status": 429, "retry_after": "7200"}

    assert post(f"{upstream}/_control/faults", fault)[0] == 200
    env = env | {
        "KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on",
        "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1",
    }
    for _ in range(2):
        ended = run("run", "coinpaprika", "--json", env=env)
        (result,) = json.loads(ended.stdout)["runs"]
        assert (ended.returncode, result["status"]) == (75, "deferred")
    assert len(asked_at(upstream)) == 1
