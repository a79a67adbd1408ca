"""What is shown? One function a claim: it gives the figures to print, or raises Failed."""

import re
from typing import Any

import contents
from client import Client, Failed, require, wait_until
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
# Seconds that the 429s ask for: more than the service would wait of its own accord.
RETRY_AFTER_SECONDS = 2
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


def run_again(stack: Stack) -> str:
    """Prices stand still: a second run of everything reads, and writes nothing."""
    before = contents.digests(stack)
    read = 0
    for name in SOURCES:
        run = ask_for_run(stack, name)
        counts = run["counts"]
        written = counts["inserted"] + counts["updated"] + counts["raw_inserted"]
        require(run["status"] == "succeeded", f"{name}: the second run is {run['status']}: {run['error']}")
        require(written == 0, f"{name}: the second run wrote {written} records")
        # Files that have not changed are not read again.
        require(counts["read"] > 0 or name == "csv", f"{name}: the second run read nothing")
        read += counts["read"]
    changed = contents.differences(before, contents.digests(stack))
    require(not changed, f"the second run changed {', '.join(changed)}")
    return f"{read:,} records read again, 0 written; {len(before)} tables as before"


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
    undisturbed = contents.digests(stack)
    stack.serve("faulted", {"KASPARRO_FAULTS": FAULTS})
    wait_for_sources(stack)
    runs = stack.client.get("/runs?limit=100")["data"]
    crashed = [run for run in runs if run["status"] == "crashed"]
    resumed = [run for run in runs if run["resumed_from"] is not None]
    fired = [fault for run in runs for fault in run["faults"]]
    wanted = len(FAULTS.split(","))
    require(len(fired) == wanted, f"{len(fired)} of {wanted} faults fired: {fired}")
    require(stack.restarts() > 0, "the service was never restarted")
    require(bool(crashed) and bool(resumed), "no run was closed as crashed and resumed")
    disturbed = contents.digests(stack)
    differing = contents.differences(undisturbed, disturbed)
    require(not differing, f"without kills and with them differ: {', '.join(differing)}")
    quotes, raw = disturbed["quotes"][0], disturbed["raw"][0]
    same = f"{len(disturbed)} tables with {quotes:,} quotes and {raw:,} raw records, 0 differences"
    return f"killed {stack.restarts()} times, {len(resumed)} runs resumed; {same}"


def keep_limits(stack: Stack) -> str:
    """The stand-in's own log shows that no window had more requests than allowed, under 429s with Retry-After."""
    stack.add_source("limited", LIMITED)
    stack.serve("faulted", {})
    wait_for_sources(stack, "limited")
    stack.upstream.ask("/_control/requests", method="DELETE")
    asked = {"status": 429, "retry_after": str(RETRY_AFTER_SECONDS), "page": 3, "times": 2}
    fault = {"upstream": "coingecko", "kind": "status", **asked}
    require(stack.upstream.ask("/_control/faults", method="POST", body=fault).status == 200, "no fault was set")
    run = ask_for_run(stack, "limited")
    entries = sorted(stack.upstream.get("/_control/requests"), key=lambda entry: float(entry["monotonic"]))
    times = [entry["monotonic"] for entry in entries]
    most = max(sum(start <= moment <= start + LIMIT_SECONDS for moment in times) for start in times)
    waits = [later - at for at, later, entry in zip(times, times[1:], entries, strict=False) if entry["status"] == 429]
    refused = sum(entry["status"] == 429 for entry in entries)
    require(run["status"] == "succeeded", f"the limited run is {run['status']}: {run['error']}")
    require(
        refused == asked["times"] == run["throttled"], f"{refused} answers were 429, the run counts {run['throttled']}"
    )
    require(len(waits) == refused and min(waits) >= RETRY_AFTER_SECONDS, f"after a 429 it waited only {min(waits)} s")
    require(len(times) > LIMIT_REQUESTS, f"{len(times)} requests are too few for the limit to matter")
    require(most <= LIMIT_REQUESTS, f"{most} requests within {LIMIT_SECONDS} s, {LIMIT_REQUESTS} are allowed")
    kept = f"at most {most} of {LIMIT_REQUESTS} in any {LIMIT_SECONDS} s"
    return f"{len(times)} requests, {kept}; {refused} of them 429, asked again after {min(waits):.1f} s"


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
