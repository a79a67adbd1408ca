"""The demo's CSV archives: daily prices of the best-known coins, the same that the stand-in upstreams quote.

Plain UTF-8 with a header. Files start on a fixed day and grow at the end with `days`, so that the same arguments
give the same bytes and more days leave the older rows as they are.
"""

import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

from kasparro.upstream import prices, ticks, universe
from kasparro.upstream.coins import Coin

HEADER = "date,symbol,name,price_usd,market_cap_usd,volume_24h_usd\n"
# Rows that are joined before they are written; more would only cost memory.
_ROWS_A_WRITE = 5000
_MINUTE = 60


def write_archives(folder: Path, *, seed: int = 1, days: int = 365, coins: int = 8) -> list[Path]:
    """Write one file a coin (btc_daily.csv, ...), oldest day first, from EPOCH on; returns their paths.

    A file that already has this content is left untouched; any other appears whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for coin in _top(seed, coins):
        path = folder / f"{coin.symbol.lower()}_daily.csv"
        rows = (_row(coin, day * prices.DAY_SECONDS) for day in range(days))
        content = (HEADER + "".join(rows)).encode()
        if not path.exists() or path.read_bytes() != content:
            _write(path, [content])
        paths.append(path)
    return paths


def write_large_archive(path: Path, *, rows: int, coins: int = 50, seed: int = 1) -> Path:
    """Write one file of `rows` records: minute after minute from EPOCH on, in each minute one row a coin."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top = _top(seed, coins)
    lines = (_row(top[row % coins], row // coins * _MINUTE) for row in range(rows))
    _write(path, _chunks(lines))
    return path


def _top(seed: int, count: int) -> list[Coin]:
    """The largest coins, all of them listed by both upstreams."""
    made = universe.build(seed, coinpaprika=max(count * 2, 100), coingecko=max(count * 2, 100))
    listed = {(listing.symbol.lower(), listing.name.lower()) for listing in made.coingecko}
    shared = (listing.coin for listing in made.coinpaprika if (listing.symbol.lower(), listing.name.lower()) in listed)
    return list(islice(shared, count))


def _row(coin: Coin, seconds: int) -> str:
    price = prices.mid(coin, seconds)
    # Ten significant digits, written out: a reader of archives does not expect exponents.
    exact = format(Decimal(f"{price:.9e}"), "f")
    cap, volume = price * coin.circulating, prices.volume(coin, seconds)
    return f"{ticks.stamp_seconds(seconds)},{coin.symbol},{coin.name},{exact},{cap:.2f},{volume:.2f}\n"


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    yield HEADER.encode()
    while chunk := "".join(islice(lines, _ROWS_A_WRITE)):
        yield chunk.encode()


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    """Through a second file, so that a reader never sees half of it."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as file:
        file.writelines(chunks)
    os.replace(unfinished, path)
