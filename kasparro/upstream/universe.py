"""Which coins exist, and what does each upstream call them? Made from a seed.

Most coins are listed in both upstreams under the same symbol and name. Some share a ticker with another coin, a
few have a double of the same symbol and name inside one upstream, and some lack figures, as in recorded answers.
"""

from collections.abc import Iterable
from math import tau

from attrs import evolve

from kasparro.upstream import names
from kasparro.upstream.coins import Coin, Listing, Universe
from kasparro.upstream.known import KNOWN, Known
from kasparro.upstream.options import COINGECKO, COINPAPRIKA

# The share of CoinPaprika's coins that CoinGecko lists as well.
SHARED = 0.78
# One in so many of an upstream's own coins borrows a ticker, or is a double in symbol and name.
BORROWS_EACH, DOUBLES_EACH = 9, 90
# Figures are missing only below this share of the ranking: recorded top coins have them all.
COMPLETE = 0.15
_DAY = 86_400.0
# Waves as (size, days of the period): a year's cycle down to minutes; well-known coins move less.
_CALM = ((0.12, 300.0), (0.06, 23.0), (0.015, 1.3), (0.0015, 0.011))
_WILD = ((0.40, 210.0), (0.15, 17.0), (0.040, 0.9), (0.0060, 0.007))
_PEGGED = ((0.0004, 40.0), (0.0004, 2.1), (0.0003, 0.2), (0.0001, 0.01))


def build(seed: int, *, coinpaprika: int, coingecko: int) -> Universe:
    """Make the universe with that many listings each; the same arguments give the same universe."""
    maker = _Maker(seed)
    shared = min(int(coinpaprika * SHARED) or 1, coingecko)
    known = KNOWN[:shared]
    for row in known:
        maker.add_known(row)
    own = {COINPAPRIKA: coinpaprika - shared, COINGECKO: coingecko - shared}
    kinds = ["both"] * (shared - len(known)) + [kind for kind, count in own.items() for _ in range(count)]
    order = sorted(range(len(kinds)), key=lambda place: names.chance(seed, "order", place))
    for index, place in enumerate(order):
        maker.add_invented(index, kinds[place])
    for index in range(len(kinds), len(kinds) + max(coinpaprika // 20, 1)):
        maker.add_retired(index)
    return Universe(
        seed=seed,
        coinpaprika=_ranked(maker.listings[COINPAPRIKA]),
        coingecko=_ranked(maker.listings[COINGECKO]),
        retired=tuple(maker.retired),
    )


class _Maker:
    """Collects listings while the universe is made, so that names and ids stay unique."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.listings: dict[str, list[Listing]] = {COINPAPRIKA: [], COINGECKO: []}
        self.retired: list[Listing] = []
        self._ids: dict[str, set[str]] = {
            COINPAPRIKA: {row.coinpaprika_id for row in KNOWN} | {odd.id for odd in names.ODD_COINPAPRIKA},
            COINGECKO: {row.coingecko_id for row in KNOWN} | {odd.id for odd in names.ODD_COINGECKO},
        }
        self._names = {row.name.lower() for row in KNOWN}
        self._shared: list[Coin] = []
        self._own = {COINPAPRIKA: 0, COINGECKO: 0}

    def add_known(self, row: Known) -> None:
        """List a well-known coin in both upstreams, under the ids they really use."""
        waves = _PEGGED if row.pegged else _CALM
        coin = Coin(
            symbol=row.symbol,
            name=row.name,
            price=row.price,
            waves=self._waves(row.follows or row.symbol, waves),
            circulating=row.circulating,
            total=max(row.circulating, (row.max_supply or row.circulating) * 0.98),
            max_supply=row.max_supply,
            turnover=0.02 + 0.1 * names.chance(self.seed, row.symbol, "turnover"),
            phase=names.chance(self.seed, row.symbol, "phase"),
            pegged=row.pegged,
            token=row.token,
        )
        self._shared.append(coin)
        self._list(COINPAPRIKA, coin, row.coinpaprika_id, coin.symbol, coin.name)
        self._list(COINGECKO, coin, row.coingecko_id, coin.symbol.lower(), coin.name)

    def add_invented(self, index: int, kind: str) -> None:
        """List an invented coin in both upstreams, or in the one that `kind` names."""
        if kind == "both":
            coin = self._invent(index)
            if len(self._shared) % 40 == 20:
                coin = evolve(coin, symbol=self._shared[-7].symbol)
            self._shared.append(coin)
            self._list(COINPAPRIKA, coin, self._paprika_id(coin), coin.symbol, coin.name)
            recased = coin.name.upper() if len(self._shared) % 25 == 3 else coin.name
            self._list(COINGECKO, coin, self._gecko_id(coin), coin.symbol.lower(), recased)
            return
        place = self._own[kind]
        self._own[kind] += 1
        odd = names.ODD_COINPAPRIKA if kind == COINPAPRIKA else names.ODD_COINGECKO
        if place % 20 == 19 and place // 20 < len(odd):
            self._add_odd(index, kind, odd[place // 20])
            return
        coin = self._borrow(index, place)
        if kind == COINPAPRIKA:
            self._list(kind, coin, self._paprika_id(coin), coin.symbol, coin.name)
        else:
            self._list(kind, coin, self._gecko_id(coin), coin.symbol.lower(), coin.name)

    def add_retired(self, index: int) -> None:
        """Remember an invented coin that CoinPaprika knows but no longer quotes."""
        coin = self._invent(index)
        listing = Listing(id=self._paprika_id(coin), symbol=coin.symbol, name=coin.name, coin=coin, key=str(index))
        self.retired.append(listing)

    def _add_odd(self, index: int, kind: str, odd: names.Odd) -> None:
        coin = self._invent(index)
        circulating = odd.circulating or coin.circulating
        coin = evolve(
            coin,
            symbol=odd.symbol,
            name=odd.name,
            price=odd.price or coin.price,
            circulating=circulating,
            total=circulating if odd.circulating else coin.total,
            max_supply=None if odd.circulating else coin.max_supply,
        )
        self._list(kind, coin, odd.id, odd.symbol if kind == COINPAPRIKA else odd.symbol.lower(), odd.name)

    def _borrow(self, index: int, place: int) -> Coin:
        """An upstream's own coin: a double of a shared one, a borrower of its ticker, or one with its own."""
        coin = self._invent(index)
        if place % DOUBLES_EACH == DOUBLES_EACH // 2:
            twin = names.pick(self._shared[len(KNOWN) :] or self._shared, self.seed, "twin", index)
            return evolve(coin, symbol=twin.symbol, name=twin.name)
        if place % BORROWS_EACH == BORROWS_EACH // 2:
            origin = names.pick(self._shared, self.seed, "origin", index)
            return evolve(
                coin,
                symbol=origin.symbol,
                name=names.wrap(self.seed, index, origin.name),
                price=origin.price,
                waves=origin.waves,
                pegged=origin.pegged,
                circulating=coin.circulating * coin.price / origin.price,
                total=coin.total * coin.price / origin.price,
                max_supply=None,
                token=True,
            )
        return coin

    def _invent(self, index: int) -> Coin:
        name = names.invent(self.seed, index, self._names)
        self._names.add(name.lower())
        draw = [names.chance(self.seed, "coin", index, part) for part in range(6)]
        # A market cap that falls with the index, from a quarter of a billion dollars to some hundred thousand.
        cap = 2.5e8 / (1 + index / 25) ** 1.35 * (0.7 + 0.6 * draw[0])
        price = 10.0 ** (-8.5 + 10.2 * draw[1])
        circulating = cap / price
        total = circulating * (1.0 + 2.0 * draw[2])
        return Coin(
            symbol=names.abbreviate(self.seed, index, name),
            name=name,
            price=price,
            waves=self._waves(name, _WILD),
            circulating=circulating,
            total=total,
            max_supply=float(round(total * (1.0 + draw[3]))) if draw[3] < 0.4 else None,
            turnover=0.001 + 0.2 * draw[4] ** 3,
            phase=draw[5],
            token=draw[3] < 0.7,
        )

    def _waves(self, key: str, shapes: Iterable[tuple[float, float]]) -> tuple[tuple[float, float, float], ...]:
        waves = []
        for place, (size, days) in enumerate(shapes):
            stretch = 0.7 + 0.6 * names.chance(self.seed, key, "stretch", place)
            phase = tau * names.chance(self.seed, key, "wave", place)
            waves.append((size * stretch, tau / (days * stretch * _DAY), phase))
        return tuple(waves)

    def _paprika_id(self, coin: Coin) -> str:
        return self._take(COINPAPRIKA, f"{names.slug(coin.symbol)}-{names.slug(coin.name)}")

    def _gecko_id(self, coin: Coin) -> str:
        return self._take(COINGECKO, names.slug(coin.name))

    def _take(self, upstream: str, wanted: str) -> str:
        found = names.unused(wanted, self._ids[upstream])
        self._ids[upstream].add(found)
        return found

    def _list(self, upstream: str, coin: Coin, id_: str, symbol: str, name: str) -> None:
        key = f"{self.seed}:{upstream}:{id_}"
        self.listings[upstream].append(Listing(id=id_, symbol=symbol, name=name, coin=coin, key=key))


def _ranked(listings: list[Listing]) -> tuple[Listing, ...]:
    """By market cap at the middle price, with what the upstream does not know about the lesser ones."""
    listings = sorted(listings, key=lambda listing: (-listing.coin.price * listing.coin.circulating, listing.id))
    complete = len(listings) * COMPLETE
    ranked = []
    for rank, listing in enumerate(listings, start=1):
        ranked.append(evolve(listing, rank=rank, gap=_gap(listing) if rank > complete else ""))
    return tuple(ranked)


def _gap(listing: Listing) -> str:
    draw = names.chance(listing.key, "gap")
    if draw < 0.01:
        return "price"
    if draw < 0.06:
        return "cap"
    return "supply" if draw < 0.08 else ""
