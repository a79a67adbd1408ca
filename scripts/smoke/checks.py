"""What is shown? One function a claim: it gives the figures to print, or raises Failed."""

import re
import secrets
import statistics
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from client import Client, Failed, wait_until
from stack import UPSTREAM_KEYS, Stack

SOURCES = ("coinpaprika", "coingecko", "csv")
# What runs end with, and what becomes of records: labels of metrics.
ENDINGS = ("succeeded", "partial", "failed", "interrupted", "crashed", "deferred")
OUTCOMES = ("inserted", "updated", "unchanged", "duplicate", "rejected")
# Faults that kill the service in the middle of its first runs: before a batch is committed, and right after one was.
# Two, for a third crash of a source in a row would count as a loop, and wait.
FAULTS = "coingecko:load:batch=2:exit, csv:commit:after:batch=2:exit"
# A source with a tight limit: thirty pages at most twenty of which may be asked within any five seconds.
LIMIT_REQUESTS, LIMIT_SECONDS, LIMIT_PAGES = 20, 5, 30
LIMITED = f"""
name = "limited"
kind = "json_api"
schedule = "every 1d"

[http]
url = "{{upstream}}/api/v3"
path = "/coins/markets"
params = {{ vs_currency = "usd" }}

[auth]
key = "COINGECKO_API_KEY"
header = "x-cg-demo-api-key"

[paging]
param = "page"
size_param = "per_page"
size = 50
max_pages = {LIMIT_PAGES}

[limits]
requests = {LIMIT_REQUESTS}
seconds = {LIMIT_SECONDS}
burst = 8

[fields]
external_id = "id"
symbol = "symbol"
name = "name"
observed_at = "last_updated"
price_usd = "current_price"
"""
# What a new machine, and a run that has to wait for its upstream, may take.
_CRON_SECONDS = 300.0
# Milliseconds. What a page may take at the median, on any machine; it is a few on an idle one.
_SLOWEST_PAGE_MS = 500.0


def ingest(stack: Stack) -> str:
    """Three sources are read through the stand-in upstreams with a key; a wrong key is refused by name."""
    stack.serve("kasparro", {})
    sources = wait_for_sources(stack)
    counted = ", ".join(f"{name} {sources[name]['records']['inserted']:,}" for name in SOURCES)
    for name in SOURCES:
        require(sources[name]["records"]["inserted"] > 0, f"{name} inserted nothing")
    code, said = stack.once(["run", "coingecko"], {"COINGECKO_API_KEY": "wrong-" + UPSTREAM_KEYS["COINGECKO_API_KEY"]})
    require(code == 1, f"a wrong upstream key ended with exit code {code}: {said[-500:]}")
    require("COINGECKO_API_KEY" in said, f"a wrong upstream key is not named: {said[-500:]}")
    return f"quotes: {counted}; a wrong key: exit 1, names COINGECKO_API_KEY"


def read_api(client: Client) -> str:
    """Pages, filters, errors, request ids, latency. Reads only: also for a deployed service."""
    health = client.get("/health")
    require(health["status"] in ("ok", "degraded"), f"health is {health['status']}")
    if client.key:
        for wrong in (None, client.key + "x"):
            answer = Client(client.url, wrong).ask("/data?limit=1")
            require(answer.status == 401 and "www-authenticate" in answer.headers, f"a wrong key: {answer.status}")
    seen = _walk(client)
    first = client.get("/data?limit=1")["data"]
    require(bool(first), "there is no quote at all")
    quote = first[0]
    for name, value in (("source", quote["source"]), ("symbol", quote["symbol"]), ("asset", quote["asset"])):
        rows = client.get(f"/data?{urlencode({'limit': 20, name: value})}")["data"]
        require(
            bool(rows) and all(row[name].lower() == value.lower() for row in rows), f"the filter {name} does not hold"
        )
    _check_errors(client)
    request_id = f"smoke-{secrets.token_hex(4)}"
    answer = client.ask("/stats", headers={"X-Request-ID": request_id})
    require(answer.headers.get("x-request-id") == request_id == answer.json()["request_id"], "the request id is lost")
    times = [client.ask("/data?limit=100&view=latest").seconds * 1000 for _ in range(20)]
    median = statistics.median(times)
    if client.url.startswith(("http://127.", "http://localhost")):
        require(median < _SLOWEST_PAGE_MS, f"a page takes {median:.0f} ms")
    return f"{seen} rows in 5 pages, none twice; filters; 400, 401, 404, 405; request ids; a page in {median:.1f} ms"


def see_cron(client: Client, since: datetime) -> str:
    """Every source was run by a cron after that time; at least one of them well: an upstream may be away."""
    enabled = {name for name, source in client.get("/health")["etl"].items() if source["enabled"]}

    def look() -> dict[str, str] | None:
        runs = client.get("/runs?limit=100")["data"]
        ended = {
            run["source"]: run["status"]
            for run in reversed(runs)
            if run["trigger"] == "cron" and run["finished_at"] and datetime.fromisoformat(run["finished_at"]) >= since
        }
        return ended if enabled <= ended.keys() else None

    ended = wait_until(look, f"runs of {', '.join(sorted(enabled))} by the cron", seconds=_CRON_SECONDS)
    said = ", ".join(f"{name} {status}" for name, status in sorted(ended.items()))
    require(not {"succeeded", "partial"}.isdisjoint(ended.values()), f"no run of the cron went well: {said}")
    return said


def run_again(stack: Stack) -> str:
    """Prices stand still: a second run of everything reads, and writes nothing."""
    read = 0
    for name in SOURCES:
        run = ask_for_run(stack, name)
        counts = run["counts"]
        written = counts["inserted"] + counts["updated"] + counts["raw_inserted"]
        require(run["status"] == "succeeded", f"{name}: the second run is {run['status']}: {run['error']}")
        require(written == 0, f"{name}: the second run wrote {written} records")
        read += counts["read"]
    return f"{read:,} records read again, 0 written"


def read_metrics(client: Client) -> str:
    """Without a key, Prometheus' text; its figures are those of /stats, and the requests made here are in it."""
    answer = Client(client.url).ask("/metrics")
    require(answer.status == 200, f"/metrics answered {answer.status}")
    samples = {
        name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", answer.body.decode(), re.M)
    }
    require(samples.get("kasparro_database_up") == 1, "/metrics does not see the database")
    compared = 0
    for source in client.get("/stats")["sources"]:
        label = f'source="{source["source"]}"'
        wanted = {f'kasparro_runs_total{{{label},status="{name}"}}': source["runs"][name] for name in ENDINGS}
        wanted |= {f'kasparro_records_total{{outcome="{name}",{label}}}': source["records"][name] for name in OUTCOMES}
        wanted[f"kasparro_upstream_requests_total{{{label}}}"] = source["requests"]
        for name, value in wanted.items():
            require(samples.get(name) == value, f"{name} is {samples.get(name)}, /stats says {value}")
        compared += len(wanted)
    served = samples.get('kasparro_http_requests_total{route="/data",status="2xx"}', 0.0)
    require(served > 0, "the requests for /data are not counted")
    return f"{len(samples)} samples; {compared} figures compared with /stats, 0 differences"


def compare_runs(stack: Stack) -> str:
    """An upstream that hides nine of ten records is found in the run that read it, and beside the run before."""
    fault = {"upstream": "coinpaprika", "kind": "drop", "keep": 0.1, "times": 1}
    require(stack.upstream.ask("/_control/faults", method="POST", body=fault).status == 200, "no fault was set")
    run = ask_for_run(stack, "coinpaprika")
    found = stack.client.get("/compare-runs?source=coinpaprika")
    read, verdicts = found["counts"]["read"], [each for each in found["anomalies"] if each["run_id"] == run["run_id"]]
    require(found["a"]["run_id"] == run["run_id"], "the last run is not the one that is compared")
    require(read["ratio"] is not None and read["ratio"] < 0.2, f"the run read {read['a']} records after {read['b']}")
    require(found["configuration"]["changed"] is False, "the settings differ, though nobody changed them")
    require(any(each["rule"] == "min_records" for each in verdicts), f"no verdict on too few records: {verdicts}")
    require(run["anomalies"] == verdicts[::-1], "the run's record has other verdicts")
    other = stack.client.get("/runs?source=csv&limit=1")["data"][0]["run_id"]
    for query, status in ((f"a={run['run_id']}&b={other}", 400), ("a=1", 400), ("a=1&b=999999999", 404)):
        answer = stack.client.ask(f"/compare-runs?{query}")
        require(answer.status == status, f"/compare-runs?{query} answered {answer.status}, not {status}")
    healed = ask_for_run(stack, "coinpaprika")
    require(healed["counts"]["read"] == read["b"], f"the next run read {healed['counts']['read']} records")
    return f"{read['a']:,} records after {read['b']:,}, ratio {read['ratio']}; {run['anomalies'][0]['message']}"


def survive(stack: Stack) -> str:
    """Killed in the middle of its runs, the service is restarted, goes on, and ends with the same tables."""
    undisturbed = stack.client.quotes_digest()
    stack.serve("faulted", {"KASPARRO_FAULTS": FAULTS})
    wait_for_sources(stack)
    runs = stack.client.get("/runs?limit=100")["data"]
    crashed = [run for run in runs if run["status"] == "crashed"]
    resumed = [run for run in runs if run["resumed_from"] is not None]
    require(stack.restarts() > 0, "the service was never restarted: no fault fired")
    require(bool(crashed) and bool(resumed), "no run was closed as crashed and resumed")
    disturbed = stack.client.quotes_digest()
    require(disturbed == undisturbed, f"the quotes differ: {undisturbed} without kills, {disturbed} with them")
    return f"killed {stack.restarts()} times, {len(resumed)} runs resumed, {disturbed[0]:,} quotes, 0 differences"


def keep_limits(stack: Stack) -> str:
    """The stand-in's own log shows that no window had more requests than allowed, under 429s with Retry-After."""
    stack.add_source("limited", LIMITED)
    stack.serve("faulted", {})
    wait_for_sources(stack, "limited")
    stack.upstream.ask("/_control/requests", method="DELETE")
    fault = {"upstream": "coingecko", "kind": "status", "status": 429, "retry_after": "1", "page": 3, "times": 2}
    require(stack.upstream.ask("/_control/faults", method="POST", body=fault).status == 200, "no fault was set")
    run = ask_for_run(stack, "limited")
    entries = stack.upstream.get("/_control/requests")
    times = sorted(entry["monotonic"] for entry in entries)
    most = max(sum(start <= moment <= start + LIMIT_SECONDS for moment in times) for start in times)
    refused = sum(entry["status"] == 429 for entry in entries)
    require(run["status"] == "succeeded", f"the limited run is {run['status']}: {run['error']}")
    require(
        refused == fault["times"] == run["throttled"], f"{refused} answers were 429, the run counts {run['throttled']}"
    )
    require(most <= LIMIT_REQUESTS, f"{most} requests within {LIMIT_SECONDS} s, {LIMIT_REQUESTS} are allowed")
    return f"{len(times)} requests, {refused} of them 429; at most {most} of {LIMIT_REQUESTS} in any {LIMIT_SECONDS} s"


def stop(stack: Stack) -> str:
    """`docker stop`, or SIGTERM: everything ends in order, and in time."""
    code, seconds = stack.stop()
    require(code == 0, f"the exit code is {code}")
    require(seconds < 10, f"it took {seconds:.1f} s")
    return f"exit code 0 after {seconds:.1f} s"


def wait_for_sources(stack: Stack, *more: str) -> dict[str, Any]:
    """Until each source has succeeded once: its statistics by name."""
    wanted = {*SOURCES, *more}

    def look() -> dict[str, Any] | None:
        sources = {source["source"]: source for source in stack.client.get("/stats")["sources"]}
        done = {name for name, source in sources.items() if source["last_success_at"] is not None}
        return sources if wanted <= done else None

    found: dict[str, Any] = wait_until(look, f"the first success of {', '.join(sorted(wanted))}")
    return found


def ask_for_run(stack: Stack, source: str) -> Any:
    """POST /runs, and the record of the run once it has ended."""

    def ask() -> str | None:
        answer = stack.client.ask("/runs", method="POST", body={"source": source})
        if answer.status not in (202, 409):
            raise Failed(f"POST /runs answered {answer.status}: {answer.body[:300]!r}")
        return answer.headers["location"] if answer.status == 202 else None

    path = wait_until(ask, f"a run of {source} to be accepted")

    def ended() -> Any:
        run = stack.client.get(path)
        return run if run["finished_at"] is not None else None

    return wait_until(ended, f"the run of {source} to end")


def _walk(client: Client) -> int:
    """Five pages by their links; how many rows they had, none of them twice."""
    seen: set[tuple[Any, ...]] = set()
    rows = 0
    path: str | None = "/data?limit=40"
    for _ in range(5):
        if path is None:
            break
        answer = client.ask(path)
        require(answer.status == 200, f"a page answered {answer.status}")
        page = answer.json()
        keys = {(row["source"], row["external_id"], row["observed_at"]) for row in page["data"]}
        require(not keys & seen, "a page repeats rows")
        seen |= keys
        rows += len(page["data"])
        link = answer.headers.get("link", "")
        path = link[link.index("<") + 1 : link.index(">")] if link else None
        if path is not None and "://" in path:
            path = "/" + path.split("/", 3)[3]
    return rows


def _check_errors(client: Client) -> None:
    wanted = {
        "/data?nonsense=1": 400,
        "/data?limit=0": 400,
        "/data?source=nowhere": 400,
        "/assets/no-such": 404,
        "/no": 404,
    }
    for path, status in wanted.items():
        answer = client.ask(path)
        problem = answer.headers.get("content-type", "").startswith("application/problem+json")
        require(answer.status == status and problem, f"{path} answered {answer.status}, not a problem of {status}")
    refused = client.ask("/data", method="DELETE")
    require(refused.status == 405 and "allow" in refused.headers, f"DELETE /data answered {refused.status}")


def require(held: bool, otherwise: str) -> None:  # noqa: FBT001
    """Raise Failed with what is wrong unless it `held`."""
    if not held:
        raise Failed(otherwise)
