"""Asking an upstream: what is tried again, what is left for later, and that all who use a key share its budget."""

import re
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from etl_fixtures import LONG, record, source, wait_until
from werkzeug import Response

from kasparro.etl.source import Auth, Http, Limits, Paging
from kasparro.model import RunStatus, Trigger

pytest_plugins = ("etl_checks",)

ONE = "[" + record().payload + "]"
OK = (ONE, 200, {})


def upstream(httpserver, *answers, **changes):
    """A source whose upstream gives these (text, status, headers), the last one for ever, and tries again as usual."""
    left = list(answers)

    def answer(_request):
        text, status, headers = left.pop(0) if len(left) > 1 else left[0]
        return Response(text, status=status, headers=headers)

    httpserver.expect_request("/coins").respond_with_handler(answer)
    http = Http(url=httpserver.url_for("").rstrip("/"), path="/coins", max_retries=4, max_retry_seconds=5.0)
    return source(**{"http": http} | changes)


def bucket_row(etl, name="coinpaprika"):
    """(tokens, seconds that it is blocked for, month_used) of a bucket."""
    query = (
        "select tokens, extract(epoch from blocked_until - clock_timestamp()), month_used from buckets where name = %s"
    )
    ((tokens, blocked, used),) = etl.rows(query, name)
    return tokens, blocked, used


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 503, 504])
def test_request_is_sent_again_when_the_answer_may_be_better_next_time(etl, httpserver, status):
    """Every attempt is counted; one success is all it takes."""
    result = etl.run(of=upstream(httpserver, ("no", status, {}), OK))
    traffic = result.traffic
    assert (result.status, result.counts.inserted) == (RunStatus.SUCCEEDED, 1)
    assert (traffic.requests, traffic.retries, traffic.throttled) == (2, 1, int(status == 429))


def test_time_of_every_answer_is_counted_and_logged(etl, httpserver, caplog):
    """A source that became slow shows in its run, in its totals, and in the line of each request."""
    answers = iter([("no", 503), (ONE, 200)])

    def answer_slowly(_request):
        time.sleep(0.1)
        text, status = next(answers)
        return Response(text, status=status)

    httpserver.expect_request("/slow").respond_with_handler(answer_slowly)
    http = Http(url=httpserver.url_for("").rstrip("/"), path="/slow", max_retries=1, max_retry_seconds=5.0)
    with caplog.at_level("INFO", logger="kasparro"):
        result = etl.run(of=source(http=http))
    assert result.traffic.request_seconds >= 0.2
    ((total,),) = etl.rows("select request_seconds from source_totals")
    assert total == pytest.approx(result.traffic.request_seconds)
    spoken = [line for line in caplog.records if line.message in ("request answered", "request failed")]
    assert [(line.stage, line.status, line.seconds >= 0.1) for line in spoken] == [
        ("fetch", 503, True),
        ("fetch", 200, True),
    ]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410])
def test_request_is_not_sent_again_when_the_answer_would_be_the_same(etl, httpserver, status):
    """About a key it says which variable to look at."""
    auth = Auth(key="DESK_API_KEY", header="x-key")
    result = etl.run(of=upstream(httpserver, ("no", status, {}), OK, auth=auth))
    assert (result.status, result.error_code, result.traffic.requests) == (RunStatus.FAILED, f"http_{status}", 1)
    assert ("no key was sent: set DESK_API_KEY" in result.error_message) == (status in (401, 402, 403))


def test_key_is_suspected_when_it_is_on_the_wrong_host(etl, httpserver):
    """Which answers 400 with a code of its own."""
    auth = Auth(key="DESK_API_KEY", header="x-key", plan="DESK_API_PLAN")
    result = etl.run(of=upstream(httpserver, ('{"status": {"error_code": 10010}}', 400, {}), auth=auth))
    assert "DESK_API_KEY, and DESK_API_PLAN if the key belongs to another plan" in result.error_message


def test_run_fails_when_the_budget_of_retries_is_used_up(etl, httpserver, caplog, monkeypatch):
    """Four retries: five attempts, each with its own line in the log."""
    # Of random waits one may be longer than the budget of seconds, which would end the run first.
    monkeypatch.setattr("random.uniform", lambda _low, high: min(high, 0.05))
    result = etl.run(of=upstream(httpserver, ("no", 503, {})))
    assert (result.status, result.error_code) == (RunStatus.FAILED, "http_503")
    assert (result.traffic.requests, result.traffic.retries) == (5, 4)
    lines = [line for line in caplog.records if line.message == "request failed"]
    assert [line.attempt for line in lines] == [1, 2, 3, 4, 5]
    assert [line.status for line in lines] == [503] * 5
    assert lines[0].wait_seconds is not None
    assert lines[-1].wait_seconds is None


def test_wish_of_the_upstream_is_kept_when_it_fits_the_budget(etl, httpserver):
    """It binds everybody: it stands in the bucket."""
    result = etl.run(of=upstream(httpserver, ("no", 429, {"Retry-After": "1"}), OK))
    assert result.status is RunStatus.SUCCEEDED
    assert result.seconds >= 1
    assert result.traffic.throttled_seconds >= 1
    assert -5 < bucket_row(etl)[1] < 0


def test_run_is_deferred_at_once_when_the_upstream_wants_a_long_pause(etl, httpserver):
    """Nobody sleeps it out; the source is due again in two hours, whatever its schedule says, and not before."""
    asked = upstream(httpserver, ("no", 429, {"Retry-After": "7200"}), OK)
    etl.build().schedule({"coinpaprika": 3600.0})
    result = etl.start(etl.build(), of=asked, trigger=Trigger.SCHEDULE)
    assert (result.status, result.error_code, result.traffic.requests) == (RunStatus.DEFERRED, "deferred", 1)
    assert result.seconds < 1
    assert re.search(r"in 7200 s, at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \(the upstream", result.error_message)
    seconds = "extract(epoch from next_run_at - clock_timestamp())"
    due = f"select {seconds}, next_run_at = blocked_until, failures from schedules"
    ((seconds, blocked, failures),) = etl.rows(due)
    assert (7190 < seconds <= 7200, blocked, failures) == (True, True, 0)
    etl.build().schedule({"coinpaprika": 60.0})
    assert etl.rows(due)[0][0] > 7190
    again = etl.run(of=asked)
    assert (again.status, again.traffic.requests, again.seconds < 1) == (RunStatus.DEFERRED, 0, True)


def test_upstream_is_asked_again_when_the_operator_lifts_the_block(etl, httpserver):
    """With the statements of docs/OPERATIONS.md as they stand there: tokens come back as before, and it is due."""
    document = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"```sql\n(update buckets.*?)```", document, re.DOTALL)
    limits = Limits(requests=200, seconds=1.0)
    asked = upstream(httpserver, ("no", 429, {"Retry-After": "479220"}), OK, limits=limits)
    for _ in range(2):
        assert etl.run(of=asked).status is RunStatus.DEFERRED
    for statement in statements.strip().split(";\n"):
        etl.conn.execute(statement)
    assert etl.build().list_due(["coinpaprika"]) == ["coinpaprika"]
    for _ in range(3):
        assert etl.run(of=asked).status is RunStatus.SUCCEEDED


def test_run_is_deferred_until_the_next_month_when_the_budget_is_used_up(etl, httpserver):
    """The month's requests are counted for all sources of the bucket together; a restart looks at them anew."""
    limits = Limits(bucket="desk", monthly_requests=2)
    asked = upstream(httpserver, OK, limits=limits)
    etl.run(of=asked)
    etl.run(of=evolve(asked, name="coingecko"))
    result = etl.run(of=asked)
    assert (result.status, result.traffic.requests) == (RunStatus.DEFERRED, 0)
    assert "this month's budget" in result.error_message
    assert bucket_row(etl, "desk")[2] == 2
    ((difference,),) = etl.rows(
        "select next_run_at - (date_trunc('month', clock_timestamp() at time zone 'UTC') + interval '1 month') "
        "at time zone 'UTC' from schedules where source = 'coinpaprika'"
    )
    assert abs(difference) < timedelta(seconds=2)
    # When the service starts again, maybe with a larger budget.
    etl.build().schedule({"coinpaprika": 60.0})
    assert etl.value("select next_run_at - now() < interval '61 s' from schedules where source = 'coinpaprika'")


def test_redirect_is_followed_when_it_stays_on_its_host(etl, httpserver):
    """Each step is a request of its own."""
    asked = upstream(httpserver, ("", 308, {"Location": "/elsewhere?x=1"}))
    httpserver.expect_request("/elsewhere").respond_with_data(ONE)
    result = etl.run(of=asked)
    assert (result.status, result.counts.inserted, result.traffic.requests) == (RunStatus.SUCCEEDED, 1, 2)


def test_run_fails_when_a_redirect_never_ends(etl, httpserver):
    """Three steps are enough for any canonical address."""
    result = etl.run(of=upstream(httpserver, ("", 302, {"Location": "/coins"})))
    assert (result.status, result.error_code, result.traffic.requests) == (RunStatus.FAILED, "redirects", 4)


def test_bucket_is_lowered_when_the_upstream_says_that_less_is_left(etl, httpserver):
    """Others use the key as well."""
    limits = Limits(requests=100, seconds=60.0, burst=50)
    etl.run(of=upstream(httpserver, (ONE, 200, {"RateLimit-Remaining": "3", "RateLimit-Reset": "30"}), limits=limits))
    assert bucket_row(etl)[0] <= 3.1


def test_requests_keep_the_limit_when_two_runs_share_a_bucket(etl, httpserver):
    """Two sources of one key, at the same time: no second has more than eight requests."""
    times, lock = [], threading.Lock()

    def answer(request):
        with lock:
            times.append(time.monotonic())
        page = int(request.args["page"])
        return Response("[" + record(f"c{page}").payload + "]" if page < 8 else "[]")

    httpserver.expect_request("/coins").respond_with_handler(answer)
    http = Http(url=httpserver.url_for("").rstrip("/"), path="/coins")
    paging = Paging(param="page", size_param="size", size=1)
    limits = Limits(bucket="desk", requests=8, seconds=1.0, burst=3)
    asked = source(http=http, paging=paging, limits=limits)
    results = []
    threads = [
        threading.Thread(target=lambda each=each: results.append(etl.run(of=each)))
        for each in (asked, evolve(asked, name="coingecko"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert [result.status for result in results] == [RunStatus.SUCCEEDED] * 2
    assert len(times) == 16
    assert max(sum(start <= moment <= start + 1.0 for moment in times) for start in times) <= 8
    assert sum(result.traffic.throttled_seconds for result in results) > 0


def test_run_can_be_stopped_when_it_waits_for_its_upstream(etl, httpserver):
    """A wait is no reason to keep a process from ending."""
    asked = upstream(httpserver, ("no", 429, {"Retry-After": "4"}), OK)
    stop = threading.Event()
    results = []
    thread = threading.Thread(target=lambda: results.append(etl.start(etl.build(), of=asked, stop=stop)))
    thread.start()
    wait_until(lambda: etl.rows("select 1 from buckets where blocked_until is not null"), what="it waits")
    stop.set()
    thread.join(LONG)
    assert [result.status for result in results] == [RunStatus.INTERRUPTED]
