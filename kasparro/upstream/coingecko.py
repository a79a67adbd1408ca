"""What does CoinGecko send of a listing? Its wire format: names, order and kinds of fields as recorded.

Recorded on 2025-02-25. Market caps and volumes are integers, supplies always floats, prices one or the other by their
size; a rising market cap changed by an integer and a falling one by a float. Null means unknown, and so does some 0.
"""

from collections.abc import Sequence
from typing import Any

from kasparro.upstream import names, prices, ticks
from kasparro.upstream.coins import Coin, Listing

Json = dict[str, Any]

_DAY = prices.DAY_SECONDS
# Seconds. Recorded pages span up to three minutes, each coin at a moment of its own.
_TRAIL_SECONDS = 170.0
# Above this, in dollars, recorded prices have no decimals.
_WHOLE_PRICE = 20_000
_IMAGES = "https://coin-images.coingecko.com/coins/images"


def shown(price: float) -> float:
    """A price as it is sent: rounded by its size, an integer when large."""
    if price >= _WHOLE_PRICE:
        return round(price)
    if price >= 1.1:
        return round(price, 2)
    if price >= 1.0:
        return round(price, 3)
    if price >= 0.05:
        return round(price, 6)
    return round(price, 8) if price >= 1e-5 else float(f"{price:.5g}")


def market(listing: Listing, seconds: float) -> Json:
    """One item of /coins/markets in US dollars."""
    head: Json = {
        "id": listing.id,
        "symbol": listing.symbol,
        "name": listing.name,
        "image": f"{_IMAGES}/{listing.rank}/large/{names.slug(listing.id)}.png?{1_690_000_000 + listing.rank}",
    }
    figures = _unknown_figures() if listing.gap == "price" else _figures(listing, seconds)
    updated = ticks.stamp_milliseconds(last_updated_seconds(listing, seconds))
    return {**head, **figures, "roi": _roi(listing), "last_updated": updated}


def list_item(listing: Listing, *, platforms: bool) -> Json:
    """One item of /coins/list."""
    item: Json = {"id": listing.id, "symbol": listing.symbol, "name": listing.name}
    if platforms:
        address = f"0x{int(names.chance(listing.key, 'address') * 2**53):040x}"
        item["platforms"] = {"ethereum": address} if listing.coin.token else {}
    return item


def chart(listing: Listing, moments: Sequence[float]) -> Json:
    """The answer of market_chart for these moments (seconds since EPOCH): pairs of Unix milliseconds and a float."""
    stamps = [ticks.unix(moment) * 1000 for moment in moments]
    paid = [prices.price(listing, moment) for moment in moments]
    return {
        "prices": [[stamp, price] for stamp, price in zip(stamps, paid, strict=True)],
        "market_caps": [[stamp, price * listing.coin.circulating] for stamp, price in zip(stamps, paid, strict=True)],
        "total_volumes": [
            [stamp, prices.volume(listing.coin, moment)] for stamp, moment in zip(stamps, moments, strict=True)
        ],
    }


def last_updated_seconds(listing: Listing, seconds: float) -> float:
    """When this coin was updated, in seconds since EPOCH to the millisecond, never after `seconds`."""
    return seconds - round(names.chance(listing.key, "trail") * _TRAIL_SECONDS, 3)


def _figures(listing: Listing, seconds: float) -> Json:
    coin = listing.coin
    price = prices.price(listing, seconds)
    (move,) = prices.changes(coin, seconds, (_DAY,))
    before = price / (1.0 + move / 100.0)
    day = [price, before, *(prices.mid(coin, seconds - hours * 3600) for hours in (4, 8, 12, 16, 20))]
    circulating = 0.0 if listing.gap == "cap" else float(coin.circulating)
    cap, cap_before = int(price * circulating), before * circulating
    total = None if listing.gap == "supply" else float(max(coin.total, circulating))
    return {
        "current_price": shown(price),
        "market_cap": cap,
        "market_cap_rank": listing.rank if cap else None,
        "fully_diluted_valuation": None if total is None else int(price * (coin.max_supply or total)),
        "total_volume": int(prices.volume(coin, seconds)),
        "high_24h": shown(max(day)),
        "low_24h": shown(min(day)),
        "price_change_24h": price - before,
        "price_change_percentage_24h": round(move, 5),
        "market_cap_change_24h": _cap_change(cap, cap_before),
        "market_cap_change_percentage_24h": round((cap / cap_before - 1.0) * 100.0, 5) if cap_before else 0.0,
        "circulating_supply": circulating,
        "total_supply": total,
        "max_supply": coin.max_supply if coin.max_supply is None else float(coin.max_supply),
        **_extremes(listing, coin, price),
    }


def _cap_change(cap: int, before: float) -> float:
    return int(cap - before) if cap >= before else cap - before


def _extremes(listing: Listing, coin: Coin, price: float) -> Json:
    high = prices.highest(coin)
    low = prices.lowest(coin, 0.9 if coin.pegged else 0.001 + 0.9 * names.chance(listing.key, "depth") ** 2)
    # An older date stands for a day only, a newer one for a moment.
    peak = -names.chance(listing.key, "peak") * 400 * _DAY
    trough = -(400 + names.chance(listing.key, "trough") * 2500) * _DAY
    midnight = trough // _DAY * _DAY
    return {
        "ath": shown(high),
        "ath_change_percentage": round((price / high - 1.0) * 100.0, 5),
        "ath_date": ticks.stamp_milliseconds(peak),
        "atl": shown(low),
        "atl_change_percentage": round((price / low - 1.0) * 100.0, 5),
        "atl_date": ticks.stamp_milliseconds(midnight if coin.phase < 0.5 else trough),
    }


def _unknown_figures() -> Json:
    return dict.fromkeys(
        (
            "current_price",
            "market_cap",
            "market_cap_rank",
            "fully_diluted_valuation",
            "total_volume",
            "high_24h",
            "low_24h",
            "price_change_24h",
            "price_change_percentage_24h",
            "market_cap_change_24h",
            "market_cap_change_percentage_24h",
            "circulating_supply",
            "total_supply",
            "max_supply",
            "ath",
            "ath_change_percentage",
            "ath_date",
            "atl",
            "atl_change_percentage",
            "atl_date",
        )
    )


def _roi(listing: Listing) -> Json | None:
    draw = names.chance(listing.key, "roi")
    if draw > 0.15:
        return None
    times = names.chance(listing.key, "times") * 120 - 0.9
    currency = names.pick(("btc", "eth", "usd"), listing.key, "roi in")
    return {"times": times, "currency": currency, "percentage": times * 100}
