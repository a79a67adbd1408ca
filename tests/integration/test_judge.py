"""Runs judged when they end: measured, compared with those before, and the verdicts written with the end."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from attrs import evolve
from etl_fixtures import HOUR, NOON, ListReader, page, record, serve, source

from kasparro import errors
from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.etl.source import FieldMap, Files, Kind, Paging, Since
from kasparro.model import RunStatus
from kasparro.store import anomalies, db, run_comparisons
from kasparro.upstream.options import Options
from kasparro.upstream.server import UpstreamServer

pytest_plugins = ("etl_checks",)

COINS = 200
LINES = "symbol,name,date,price\n"


def coins(number, *, count=COINS, price=1.0, first=0):
    """What a list looks like at the run of this number: every price an hour later."""
    at = NOON + number * HOUR
    return [record(f"c{n}", at=at, price=str(price * (n + 1)), cap=9) for n in range(first, first + count)]


def clean_runs(etl, *, count=8):
    """So many runs of the whole list, one after the other; the number of the next one."""
    for number in range(count):
        assert found(etl.run(page(*coins(number)))) == {}
    return count


def make_steady(etl):
    """As if all runs so far had taken 0.3 s and lay five minutes apart, however busy this machine is."""
    steady = '{"gap_seconds": 300, "duration_seconds": 0.3}'
    etl.conn.execute("update runs set measures = measures || %s, started_at = now() - interval '5 minutes'", [steady])


def found(result, *, timed=False):
    """Severity of the verdicts on a run by metric; how long it took is this machine's matter unless `timed`."""
    return {each.metric: each.severity for each in result.anomalies if timed or each.metric != "duration_seconds"}


def test_run_is_measured_when_it_ends(etl):
    """What it read, how much of that is absent, which listings came and went, how far prices moved."""
    etl.run(page(*coins(0)))
    second = etl.run(page(*coins(1, count=190, price=1.5), record("new", at=NOON + HOUR), record("x", price=None)))
    reading, measures = etl.run_row(second.run_id, "reading", "measures")
    assert reading == "full"
    assert measures.items() >= {
        "records": 192, "inserted": 191, "rejected_share": round(1 / 192, 6), "new_listings": 1,
        "vanished_listings": 10, "price_move_pct": 50, "null_share_rank": 1,
        "null_share_market_cap_usd": round(1 / 191, 6),
    }.items()  # fmt: skip
    assert measures["gap_seconds"] >= measures["duration_seconds"] > 0
    assert measures["data_age_seconds"] > 0
    assert "pages" not in measures


def test_gap_is_measured_from_the_last_run_that_changed_quotes(etl):
    """Prices moved since then, however many runs failed, or found nothing new, in between."""
    etl.run(page(*coins(0)))
    etl.conn.execute("update runs set started_at = started_at - interval '1 day'")
    etl.run(errors.FetchError("gone", retryable=False))
    etl.run(page(*coins(0)))
    last = etl.run(page(*coins(1)))
    (measures,) = etl.run_row(last.run_id, "measures")
    assert measures["gap_seconds"] >= 86400


def test_halved_list_is_found_in_the_run_that_read_it(etl):
    """Compared with clean runs alone: neither the next whole list nor another halved one is taken for usual."""
    number = clean_runs(etl)
    result = etl.run(page(*coins(number, count=COINS // 2)))
    assert result.status is RunStatus.SUCCEEDED
    verdicts = {each.metric: each for each in result.anomalies}
    assert (verdicts["records"].value, verdicts["records"].expected) == (100, 200)
    assert verdicts["vanished_listings"].message.endswith("runs): c100 c101 c102 ...")
    assert found(etl.run(page(*coins(number + 1)))) == {}
    assert found(etl.run(page(*coins(number + 2, count=100))))["records"] == "alert"


def test_history_counts_when_a_rename_is_in_force(etl):
    """The runs before are those of the source as it is configured, whatever its fields are called today."""
    etl.conn.execute(
        """
        with d as (
            insert into drifts (source, path, kind, renamed_to, action, status, closed_at, first_run_id, last_run_id)
            values ('coinpaprika', 'volume', 'renamed', 'vol', 'mapped', 'accepted', now(), 1, 1)
            returning id, source, path, renamed_to
        )
        insert into field_renames (drift_id, source, path, renamed_to) select * from d
        """
    )
    number = clean_runs(etl)
    assert found(etl.run(page(*coins(number, count=COINS // 2))))["records"] == "alert"


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"price": 1.9}, "price_move_pct"), ({"first": 90}, "new_listings"), ({"first": 90}, "vanished_listings"),
        ({"count": 400}, "records"),
    ],
)  # fmt: skip
def test_what_came_went_and_moved_is_found_when_it_is_unusual(etl, change, metric):
    """Prices of another day, a list of other coins, or twice as many."""
    number = clean_runs(etl)
    make_steady(etl)
    assert metric in found(etl.run(page(*coins(number, **change))))


def test_failed_runs_and_other_settings_are_left_out(etl):
    """What is like no other run is not judged, and nothing else is compared with it."""
    number = clean_runs(etl)
    failed = etl.run(page(*coins(number, count=10)), errors.FetchError("gone", code="http_500"))
    assert etl.run_row(failed.run_id, "status", "reading", "measures") == ("failed", None, None)
    assert found(etl.run(page(*coins(number, count=10)))) != {}
    assert found(etl.run(page(*coins(number, count=10)), of=source(max_rejected_share=0.9))) == {}


def test_unchanged_answer_raises_nothing(etl, httpserver):
    """304 is a read of nothing new: zero records are what it has, whatever is demanded of complete reads."""
    answer = '[{"id": "btc", "symbol": "btc", "name": "B", "at": "2026-01-02T12:00:00Z", "price": 1}]'
    asked = serve(httpserver, (answer, {"headers": {"ETag": '"v"'}}), *[("", {"status": 304})] * 8)
    results = [etl.run(of=asked) for _ in range(9)]
    assert all(found(result) == {} for result in results)
    readings = etl.rows("select reading from runs order by id")
    assert readings == [("first",)] + [("nothing",)] * 8


def test_same_answer_again_raises_nothing_when_it_is_asked_for_more_often_than_it_changes(etl):
    """Nothing inserted is what a whole read of known quotes has: how old they are is another metric's matter."""
    number = clean_runs(etl)
    same = [etl.run(page(*coins(number - 1))) for _ in range(3)]
    assert [found(result) for result in same] == [{}] * 3
    assert etl.rows("select measures ? 'inserted' from runs order by id desc limit 4") == [(False,)] * 3 + [(True,)]


def test_empty_answer_is_an_alert(etl):
    """An API that has nothing any more is not the same as one that has nothing new; the first time as well."""
    for expected in ("first", "full"):
        result = etl.run(page())
        assert found(result) == {"records": "alert"}
        assert etl.run_row(result.run_id, "reading") == (expected,)
        etl.run(page(*coins(0)))


@pytest.fixture
def archive(tmp_path):
    """A source of one file, and the file."""
    fields = {name: FieldMap(paths=(path,), type=kind) for name, path, kind in (
        ("symbol", "symbol", "text"), ("name", "name", "text"), ("observed_at", "date", "time"),
        ("price_usd", "price", "number"),
    )}  # fmt: skip
    fields["external_id"] = FieldMap(template="{symbol}", type="text")
    files = source("csv", kind=Kind.CSV_FILES, http=None, files=Files(glob=f"{tmp_path}/*.csv"), fields=fields)
    return files, tmp_path / "a.csv"


def append(path, day, lines):
    """Add so many lines of that day to an archive."""
    text = "" if path.exists() else LINES
    text += "".join(f"C{n},Coin,{(NOON + day * 24 * HOUR).date()},{n + 1}\n" for n in range(lines))
    with path.open("a") as file:
        file.write(text)


def test_files_are_judged_by_what_they_have_more(etl, archive):
    """The first read and one without news have no like; a tail half as long as usual is odd, a longer one is not."""
    files, path = archive
    append(path, 0, 500)
    results = [etl.run(of=files), etl.run(of=files)]
    for day in range(1, 9):
        append(path, day, 60)
        results += [etl.run(of=files), etl.run(of=files)]
    assert [row for (row,) in etl.rows("select reading from runs order by id")] == ["first", "nothing"] + [
        "tail", "nothing"
    ] * 8  # fmt: skip
    assert all(found(result) == {} for result in results)
    # Whoever reads only what is new cannot tell what vanished.
    assert etl.rows("select source from rosters") == []
    for day, lines, verdicts in ((9, 200, {}), (10, 20, {"records": "alert"})):
        append(path, day, lines)
        assert found(etl.run(of=files)) == verdicts


def test_nothing_new_raises_nothing_when_only_that_was_asked_for(etl):
    """An API that is asked for what is new may have none of it; what it has is judged as a tail."""
    asked = source(since=Since(param="since"))
    for number in range(9):
        assert found(etl.run(page(*coins(number)), of=asked)) == {}
        assert found(etl.run(page(), of=asked)) == {}
    readings = [row for (row,) in etl.rows("select reading from runs order by id")]
    assert readings[:4] == ["first", "nothing", "tail", "nothing"]
    assert found(etl.run(page(*coins(10, count=50)), of=asked))["records"] == "alert"


def test_rest_of_an_interrupted_read_is_compared_with_none(etl, archive):
    """It is as long as the interruption left it."""
    files, path = archive
    for day in range(9):
        append(path, day, 60)
        etl.run(of=files)
    stopped = etl.build(faults=Cut(errors.StoppedError("asked to"), "read"))
    append(path, 9, 3)
    assert etl.start(stopped, of=files).status is RunStatus.INTERRUPTED
    result = etl.run(of=files)
    assert (etl.run_row(result.run_id, "reading"), found(result)) == (("rest",), {})


def test_old_data_are_an_alert_when_the_source_says_how_old_they_may_be(etl):
    """Also when the upstream answers as if all were well."""
    fresh = source(freshness_seconds=3600)
    assert found(etl.run(page(*coins(0)), of=fresh)) == {"data_age_seconds": "alert"}
    assert found(etl.run(page(record("btc", at=datetime.now(UTC) - timedelta(minutes=50))), of=fresh)) == {}


def test_read_of_fewer_pages_than_usual_is_an_alert(etl):
    """A page that is short in the middle ends a read as if it were the last one."""
    paged = source(paging=Paging(param="page", size_param="size", size=50))
    for number in range(8):
        pages = [page(*coins(number, first=first, count=50), last=first == 150) for first in range(0, 200, 50)]
        assert found(etl.run(*pages, of=paged)) == {}
    broken = etl.run(page(*coins(8, count=50), last=False), page(*coins(8, first=50, count=30)), of=paged)
    (pages,) = [each for each in broken.anomalies if each.metric == "pages"]
    assert (pages.rule, pages.value, pages.expected) == ("partial_pages", 2, 4)
    assert pages.message == "pages: the read ended after 2 of usually 4; page 2 had 30 records"


class Cut:
    """A run that is cut off once, with this error, by default in the transaction that writes its end."""

    def __init__(self, error, stage="finish"):
        self._errors = [error]
        self._stage = stage

    def hit(self, place, *, wait, conn=None):
        if (place.stage, place.moment) == (self._stage, "before") and self._errors:
            raise self._errors.pop()
        return False


def test_verdict_is_written_once_when_its_transaction_is_lost_before_the_commit(etl):
    """The end is written again, as if the first attempt had never been."""
    runner = etl.build(ListReader({"": [page()]}), faults=Cut(errors.DatabaseUnavailableError("gone")))
    assert found(etl.start(runner)) == {"records": "alert"}
    assert etl.rows("select metric from anomalies") == [("records",)]
    assert etl.rows("select metric, anomalies from anomaly_totals") == [("records", 1)]


def test_no_verdict_is_left_when_a_run_loses_its_lease_before_its_end(etl):
    """Half an end is none: neither verdict nor measures, nor a roster."""
    runner = etl.build(ListReader({"": [page()]}), faults=Cut(errors.LeaseLostError("taken over")))
    with pytest.raises(errors.LeaseLostError):
        etl.start(runner)
    for table in ("anomalies", "anomaly_totals", "rosters"):
        assert etl.rows(f"select * from {table}") == []
    assert etl.run_row(1, "status", "reading", "measures") == ("running", None, None)


@pytest.mark.parametrize("mistake", ["insert into anomalies (nonsense) values (1)", None], ids=["in SQL", "in Python"])
def test_run_ends_all_the_same_when_it_cannot_be_judged(etl, monkeypatch, caplog, mistake):
    """A verdict is worth less than the run: what it wrote is rolled back alone, and the log says so."""

    def refuse(conn, *_):
        conn.execute(mistake) if mistake else float(mistake)

    monkeypatch.setattr(anomalies, "insert", refuse)
    result = etl.run(page())
    assert (result.status, result.anomalies) == (RunStatus.SUCCEEDED, [])
    assert etl.run_row(result.run_id, "status", "reading") == ("succeeded", None)
    assert [line.levelname for line in caplog.records if line.message == "run not judged"] == ["ERROR"]


def test_run_ends_all_the_same_when_judging_it_takes_too_long(etl, caplog):
    """It is waited for a part of a lease, once; a run that did its work is none that crashed."""
    with db.connect(etl.dsn) as other, other.transaction():
        other.execute("lock table rosters")
        result = etl.run(page(), lease_seconds=2.0)
    assert (result.status, result.anomalies) == (RunStatus.SUCCEEDED, [])
    assert etl.run_row(result.run_id, "status", "reading") == ("succeeded", None)
    assert [line.code for line in caplog.records if line.message == "run not judged"] == ["query_timeout"]


@pytest.fixture
def standin():
    """The stand-in's control paths, and the built-in source coinpaprika reading from it."""
    with UpstreamServer(Options(tick=1000, coinpaprika_coins=600)) as upstream:
        environ = {
            "KASPARRO_SOURCE_COINPAPRIKA_URL": upstream.coinpaprika_url, "KASPARRO_SOURCE_COINPAPRIKA_RATE": "off"
        }  # fmt: skip
        read = catalogue.load_all(Config.from_env(environ))["coinpaprika"]
        # The stand-in's time stands still, years ago.
        yield upstream.control_url, evolve(read, freshness_seconds=None)


@pytest.mark.parametrize(
    ("fault", "metrics"),
    [
        ({"kind": "drop"}, {"records", "inserted", "vanished_listings"}),
        ({"kind": "slow", "seconds": 2}, {"duration_seconds"}),
        ({"kind": "rename", "field": "rank", "to": "zz"}, {"null_share_rank"}),
    ],
)  # fmt: skip
def test_fault_of_an_upstream_is_found_within_one_run(etl, standin, caplog, fault, metrics):
    """In the run's result, in the tables, and in the log, a line each."""
    control, read = standin
    for tick in range(1000, 1009):
        assert found(etl.run(of=read)) == {}
        urllib3.request("POST", f"{control}/tick", json={"tick": tick + 1})
    make_steady(etl)
    urllib3.request("POST", f"{control}/faults", json={"upstream": "coinpaprika", **fault})
    caplog.clear()
    result = etl.run(of=read)
    timed = "duration_seconds" in metrics
    assert (result.status, set(found(result, timed=timed))) == (RunStatus.SUCCEEDED, metrics)
    rows = etl.rows("select metric, severity from anomalies where run_id = %s order by id", result.run_id)
    assert dict(rows) == found(result, timed=True)
    schema = json.loads(run_comparisons.compare(etl.conn, result.run_id, result.run_id - 1))["schema"]
    renamed = ["zz"], ["rank"]
    assert (schema["added"], schema["missing"]) == (renamed if fault["kind"] == "rename" else ([], []))
    logged = {(line.metric, line.levelname) for line in caplog.records if line.message == "anomaly"}
    levels = {"warn": "WARNING", "alert": "ERROR"}
    assert logged == {(metric, levels[severity]) for metric, severity in rows}
