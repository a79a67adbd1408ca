"""What does the name of a column mean? Names in several languages, and the currencies and units in them.

Only words that are known say anything; a name that is not known is nobody's.
"""

import re
import unicodedata
from collections.abc import Mapping

from attrs import frozen

from kasparro.etl import currencies, tickers

# Words of a column's name that say in what its numbers are, besides currencies; and how many of the unit one is.
_COIN_UNITS = frozenset({"btc", "eth", "bnb", "xbt", "sat", "sats", "satoshi", "satoshis"})
_SCALES = {
    "cent": "0.01", "cents": "0.01", "tsd": "1000", "tausend": "1000", "thousand": "1000", "thousands": "1000",
    "mio": "1000000", "million": "1000000", "millions": "1000000", "millionen": "1000000", "mrd": "1000000000",
    "milliarden": "1000000000", "hundred": "100", "k": "1000",
}  # fmt: skip
# Words that only join the currency to the rest: `Preis in Euro`.
_JOINING = frozenset({"in", "en", "em", "us", "american"})
# Field -> phrases, as `words` makes them of a column's name, by how well they fit. Currencies in them do not count.
_PHRASES: Mapping[str, Mapping[int, str]] = {
    "price_usd": {
        100: "price|current price|market price|price close|preis|preco|precio|prix|prezzo|prijs|cena|pris|"
        "spot price|coin price|价格|價格|価格|가격|цена|fiyat",
        92: "close|close price|closing price|price closing|schlusskurs|schluss|fechamento|preco de fechamento|cierre|"
        "precio de cierre|cloture|cours de cloture|prix de cloture|chiusura|prezzo di chiusura|slotkoers|closing|"
        "kurs zamkniecia|cena zamkniecia|stangningskurs|sluttkurs|close last|preco fechamento|precio cierre|"
        "cours cloture|closing value|"
        "preco fecho|preco de fecho|zamkniecie|收盘|收盤|"
        "收盘价|收盤價|終値|종가|цена закрытия|закрытие|kapan\u0131ş|kapan\u0131ş fiyat\u0131",
        85: "last|last price|price last|kurs|ultimo|ultimo preco|ultimo precio|dernier|dernier cours|zuletzt|"
        "cours|koers|"
        "最新价|现价|現在値|현재가|последняя цена|курс|son fiyat|şimdi|"
        "letzter kurs|letzter|cotacao|cotizacion|laatste|last trade price|exchange rate|trade price",
        60: "spot price at transaction|price at transaction",
        40: "adj close|adjusted close|mid|mid price|average price|avg price|vwap|weighted price|mean price",
    },
    "observed_at": {
        100: "observed at|snapped at|last updated|last update|updated at|last updated at|snapshot at|snapshot date|"
        "last update timestamp|last updated timestamp",
        95: "unix|unix timestamp|unix time|epoch|timestamp unix|unixtime|epoch time|unix ms|timestamp ms",
        92: "close time|time close|closing time|end time",
        90: "timestamp|time stamp|datetime|date time|date and time|zeitstempel|zeitpunkt|horodatage|datum uhrzeit|"
        "czas|data hora|data e hora|fecha hora|fecha y hora|date heure|date et heure|datum zeit|ts|time utc|"
        "datetime utc|时间戳|日時|일시|дата и время|tarih saat|"
        "marca temporal|data ora",
        80: "date|datum|data|fecha|date iso|date utc|day|trading day|trading date|tag|dia|jour|giorno|dag|dzien|"
        "dato|handelstag|"
        "日期|日付|日付け|날짜|дата|tarih|"
        "price date|dates|date gmt|date local|periodo|period",
        70: "时间|時間|시간|время|saat|time|zeit|hora|heure|uhrzeit|end|ora|time berlin",
        60: "open time|time open|opening time|start|start time|created at|begin",
        30: "now|now timestamp|fetched at",
    },
    "symbol": {
        100: "symbol|ticker|coin symbol|ticker symbol|token symbol|asset symbol|symbole|simbolo|kurzel|symbool|sigla|"
        "代码|代碼|シンボル|심볼|символ|тикер|sembol",
        70: "币种|銘柄|종목|ativo|activo|actif|cripto|security|underlying|"
        "asset|base asset|base currency|base|coin|crypto|token|code|asset code|criptomoeda|criptomoneda|"
        "kryptowahrung"
        "|cryptocurrency|kuerzel|crypto currency|coin code|moeda|moneda|monnaie|wahrung|waehrung",
        60: "pair|market|instrument|product|product id|trading pair|currency pair|symbol pair|par|"
        "instrument name|paire|currency",
    },
    "name": {
        100: "name|coin name|full name|asset name|token name|nombre|nome|nom|bezeichnung|naam|nazwa|namn|navn|"
        "currency name|名称|名稱|名前|이름|название|"
        "cryptocurrency name|crypto name",
        50: "coin|asset|crypto|token|cryptocurrency|kryptowahrung|criptomoeda|criptomoneda|cryptomonnaie|"
        "crypto currency",
    },
    "external_id": {100: "id|slug|coin id|asset id|ticker id|external id|coingecko id|token id|coin slug|asset slug"},
    "market_cap_usd": {
        100: "market cap|marketcap|mcap|mkt cap|market capitalization|market capitalisation|marktkapitalisierung|"
        "capitalizacao de mercado|capitalizacao|capitalizacion de mercado|capitalizacion|capitalisation boursiere|"
        "capitalisation|capitalizzazione|capitalizzazione di mercato|cap de mercado|"
        "capitalizacao mercado|marktkap|marktkapitalisatie|kapitalizacja|kapitalizacja rynkowa|markedsverdi|"
        "borsvarde|市值|時価総額|시가총액|капитализация|рыночная капитализация|piyasa değeri|"
        "current market cap",
        50: "cap|valor de mercado|marktwert|market value",
    },
    "volume_24h_usd": {
        100: "volume 24h|24h volume|total volume|volume 24 h|24 h volume|volume24h|24hr volume|volume 24hr|"
        "vol 24h|24h vol"
        "|volumen 24h|daily volume|24 hour volume|volume 1d|volume 24 hours|volume last 24 hours|umsatz 24h",
        80: "成交量|交易量|出来高|取引量|거래량|объём|hacim|işlem hacmi|volume|vol|volumen|wolumen|volym|volum|umsatz|"
        "handelsvolumen|trading volume|volume negociado|"
        "volume quote|quote volume|"
        "quote asset volume|volumen de negociacion|volume d echange|volume di scambio|volume de negociacao|turnover",
    },
    "change_24h_pct": {
        100: "change 24h|24h change|percent change 24h|price change percentage 24h|change 24h pct|24h|24h pct|"
        "change pct"
        " 24h|pct change 24h|pct 24h|variation 24h|variacao 24h|variacion 24h|anderung 24h|24 h|veranderung 24h|"
        "change percent 24h|24h change pct|24h percent change|price change 24h pct|change 1d|percent change 1d",
        50: "change|change pct|change percent|pct change|percent change|anderung|variacao|var|variacion|variation|"
        "veranderung|variazione|daily change",
    },
    "rank": {100: "rank|market cap rank|cmc rank|rang|ranking|coin rank|rank cmc|posicao|posicion|classement|rango"},
    "circulating_supply": {
        100: "circulating supply|available supply|umlaufende menge|umlaufmenge|oferta circulante|"
        "suministro circulante|"
        "offre en circulation|circulating|supply circulating|fornecimento circulante|suministro en circulacion",
    },
    "currency": {
        100: "spot price currency|"
        "vs currency|quote currency|price currency|quote asset|quote currency code|fiat currency|"
        "counter currency",
        80: "currency|currency code|quote|fiat|wahrung|waehrung|moeda|moneda|devise|valuta|divisa|unit|einheit",
    },
}  # fmt: skip
# Words beside `price` that leave it the price; any other may make it a target, a purchase, or one of a thousand coins.
_STILL_PRICE = frozenset({
    "price", "usd", "the", "of", "a", "per", "coin", "token", "unit", "asset", "crypto", "cryptocurrency", "current",
    "latest", "market", "spot", "value", "quote",
    *(word.casefold() for coin, name in tickers.COINS.items() for word in (coin, *name.split())),
})  # fmt: skip


@frozen(kw_only=True)
class Meaning:
    """What a column's name says: the fields that it may be, the better the higher; the currency in it, and the scale.

    Of several currencies it is the first that is not the dollar. `scale` is what numbers are to be multiplied with.
    """

    scores: Mapping[str, int]
    currency: str = ""
    scale: str = ""

    @property
    def in_coins(self) -> bool:
        """Whether it is in a coin such as BTC; or it is of that coin."""
        return self.currency in _COIN_UNITS

    def score(self, field: str) -> int:
        """How well it fits a field; 0 is not at all."""
        return self.scores.get(field, 0)


def words(name: str) -> list[str]:
    """A column's name as plain small words: `Marktkapitalisierung (USD)`, `marketCap`, `price_usd`, `Préço`."""
    split = currencies.spelled(name.replace("%", " pct "))
    plain = unicodedata.normalize("NFKD", split.casefold().replace("\u00df", "ss"))
    return re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


_KNOWN = {
    field: {" ".join(words(phrase)): score for score, text in scores.items() for phrase in text.split("|")}
    for field, scores in _PHRASES.items()
}


def meaning(name: str) -> Meaning:
    """What a column's name says."""
    found = words(name)
    said = [*currencies.named(name), *(word for word in found if word in currencies.STABLE)]
    rest = [word for word in found if word not in currencies.STABLE and currencies.code(word.upper()) not in said]
    coins = [word for word in rest if word in _COIN_UNITS]
    scale = next((word for word in rest if word in _SCALES), "")
    full, bare = " ".join(found), " ".join(rest)
    if said or coins or scale:
        bare = " ".join(each for each in rest if each not in (*coins, scale, *_JOINING)) or bare
    scores = {}
    for field, phrases in _KNOWN.items():
        text = full if field == "currency" or full in phrases else bare
        if field == "price_usd" and not text and not said:
            continue
        if field == "change_24h_pct":
            text = " ".join(word for word in text.split() if word not in ("pct", "percent", "percentage"))
        if (score := phrases.get(text)) is not None:
            scores[field] = score
    if name.strip() in ("#", "No.", "Nr.", "\u2116"):
        scores["rank"] = 50
    if not scores and "price" in found and set(bare.split()) <= _STILL_PRICE:
        scores["price_usd"] = 30
    others = [each for each in (*said, *coins) if each != "usd"]
    return Meaning(
        scores=scores, currency=others[0] if others else "usd" if said else "", scale=_SCALES.get(scale, ""),
    )  # fmt: skip
