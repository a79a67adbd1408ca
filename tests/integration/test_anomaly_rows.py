"""Verdicts as rows: whatever numbers they hold."""

from etl_fixtures import page, record

from kasparro.model import Anomaly
from kasparro.store import anomalies

pytest_plugins = ("etl_checks",)


def test_verdicts_are_written_when_their_numbers_are_whole_fractions_and_absent(etl):
    """A run's end hangs on it: a list of several kinds of numbers is refused on the way to Postgres."""
    run_id = etl.run(page(record())).run_id
    given = [
        Anomaly(metric="read", rule="min_records", severity="alert", value=2, expected=10, score=None, message="few"),
        Anomaly(metric="age", rule="freshness", severity="warn", value=1.5, expected=1, score=3, message="old"),
    ]
    anomalies.insert(etl.conn, "coinpaprika", run_id, given)
    assert anomalies.list_of_run(etl.conn, run_id) == given
