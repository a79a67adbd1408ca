"""Runs judged when they end: measured, compared with those before, and the verdicts written with the end."""

from etl_fixtures import HOUR, NOON, page, record

from kasparro.model import RunStatus

pytest_plugins = ("etl_checks",)

COINS = 200


def coins(number, *, count=COINS, price=1.0, **more):
    """What the list looks like at the run of this number: every price an hour later."""
    return [record(f"c{n}", at=NOON + number * HOUR, price=str(price * (n + 1)), cap=9, **more) for n in range(count)]


def clean_runs(etl, *, count=8, of=None):
    """So many runs of the whole list, one after the other; the number of the next one."""
    for number in range(count):
        etl.run(page(*coins(number)), of=of)
    return count


def verdicts(etl, run_id):
    """Metric, rule and severity of the verdicts on a run, in their order."""
    return etl.rows("select metric, rule, severity from anomalies where run_id = %s order by id", run_id)


def measures(etl, run_id):
    return etl.run_row(run_id, "reading", "measures")


def test_run_is_measured_when_it_ends(etl):
    """What it read, how much of that is absent, which listings came and went, how far prices moved."""
    etl.run(page(*coins(0)))
    second = etl.run(page(*coins(1, count=190, price=1.5), record("new", at=NOON + HOUR), record("x", price=None)))
    reading, found = measures(etl, second.run_id)
    assert reading == "full"
    assert found.items() >= {
        "records": 192, "inserted": 191, "rejected_share": round(1 / 192, 6), "new_listings": 1,
        "vanished_listings": 10, "price_move_pct": 50, "null_share_rank": 1,
        "null_share_market_cap_usd": round(1 / 191, 6),
    }.items()  # fmt: skip
    assert found["gap_seconds"] > found["duration_seconds"] > 0
    assert found["data_age_seconds"] > 0
    assert "pages" not in found


def test_halved_list_is_found_in_the_run_that_read_it(etl, caplog):
    """In its result, its record, the log and the totals; and the next whole list is fine again."""
    number = clean_runs(etl)
    result = etl.run(page(*coins(number, count=COINS // 2)))
    assert result.status is RunStatus.SUCCEEDED
    found = {each.metric: each for each in result.anomalies}
    assert {"records", "vanished_listings"} <= found.keys()
    assert (found["records"].value, found["records"].expected, found["records"].severity) == (100, 200, "alert")
    assert found["vanished_listings"].message.endswith("runs): c100, c101, c102")
    assert [each.metric for each in result.anomalies] == [row[0] for row in verdicts(etl, result.run_id)]
    logged = [line for line in caplog.records if line.message == "anomaly"]
    assert {(line.metric, line.levelname) for line in logged} >= {("records", "ERROR")}
    assert etl.value("select anomalies from anomaly_totals where metric = 'records' and severity = 'alert'") == 1
    assert not etl.run(page(*coins(number + 1))).anomalies
    assert {each.metric for each in etl.run(page(*coins(number + 2, count=100))).anomalies} >= {"records"}
