"""What does a coin cost at a moment? A pure function of the coin and of seconds since EPOCH.

A price is a middle times e to a sum of sine waves, from years down to minutes: it moves like a market, never
drifts away, and any moment of the past costs the same to compute as now. The two upstreams differ by a hair.
"""

from collections.abc import Iterable
from math import exp, sin, tau

from kasparro.upstream import names
from kasparro.upstream.coins import Coin, Listing

# How far an upstream's price lies from the common one, at most: 0.05 %, as between real aggregators on a calm day.
SKEW = 0.0005
DAY_SECONDS = 86_400


def mid(coin: Coin, seconds: float) -> float:
    """The price in US dollars before any upstream's own deviation."""
    height = 0.0
    for size, speed, phase in coin.waves:
        height += size * sin(speed * seconds + phase)
    return coin.price * exp(height)


def skew(listing: Listing, seconds: float) -> float:
    """The factor by which this upstream's price of the listing deviates at this moment."""
    return 1.0 + coin_skew(listing.coin) * (2.0 * names.chance(listing.key, seconds) - 1.0)


def coin_skew(coin: Coin) -> float:
    """The largest deviation for this coin; pegged ones hardly deviate."""
    return SKEW / 5 if coin.pegged else SKEW


def price(listing: Listing, seconds: float) -> float:
    """The price in US dollars as the listing's upstream gives it."""
    return mid(listing.coin, seconds) * skew(listing, seconds)


def changes(coin: Coin, seconds: float, spans_seconds: Iterable[float]) -> list[float]:
    """By how much the price changed over each of these spans up to `seconds`, in percent."""
    now = mid(coin, seconds)
    return [(now / mid(coin, seconds - span) - 1.0) * 100.0 for span in spans_seconds]


def volume(coin: Coin, seconds: float) -> float:
    """The volume of the last 24 hours in US dollars."""
    swing = 0.5 * sin(tau * seconds / (3 * DAY_SECONDS) + coin.phase)
    return mid(coin, seconds) * coin.circulating * coin.turnover * exp(swing)


def highest(coin: Coin) -> float:
    """A price that no moment exceeds: the all-time high."""
    return coin.price * exp(sum(size for size, _, _ in coin.waves)) * (1.05 + coin.phase / 4)


def lowest(coin: Coin, depth: float) -> float:
    """A price that no moment undercuts: the all-time low, a factor `depth` (0 to 1) below the waves."""
    return coin.price * exp(-sum(size for size, _, _ in coin.waves)) * depth
