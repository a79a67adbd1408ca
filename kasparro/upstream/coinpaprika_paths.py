"""What does each CoinPaprika path answer? Parameters in, records of the wire format out.

A request with a key gets the paid plan's answers: circulating supplies, changes over a month and a year, and all
of history.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import falcon

from kasparro.upstream import coinpaprika, prices, refusals, render, ticks
from kasparro.upstream.gate import query
from kasparro.upstream.options import EPOCH
from kasparro.upstream.standin import Standin

_EUROS_PER_DOLLAR = 0.9
_MAX_CURRENCIES = 3
_DEFAULT_POINTS, _MAX_POINTS = 1000, 5000
_HOUR, _DAY = 3600, prices.DAY_SECONDS
_INTERVALS = {
    **{f"{minutes}m": minutes * 60 for minutes in (5, 10, 15, 30, 45)},
    **{f"{hours}h": hours * _HOUR for hours in (1, 2, 3, 6, 12, 24)},
    **{f"{days}d": days * _DAY for days in (1, 7, 14, 30, 90, 365)},
}


class CoinPaprika:
    """The answers of all paths, remembered as long as the tick lasts."""

    def __init__(self, standin: Standin) -> None:
        self._ticks = standin.ticks
        self._rows = coinpaprika.rows(standin.universe.coinpaprika)
        self._by_id = {row.listing.id: row for row in self._rows}
        self._retired = coinpaprika.rows(standin.universe.retired)
        self._memory = ticks.Memory()

    def on_get_tickers(self, req: falcon.Request, resp: falcon.Response) -> None:
        """/v1/tickers: every coin at once, in no particular order."""
        seconds, full, wanted = self._ticks.seconds(), _full(req), _currencies(req)
        body = self._memory.get(
            seconds, ("tickers", full, wanted), lambda: self._tickers(seconds, full=full, wanted=wanted)
        )
        render.send(resp, body)

    def on_get_ticker(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """/v1/tickers/{id}: the same object alone."""
        row, seconds = self._find(id), self._ticks.seconds()
        rates = {currency: self._rate(currency, seconds) for currency in _currencies(req)}
        render.send(resp, render.dump(coinpaprika.ticker(row, seconds, full=_full(req), rates=rates)))

    def on_get_coins(self, req: falcon.Request, resp: falcon.Response) -> None:  # noqa: ARG002
        """/v1/coins: every coin, those no longer active included."""
        items = [coinpaprika.coin_item(row, active=True) for row in self._rows]
        items += [coinpaprika.coin_item(row, active=False) for row in self._retired]
        render.send(resp, render.dump(items))

    def on_get_historical(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """/v1/tickers/{id}/historical: one point each interval, oldest first."""
        row, now = self._find(id), self._ticks.seconds()
        given = query(req)
        interval = _INTERVALS.get(given.get("interval", "5m"))
        currency = given.get("quote", "usd").upper()
        if interval is None or currency not in ("USD", "BTC"):
            raise refusals.RefusedError(refusals.plain(400, "invalid parameters: interval or quote"))
        start = _time(given.get("start"), "start")
        end = min(_time(given["end"], "end") if "end" in given else now, now)
        if not _full(req):
            _refuse_paid_history(start, interval, now)
        count = min(_number(given.get("limit", str(_DEFAULT_POINTS)), "limit"), _MAX_POINTS)
        first = -int(-start // interval) * interval
        moments = range(first, int(end) + 1, interval)[:count]
        items = [coinpaprika.historical_item(row, moment, rate=self._rate(currency, moment)) for moment in moments]
        render.send(resp, render.dump(items))

    def _tickers(self, seconds: int, *, full: bool, wanted: tuple[str, ...]) -> bytes:
        rates = {currency: self._rate(currency, seconds) for currency in wanted}
        return render.dump([coinpaprika.ticker(row, seconds, full=full, rates=rates) for row in self._rows])

    def _find(self, id_: str) -> coinpaprika.Row:
        row = self._by_id.get(id_)
        if row is None:
            raise refusals.RefusedError(refusals.plain(404, "id not found"))
        return row

    def _rate(self, currency: str, seconds: float) -> float:
        """Units of the currency for one US dollar."""
        rates: dict[str, Callable[[], float]] = {
            "USD": lambda: 1.0,
            "EUR": lambda: _EUROS_PER_DOLLAR,
            "BTC": lambda: 1.0 / prices.price(self._by_id["btc-bitcoin"].listing, seconds),
        }
        if currency not in rates:
            raise refusals.RefusedError(refusals.plain(400, f"quotes: {currency} is not supported"))
        return rates[currency]()


def _full(req: falcon.Request) -> bool:
    return req.context.visit.key is not None


def _currencies(req: falcon.Request) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(query(req).get("quotes", "USD").split(",")))
    if len(wanted) > _MAX_CURRENCIES:
        raise refusals.RefusedError(refusals.plain(400, f"quotes: at most {_MAX_CURRENCIES} currencies"))
    return wanted


def _time(text: str | None, name: str) -> float:
    """Seconds since EPOCH of an RFC 3339 time, a date, or Unix seconds."""
    try:
        if text is not None and text.isdecimal():
            return int(text) - EPOCH.timestamp()
        when = datetime.fromisoformat(text or "")
    except (ValueError, OverflowError) as ex:
        raise refusals.RefusedError(refusals.plain(400, f"{name}: not a time")) from ex
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - EPOCH.timestamp()


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise refusals.RefusedError(refusals.plain(400, f"{name}: not a number above 0"))
    return int(text)


def _refuse_paid_history(start: float, interval: int, now: float) -> None:
    """The free plan reaches back a day in hours and a year in days, and knows no finer interval."""
    reach = 365 * _DAY if interval >= _DAY else _DAY
    if interval < _HOUR or start < now - reach:
        raise refusals.RefusedError(refusals.plain(402, "this history needs a higher plan"))
