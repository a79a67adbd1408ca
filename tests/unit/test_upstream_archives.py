"""The demo's CSV archives: what is in them, and what a second writing changes."""

import csv
from datetime import datetime, timedelta
from decimal import Decimal

from falcon import testing

from kasparro.upstream import app, archives
from kasparro.upstream.options import EPOCH, Options

COLUMNS = ["date", "symbol", "name", "price_usd", "market_cap_usd", "volume_24h_usd"]


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_archives_hold_one_file_a_coin_when_written(tmp_path):
    """Eight files of the largest coins, a header and one row a day from EPOCH on."""
    paths = archives.write_archives(tmp_path / "archives", days=10)
    assert len(paths) == 8
    assert paths[0].name == "btc_daily.csv"
    found = rows(paths[0])
    assert list(found[0]) == COLUMNS
    days = [datetime.fromisoformat(row["date"]) for row in found]
    assert days == [EPOCH + timedelta(days=day) for day in range(10)]


def test_archives_name_coins_as_the_upstreams_do_when_written(tmp_path):
    """Symbol and name are those of CoinPaprika's listing, so that the assets match."""
    client = testing.TestClient(app.create(Options(tick=1)))
    listed = {(item["symbol"], item["name"]) for item in client.simulate_get("/v1/tickers").json}
    for path in archives.write_archives(tmp_path, days=1):
        (row,) = rows(path)
        assert (row["symbol"], row["name"]) in listed


def test_archives_agree_with_the_upstreams_when_a_moment_is_in_both(tmp_path):
    """The price of a day in the archive is, but for the upstream's deviation, the price of that tick."""
    client = testing.TestClient(app.create(Options(tick=9 * 24 * 60)))
    path = archives.write_archives(tmp_path, days=10)[0]
    quoted = Decimal(str(client.simulate_get("/v1/tickers/btc-bitcoin").json["quotes"]["USD"]["price"]))
    assert abs(Decimal(rows(path)[9]["price_usd"]) / quoted - 1) < Decimal("0.001")


def test_archives_leave_files_untouched_when_nothing_changed(tmp_path):
    """The second writing changes neither content nor modification time, and leaves nothing else behind."""
    first = {path: path.stat().st_mtime_ns for path in archives.write_archives(tmp_path, days=5)}
    second = {path: path.stat().st_mtime_ns for path in archives.write_archives(tmp_path, days=5)}
    assert first == second
    assert set(tmp_path.iterdir()) == set(first)


def test_archives_grow_at_the_end_when_days_are_added(tmp_path):
    """More days append rows; what was there before stays byte for byte."""
    path = archives.write_archives(tmp_path, days=5, coins=1)[0]
    before = path.read_bytes()
    archives.write_archives(tmp_path, days=7, coins=1)
    assert path.read_bytes().startswith(before)
    assert len(rows(path)) == 7


def test_archive_is_restored_when_it_was_damaged(tmp_path):
    """A file with other content is written anew."""
    path = archives.write_archives(tmp_path, days=3, coins=1)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    archives.write_archives(tmp_path, days=3, coins=1)
    assert path.read_bytes() == whole


def test_archive_prices_are_written_out_when_tiny(tmp_path):
    """No exponents: a coin of a hundred-thousandth of a dollar has leading zeros."""
    for path in archives.write_archives(tmp_path, days=1, coins=40):
        (row,) = rows(path)
        assert "e" not in row["price_usd"].lower()
        assert Decimal(row["price_usd"]) > 0


def test_large_archive_holds_distinct_observations_when_written(tmp_path):
    """As many rows as asked for, in order of time, no coin twice in one minute; the same arguments, the same bytes."""
    path = archives.write_large_archive(tmp_path / "large.csv", rows=12_345, coins=50)
    found = rows(path)
    assert len(found) == 12_345
    assert len({(row["symbol"], row["name"], row["date"]) for row in found}) == 12_345
    assert [row["date"] for row in found] == sorted(row["date"] for row in found)
    again = archives.write_large_archive(tmp_path / "again.csv", rows=12_345, coins=50)
    assert again.read_bytes() == path.read_bytes()
