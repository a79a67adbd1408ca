"""What is a coin, and what does one upstream say of it? The values that universe makes and the wire formats read."""

from attrs import frozen


@frozen(kw_only=True)
class Coin:
    """An asset: its middle price in US dollars, how that moves, its supplies in coins, its daily turnover of its cap.

    A wave is (size, radians per second, phase); `phase` is a number in [0, 1) that other curves start from.
    """

    symbol: str
    name: str
    price: float
    waves: tuple[tuple[float, float, float], ...]
    circulating: float
    total: float
    max_supply: float | None
    turnover: float
    phase: float
    pegged: bool = False
    token: bool = False


@frozen(kw_only=True)
class Listing:
    """A coin as one upstream lists it. `key` is what its chances are drawn from, `rank` counts from 1 by market cap.

    `gap` says what the upstream does not know: price, cap, supply or nothing ('').
    """

    id: str
    symbol: str
    name: str
    coin: Coin
    key: str
    rank: int = 0
    gap: str = ""


@frozen(kw_only=True)
class Universe:
    """All listings, by upstream in the order of market caps; `retired` ones are no longer active."""

    seed: int
    coinpaprika: tuple[Listing, ...]
    coingecko: tuple[Listing, ...]
    retired: tuple[Listing, ...]
