"""What `kasparro status` reads: every source that is asked for, whether it ever ran or not."""

from kasparro.store import db, schedules, status, totals
from kasparro.tallies import Counts, Traffic


def test_list_sources_knows_those_that_ran_and_those_that_never_did(conn: db.Connection) -> None:
    """Totals and the last run of the one, zeros and nothing of the other; nothing of a third."""
    for counts in (Counts(read=3, inserted=2, rejected=1), Counts(read=2, unchanged=2)):
        totals.count_up(conn, "csv", counts, Traffic())
    totals.count_up(conn, "coingecko", Counts(read=9, inserted=9), Traffic())
    schedules.note_end(conn, "csv", status="partial", state=schedules.lock(conn, "csv"))
    found = status.list_sources(conn, ["csv", "coinpaprika"])
    assert list(found) == ["csv", "coinpaprika"]
    assert (found["csv"].records_read, found["csv"].inserted, found["csv"].health.last_status) == (5, 2, "partial")
    assert found["csv"].health.last_success_at is not None
    never = found["coinpaprika"]
    assert (never.records_read, never.inserted, never.health.last_status) == (0, 0, None)
