"""What is shown without changing anything, so of a deployed service too? As checks.py: the figures, or Failed."""

import secrets
import statistics
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from client import Client, is_local, require, wait_until

# The pages that are turned.
PAGES, PAGE_ROWS = 5, 40
# What a new machine, and a run that has to wait for its upstream, may take.
_CRON_SECONDS = 300.0
# A service that has just been started may still be at its first run.
_FIRST_QUOTE_SECONDS = 60.0
# Milliseconds. What a page may take at the median, on any machine; it is a few on an idle one.
_SLOWEST_PAGE_MS = 500.0


def read_api(client: Client, *, least_pages: int = 1) -> str:
    """Pages, filters, errors, request ids, latency."""
    health = client.get("/health")
    require(health["status"] in ("ok", "degraded"), f"health is {health['status']}")
    if client.key:
        for wrong in (None, client.key + "x"):
            answer = Client(client.url, wrong).ask("/data?limit=1")
            require(answer.status == 401 and "www-authenticate" in answer.headers, f"a wrong key: {answer.status}")
    # Outside of the waiting: for a key that is wrong one would wait in vain.
    client.get("/data?limit=1")
    # In the middle of its first run, too, in which a quote's asset is another one from one moment to the next.
    wait_until(lambda: _filters_hold(client), "quotes, and filters that hold", seconds=_FIRST_QUOTE_SECONDS)
    pages, rows = walk(client)
    require(pages >= least_pages, f"there are {pages} pages, not {least_pages}")
    _check_errors(client)
    request_id = f"smoke-{secrets.token_hex(4)}"
    answer = client.ask("/stats", headers={"X-Request-ID": request_id})
    require(answer.headers.get("x-request-id") == request_id == answer.json()["request_id"], "the request id is lost")
    times = [client.ask("/data?limit=100&view=latest").seconds * 1000 for _ in range(20)]
    median = statistics.median(times)
    require(median < _SLOWEST_PAGE_MS or not is_local(client.url), f"a page takes {median:.0f} ms")
    turned = f"{rows} rows in {pages} pages, none twice, newest first"
    return f"{turned}; filters; 400, 401, 404, 405; request ids; a page in {median:.1f} ms"


def _filters_hold(client: Client) -> bool:
    """By what the newest quote says; False while there is none."""
    for quote in client.get("/data?limit=1")["data"]:
        for name in ("source", "symbol", "asset"):
            found = client.get(f"/data?{urlencode({'limit': 20, name: quote[name]})}")["data"]
            holds = all(row[name].casefold() == quote[name].casefold() for row in found)
            require(bool(found) and holds, f"the filter {name} does not hold")
        return True
    return False


def walk(client: Client) -> tuple[int, int]:
    """The first pages by their links: how many they are, and how many rows they had."""
    seen: set[tuple[Any, ...]] = set()
    moments: list[datetime] = []
    path: str | None = f"/data?limit={PAGE_ROWS}"
    pages = 0
    while path is not None and pages < PAGES:
        answer = client.ask(path)
        require(answer.status == 200, f"a page answered {answer.status}")
        page = answer.json()
        pages += 1
        keys = {(row["source"], row["external_id"], row["observed_at"]) for row in page["data"]}
        require(not keys & seen and len(keys) == len(page["data"]), "a page repeats rows")
        seen |= keys
        moments += [datetime.fromisoformat(row["observed_at"]) for row in page["data"]]
        path = _next(answer.headers.get("link", ""))
        more = page["pagination"]["has_more"]
        require(more == (path is not None), f"page {pages} says {'more' if more else 'no more'}, its Link otherwise")
        require(len(keys) == PAGE_ROWS or not more, f"page {pages} has {len(keys)} rows, and another behind it")
    require(moments == sorted(moments, reverse=True), "the rows are not in order, the newest first")
    return pages, len(seen)


def see_cron(client: Client, since: datetime) -> str:
    """Every source was run by a cron after that time, at this release; one at least well: an upstream may be away.

    `since` is of this machine's clock; what is between that and the service's is told by the Date of an answer.
    """
    enabled = {name for name, source in client.get("/health")["etl"].items() if source["enabled"]}
    answer = client.ask("/openapi.json")
    version = answer.json()["info"]["version"]
    # A Date has no fractions of a second.
    since += parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC) - timedelta(seconds=1)

    def look() -> dict[str, str] | None:
        ended = cron_endings(client.get("/runs?limit=100")["data"], since=since, version=version)
        return ended if enabled <= ended.keys() else None

    ended = wait_until(look, f"runs of {', '.join(sorted(enabled))} by the cron", seconds=_CRON_SECONDS)
    said = ", ".join(f"{name} {status}" for name, status in sorted(ended.items()))
    require(not {"succeeded", "partial"}.isdisjoint(ended.values()), f"no run of the cron went well: {said}")
    return said


def cron_endings(runs: Iterable[Mapping[str, Any]], *, since: datetime, version: str) -> dict[str, str]:
    """How the newest runs ended, by source, that a cron of this version began after that; `runs`: the newest first."""
    endings: dict[str, str] = {}
    for run in runs:
        is_ours = run["trigger"] == "cron" and run["code_version"] == version and run["finished_at"]
        if is_ours and datetime.fromisoformat(run["started_at"]) >= since:
            endings.setdefault(run["source"], run["status"])
    return endings


def _next(link: str) -> str | None:
    """Path and query of the address in a Link header, which may be a whole one."""
    if not link:
        return None
    found = urlsplit(link[link.index("<") + 1 : link.index(">")])
    return f"{found.path}?{found.query}"


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
