"""What does each CoinGecko path answer? Parameters in, records of the wire format out.

Pages by a moving ranking overlap, as upstream's do: at every third boundary the last coin of a page also opens
the next. Parameters that only add or round (sparkline, price_change_percentage, precision) change nothing here.
"""

from collections.abc import Sequence

import falcon

from kasparro.upstream import coingecko, prices, refusals, render, ticks
from kasparro.upstream.coins import Listing
from kasparro.upstream.gate import query
from kasparro.upstream.options import EPOCH
from kasparro.upstream.standin import Standin

_DEFAULT_PER_PAGE, _MAX_PER_PAGE = 100, 250
_ORDERS = ("market_cap_desc", "market_cap_asc", "volume_desc", "volume_asc", "id_asc", "id_desc")
# One page boundary in so many shows a coin twice.
_SLIP_EACH = 3
_DAY = prices.DAY_SECONDS
# Up to so many seconds of range, a point each so many seconds.
_GRANULARITY = ((_DAY, 300), (90 * _DAY, 3600))


class CoinGecko:
    """The answers of all paths, remembered as long as the tick lasts."""

    def __init__(self, standin: Standin) -> None:
        self._ticks = standin.ticks
        self._plan = standin.options.coingecko_plan
        self._listings = standin.universe.coingecko
        self._by_id = {listing.id: listing for listing in self._listings}
        self._memory = ticks.Memory()

    def on_get_ping(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """/api/v3/ping."""
        render.send(resp, render.dump({"gecko_says": "(V3) To the Moon!"}))

    def on_get_list(self, req: falcon.Request, resp: falcon.Response) -> None:
        """/api/v3/coins/list: every coin, by id."""
        platforms = query(req).get("include_platform") == "true"
        items = [coingecko.list_item(self._by_id[id_], platforms=platforms) for id_ in sorted(self._by_id)]
        render.send(resp, render.dump(items))

    def on_get_markets(self, req: falcon.Request, resp: falcon.Response) -> None:
        """/api/v3/coins/markets: one page in the order asked for; the last one is short, those behind it are empty."""
        given = query(req)
        _check_currency(given.get("vs_currency"))
        order = given.get("order", _ORDERS[0])
        order = order if order in _ORDERS else _ORDERS[0]
        page = _bounded(given.get("page"), 1, 1, 1_000_000)
        per_page = _bounded(given.get("per_page"), _DEFAULT_PER_PAGE, 1, _MAX_PER_PAGE)
        seconds = self._ticks.seconds()
        chosen = self._chosen(given)
        if chosen is not None:
            listings = _sort(chosen, order, seconds)[(page - 1) * per_page : page * per_page]
            render.send(resp, render.dump([coingecko.market(listing, seconds) for listing in listings]))
            return
        key = ("markets", order, per_page, page)
        render.send(resp, self._memory.get(seconds, key, lambda: self._page(seconds, order, per_page, page)))

    def on_get_range(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """/api/v3/coins/{id}/market_chart/range: from and to in Unix seconds, points as dense as the range is short."""
        given, now = query(req), self._ticks.seconds()
        listing = self._by_id.get(id)
        if listing is None:
            raise refusals.RefusedError(refusals.plain(404, "coin not found"))
        _check_currency(given.get("vs_currency"))
        start, end = _time(given.get("from"), "from"), _time(given.get("to"), "to")
        if self._plan == "demo" and start < now - 365 * _DAY:
            raise refusals.RefusedError(refusals.too_far_back(ticks.stamp_milliseconds(now)))
        step = next((step for span, step in _GRANULARITY if end - start <= span), _DAY)
        moments = range(-int(-start // step) * step, int(min(end, now)) + 1, step)
        render.send(resp, render.dump(coingecko.chart(listing, moments)))

    def _chosen(self, given: dict[str, str]) -> list[Listing] | None:
        """The listings that ids, names or symbols ask for, the first of these that is given; None for all."""
        if "ids" in given:
            return [self._by_id[id_] for id_ in dict.fromkeys(given["ids"].split(",")) if id_ in self._by_id]
        if "names" in given:
            wanted = {name.lower() for name in given["names"].split(",")}
            return [listing for listing in self._listings if listing.name.lower() in wanted]
        if "symbols" in given:
            wanted = {symbol.lower() for symbol in given["symbols"].split(",")}
            found = [listing for listing in self._listings if listing.symbol in wanted]
            # Unless asked for all, only the largest coin of each symbol is given.
            return found if given.get("include_tokens") == "all" else _largest(found)
        return None

    def _page(self, seconds: int, order: str, per_page: int, page: int) -> bytes:
        tick = seconds // self._ticks.tick_seconds
        # How many of the boundaries before this page showed a coin twice.
        slips = 0 if order.startswith("id_") else (page - 1 + tick) // _SLIP_EACH - tick // _SLIP_EACH
        start = (page - 1) * per_page - slips
        ordered = self._memory.get(seconds, order, lambda: _sort(self._listings, order, seconds))
        listings = ordered[start : start + per_page]
        return render.dump([coingecko.market(listing, seconds) for listing in listings])


def _sort(listings: Sequence[Listing], order: str, seconds: float) -> list[Listing]:
    """By the order's figure at this moment, unknown ones last; equal ones by id."""
    by_id = sorted(listings, key=lambda listing: listing.id, reverse=order == "id_desc")
    if order.startswith("id_"):
        return by_id
    sign = -1.0 if order.endswith("_desc") else 1.0

    def place(listing: Listing) -> tuple[bool, float]:
        coin = listing.coin
        if listing.gap == "price" or (listing.gap == "cap" and order.startswith("market_cap")):
            return True, 0.0
        if order.startswith("volume"):
            return False, sign * prices.volume(coin, seconds)
        return False, sign * prices.mid(coin, seconds) * coin.circulating

    return sorted(by_id, key=place)


def _largest(listings: list[Listing]) -> list[Listing]:
    first: dict[str, Listing] = {}
    for listing in sorted(listings, key=lambda listing: listing.rank):
        first.setdefault(listing.symbol, listing)
    return list(first.values())


def _check_currency(currency: str | None) -> None:
    if currency is None:
        raise refusals.RefusedError(refusals.plain(422, "Missing parameter vs_currency"))
    if currency.lower() != "usd":
        raise refusals.RefusedError(refusals.plain(422, "invalid vs_currency (this stand-in knows usd)"))


def _bounded(text: str | None, default: int, least: int, most: int) -> int:
    """The number in `text` brought into its bounds; `default` where there is none."""
    if text is None or not text.isdecimal():
        return default
    return min(max(int(text), least), most)


def _time(text: str | None, name: str) -> float:
    if text is None or not text.replace(".", "", 1).isdecimal():
        raise refusals.RefusedError(refusals.plain(422, f"Missing or invalid parameter {name}"))
    return float(text) - EPOCH.timestamp()
