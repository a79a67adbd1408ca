"""What does CoinPaprika send of a listing? Its wire format: names, order and kinds of fields as recorded.

Recorded on the free plan on 2026-05-13, with circulating_supply as in answers of 2020 for the paid ones. Zero means
unknown, whole floats are sent as integers, and percentages went through a 32-bit float on the way.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from kasparro.upstream import names, prices, ticks
from kasparro.upstream.coins import Listing

Json = dict[str, Any]

_FLOAT32 = struct.Struct("<f")
_DAY = prices.DAY_SECONDS
_CHANGES = {
    "percent_change_15m": 900,
    "percent_change_30m": 1800,
    "percent_change_1h": 3600,
    "percent_change_6h": 6 * 3600,
    "percent_change_12h": 12 * 3600,
    "percent_change_24h": _DAY,
    "percent_change_7d": 7 * _DAY,
    "percent_change_30d": 30 * _DAY,
    "percent_change_1y": 365 * _DAY,
}
# The free plan sent 0 here for every coin.
_PAID_CHANGES = ("percent_change_30d", "percent_change_1y")
# The first ranks were stamped in one batch and ranked without a gap; the others trail by up to three minutes.
_FIRST_BATCH, _TRAIL_SECONDS = 250, 180
_ORDERED = 12
# Largest distance, in places, between a coin's rank and where it stands in the unsorted answer.
_SHUFFLE = 40


@frozen(kw_only=True)
class Row:
    """A listing with what never changes of its ticker, drawn once: times are as sent."""

    listing: Listing
    place: float
    rank: int
    first_data_at: str
    ath_date: str
    trail_seconds: int


def rows(listings: Iterable[Listing]) -> list[Row]:
    """The order of /tickers: roughly by rank, not sorted."""
    return sorted(map(_row, listings), key=lambda row: row.place)


def last_updated_seconds(row: Row, seconds: float) -> float:
    """When this ticker was made, in whole seconds since EPOCH, never after `seconds`."""
    return seconds - row.trail_seconds


def ticker(row: Row, seconds: float, *, full: bool, rates: Mapping[str, float]) -> Json:
    """One item of /tickers; `full` as with a key. `rates` are units of each quote currency for one US dollar."""
    listing, coin = row.listing, row.listing.coin
    item: Json = {"id": listing.id, "name": listing.name, "symbol": listing.symbol, "rank": row.rank}
    if full:
        item["circulating_supply"] = 0 if listing.gap == "supply" else int(coin.circulating)
    item["total_supply"] = 0 if listing.gap == "supply" else int(coin.total)
    item["max_supply"] = int(coin.max_supply or 0)
    item["beta_value"] = whole(round(0.004 * coin.phase if coin.pegged else 0.2 + 1.4 * coin.phase, 6))
    item["first_data_at"] = row.first_data_at
    item["last_updated"] = ticks.stamp_seconds(last_updated_seconds(row, seconds))
    item["quotes"] = {
        currency: _quote(row, seconds, currency=currency, rate=rate, full=full) for currency, rate in rates.items()
    }
    return item


def coin_item(row: Row, *, active: bool) -> Json:
    """One item of /coins; what is no longer active has rank 0."""
    return {
        "id": row.listing.id,
        "name": row.listing.name,
        "symbol": row.listing.symbol,
        "rank": row.rank if active else 0,
        "is_new": False,
        "is_active": active,
        "type": "token" if row.listing.coin.token else "coin",
    }


def historical_item(row: Row, seconds: float, *, rate: float) -> Json:
    """One item of /tickers/{id}/historical."""
    listing = row.listing
    price = prices.price(listing, seconds) * rate
    return {
        "timestamp": ticks.stamp_seconds(seconds),
        "price": whole(price),
        "volume_24h": int(prices.volume(listing.coin, seconds) * rate),
        "market_cap": int(price * listing.coin.circulating),
    }


def whole(value: float) -> float:
    """The number as a Go program sends it: an integer where nothing stands behind the point."""
    return int(value) if value == int(value) else value


def noisy(percent: float) -> float:
    """Two decimals seen through a 32-bit float: -0.16 becomes -0.1599999964237213."""
    rounded: float = _FLOAT32.unpack(_FLOAT32.pack(round(percent, 2)))[0]
    return whole(rounded)


def _quote(row: Row, seconds: float, *, currency: str, rate: float, full: bool) -> Json:
    listing = row.listing
    if listing.gap == "price":
        return _unknown_quote()
    coin = listing.coin
    price = prices.price(listing, seconds) * rate
    volume = prices.volume(coin, seconds)
    has_cap = listing.gap == ""
    moves = prices.changes(coin, seconds, _CHANGES.values())
    changes = {
        name: 0 if name in _PAID_CHANGES and not full else noisy(move)
        for name, move in zip(_CHANGES, moves, strict=True)
    }
    high = prices.highest(coin)
    return {
        "price": whole(price),
        "volume_24h": whole(volume * rate),
        "volume_24h_change_24h": noisy((volume / prices.volume(coin, seconds - _DAY) - 1) * 100),
        "market_cap": int(price * coin.circulating) if has_cap else 0,
        "market_cap_change_24h": changes["percent_change_24h"] if has_cap else 0,
        **changes,
        "ath_price": whole(high) if currency == "USD" else None,
        "ath_date": row.ath_date if currency == "USD" else None,
        "percent_from_price_ath": whole(round((price / rate / high - 1) * 100, 2)) if currency == "USD" else None,
    }


def _unknown_quote() -> Json:
    return {
        "price": 0,
        "volume_24h": 0,
        "volume_24h_change_24h": 0,
        "market_cap": 0,
        "market_cap_change_24h": 0,
        **dict.fromkeys(_CHANGES, 0),
        "ath_price": None,
        "ath_date": None,
        "percent_from_price_ath": None,
    }


def _row(listing: Listing) -> Row:
    born = -_DAY * (365 + int(names.chance(listing.key, "born") * 13 * 365))
    peak = -int(names.chance(listing.key, "peak") * 365 * _DAY) - 1
    late = listing.rank > _FIRST_BATCH
    return Row(
        listing=listing,
        place=listing.rank + (_SHUFFLE * names.chance(listing.key, "place") if listing.rank > _ORDERED else 0),
        rank=_rank(listing),
        first_data_at=ticks.stamp_seconds(born),
        ath_date=ticks.stamp_seconds(peak),
        trail_seconds=int(names.chance(listing.key, "trail") * _TRAIL_SECONDS) if late else 0,
    )


def _rank(listing: Listing) -> int:
    """The rank as sent: neither dense nor unique below the first places."""
    if listing.rank <= _ORDERED:
        return listing.rank
    draw = names.chance(listing.key, "rank")
    return listing.rank - (draw < 0.2) + (draw > 0.85)
