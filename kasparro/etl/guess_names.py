"""What does a name mean? Column names in several languages, the currencies in them, and symbols in the names of files.

Only words that are known say anything; a name that is not known is nobody's.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath

from attrs import frozen

from kasparro.etl import number_text

# Currencies of countries, and tokens that follow the dollar without being one.
FIAT = number_text.FOREIGN | {"usd"}
STABLE = frozenset({
    "usdt", "usdc", "busd", "tusd", "fdusd", "dai", "ust", "usdp", "usde", "gusd", "pyusd", "usdd",
})  # fmt: skip
# What a pair may be priced in besides.
_QUOTES = frozenset({"btc", "eth", "bnb", "xbt"})
# Symbols and names that are taken for a coin wherever they stand by themselves.
COINS = {
    "BTC": "Bitcoin", "XBT": "Bitcoin", "ETH": "Ethereum", "USDT": "Tether", "BNB": "", "SOL": "Solana", "XRP": "",
    "USDC": "USD Coin", "ADA": "Cardano", "DOGE": "Dogecoin", "TRX": "TRON", "AVAX": "Avalanche", "SHIB": "Shiba Inu",
    "DOT": "Polkadot", "LINK": "Chainlink", "MATIC": "Polygon", "LTC": "Litecoin", "BCH": "Bitcoin Cash", "DAI": "Dai",
    "UNI": "Uniswap", "XLM": "Stellar", "ATOM": "Cosmos", "XMR": "Monero", "ETC": "Ethereum Classic", "TON": "Toncoin",
    "FIL": "Filecoin", "APT": "Aptos", "ARB": "Arbitrum", "PEPE": "Pepe", "ALGO": "Algorand", "VET": "VeChain",
    "HBAR": "Hedera", "EOS": "", "XTZ": "Tezos", "AAVE": "Aave", "MKR": "Maker", "ZEC": "Zcash", "NEO": "",
    "DASH": "Dash", "XEM": "NEM", "IOTA": "", "KSM": "Kusama", "SUI": "Sui", "NEAR": "NEAR Protocol", "ICP": "",
    "WBTC": "Wrapped Bitcoin", "GRT": "The Graph", "SNX": "Synthetix", "CRV": "Curve DAO", "COMP": "Compound",
}  # fmt: skip
# Field -> phrases, as `words` makes them of a column's name, by how well they fit. Currencies in them do not count.
_PHRASES: Mapping[str, Mapping[int, str]] = {
    "price_usd": {
        100: "price|current price|market price|price close|preis|preco|precio|prix|prezzo|prijs|spot price|coin price",
        92: "close|close price|closing price|price closing|schlusskurs|schluss|fechamento|preco de fechamento|cierre|"
        "precio de cierre|cloture|cours de cloture|prix de cloture|chiusura|prezzo di chiusura|slotkoers|closing|"
        "close last|preco fechamento|precio cierre|cours cloture|closing value",
        85: "last|last price|price last|kurs|ultimo|ultimo preco|ultimo precio|dernier|dernier cours|zuletzt|"
        "cours|koers|"
        "letzter kurs|letzter|cotacao|cotizacion|laatste|last trade price|exchange rate|trade price",
        60: "",
        40: "adj close|adjusted close|mid|mid price|average price|avg price|vwap|weighted price|mean price",
    },
    "observed_at": {
        100: "observed at|snapped at|last updated|last update|updated at|last updated at|snapshot at|snapshot date|"
        "last update timestamp|last updated timestamp",
        95: "unix|unix timestamp|unix time|epoch|timestamp unix|unixtime|epoch time|unix ms|timestamp ms",
        92: "close time|time close|closing time|end time",
        90: "timestamp|time stamp|datetime|date time|date and time|zeitstempel|zeitpunkt|horodatage|datum uhrzeit|"
        "data hora|data e hora|fecha hora|fecha y hora|date heure|date et heure|datum zeit|ts|time utc|datetime utc|"
        "marca temporal|data ora",
        80: "date|datum|data|fecha|date iso|date utc|day|trading day|trading date|tag|dia|jour|giorno|dag|handelstag|"
        "price date|dates|date gmt|date local|periodo|period",
        70: "time|zeit|hora|heure|uhrzeit|end|ora|time berlin",
        60: "open time|time open|opening time|start|start time|created at|begin",
        30: "now|now timestamp|fetched at",
    },
    "symbol": {
        100: "symbol|ticker|coin symbol|ticker symbol|token symbol|asset symbol|symbole|simbolo|kurzel|symbool|sigla",
        70: "asset|base asset|base currency|base|coin|crypto|token|code|asset code|criptomoeda|criptomoneda|"
        "kryptowahrung"
        "|cryptocurrency|kuerzel|crypto currency|coin code|moeda|moneda|monnaie|wahrung|waehrung",
        60: "pair|market|instrument|product|product id|trading pair|currency pair|symbol pair|par|"
        "instrument name|paire|currency",
    },
    "name": {
        100: "name|coin name|full name|asset name|token name|nombre|nome|nom|bezeichnung|naam|currency name|"
        "cryptocurrency name|crypto name",
        50: "coin|asset|crypto|token|cryptocurrency|kryptowahrung|criptomoeda|criptomoneda|cryptomonnaie|"
        "crypto currency",
    },
    "external_id": {100: "id|slug|coin id|asset id|ticker id|external id|coingecko id|token id|coin slug|asset slug"},
    "market_cap_usd": {
        100: "market cap|marketcap|mcap|mkt cap|market capitalization|market capitalisation|marktkapitalisierung|"
        "capitalizacao de mercado|capitalizacao|capitalizacion de mercado|capitalizacion|capitalisation boursiere|"
        "capitalisation|capitalizzazione|capitalizzazione di mercato|cap|valor de mercado|cap de mercado|"
        "capitalizacao mercado|marktkap|marktwert|market value|marktkapitalisatie|current market cap",
    },
    "volume_24h_usd": {
        100: "volume 24h|24h volume|total volume|volume 24 h|24 h volume|volume24h|24hr volume|volume 24hr|"
        "vol 24h|24h vol"
        "|volumen 24h|daily volume|24 hour volume|volume 1d|volume 24 hours|volume last 24 hours|umsatz 24h",
        80: "volume|vol|volumen|umsatz|handelsvolumen|trading volume|volume negociado|volume quote|quote volume|"
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
        100: "circulating supply|available supply|umlaufende menge|umlaufmenge|oferta circulante|suministro circulante|"
        "offre en circulation|circulating|supply circulating|fornecimento circulante|suministro en circulacion",
    },
    "currency": {
        100: "vs currency|quote currency|price currency|quote asset|quote currency code|fiat currency|counter currency",
        80: "currency|currency code|quote|fiat|wahrung|waehrung|moeda|moneda|devise|valuta|divisa|unit|einheit",
    },
}  # fmt: skip
_KNOWN = {
    field: {phrase: score for score, text in scores.items() for phrase in text.split("|")}
    for field, scores in _PHRASES.items()
}
# A whole date, with the same sign, or none, between its parts.
_DATE = re.compile(r"(?<![0-9])20[0-9]{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])")
# Signs in names of columns, as words.
_SIGNS = re.compile(r"(?i:us)\$|\b[A-Z]\$|[%$\u20ac\u00a3]")
_WORDS = {"%": "pct", "US$": "usd", "$": "usd", "R$": "brl", "A$": "aud", "C$": "cad", "\u20ac": "eur", "\u00a3": "gbp"}
# Words that make a price another thing than the price.
_OTHER_PRICES = frozenset({
    "open", "high", "low", "change", "ath", "atl", "percent", "pct", "min", "max", "bid", "ask", "return", "prev",
    "previous",
})  # fmt: skip


@frozen(kw_only=True)
class Meaning:
    """What a column's name says: the fields that it may be, the better the higher, and the currency in it."""

    scores: Mapping[str, int]
    currency: str = ""

    def score(self, field: str) -> int:
        """How well it fits a field; 0 is not at all."""
        return self.scores.get(field, 0)


@frozen(kw_only=True)
class FileName:
    """What a file's name says: a symbol, the currency of a pair, a date; each '' where nothing does.

    `symbol_text` and `date_text` are how they are written there.
    """

    symbol: str = ""
    symbol_text: str = ""
    currency: str = ""
    name: str = ""
    date_text: str = ""


def _spell(sign: re.Match[str]) -> str:
    return f" {_WORDS.get(sign[0].upper(), sign[0])} "


def words(name: str) -> list[str]:
    """A column's name as plain small words: `Marktkapitalisierung (USD)`, `marketCap`, `price_usd`, `Préço`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", " ", _SIGNS.sub(_spell, name))
    plain = unicodedata.normalize("NFKD", split.casefold().replace("\u00df", "ss"))
    return re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def meaning(name: str) -> Meaning:
    """What a column's name says."""
    found = words(name)
    currency = next((word for word in found if word in FIAT | STABLE), "")
    full, bare = " ".join(found), " ".join(word for word in found if word not in FIAT | STABLE)
    scores = {}
    for field, phrases in _KNOWN.items():
        text = full if field == "currency" or full in phrases else bare
        if field == "price_usd" and not text and not currency:
            continue
        if field == "change_24h_pct":
            text = " ".join(word for word in text.split() if word not in ("pct", "percent", "percentage"))
        if (score := phrases.get(text)) is not None:
            scores[field] = score
    if name.strip() in ("#", "No.", "Nr.", "\u2116"):
        scores["rank"] = 50
    if not scores and "price" in found and not _OTHER_PRICES & set(found):
        scores["price_usd"] = 30
    return Meaning(scores=scores, currency="eur" if currency == "euro" else currency)


def pair(text: str) -> tuple[str, str] | None:
    """The coin and the currency of a pair such as BTC/USD, btc-usd or ETHUSDT; None for what has two cuts."""
    parts = re.split(r"[-/_: ]", text.strip())
    if len(parts) == 2 and parts[0].isalnum() and parts[1].casefold() in FIAT | STABLE | _QUOTES:
        return parts[0], parts[1]
    if len(parts) != 1 or not re.fullmatch(r"[A-Z0-9]{5,14}|[a-z0-9]{5,14}", parts[0]):
        return None
    cuts = [(parts[0][: -len(quote)], parts[0][-len(quote) :]) for quote in ("usd", "eur", *sorted(STABLE))
            if parts[0].casefold().endswith(quote) and len(parts[0]) - len(quote) >= 2]  # fmt: skip
    known = [each for each in cuts if each[0].upper() in COINS]
    return (known or cuts)[0] if len(known or cuts) == 1 else None


def file_name(path: PurePath) -> FileName:
    """What a file's name says."""
    stem = re.sub(r"(\.(csv|txt|tsv|gz))+$", "", path.name, flags=re.IGNORECASE)
    stem = re.sub(r" ?\([0-9]+\)$", "", stem)
    tokens = re.findall(r"[A-Za-z0-9]+", stem)
    pairs = {found for text in _pairs(stem, tokens) if (found := pair(text)) is not None}
    symbol, currency = pairs.pop() if len(pairs) == 1 else ("", "")
    if not symbol:
        coins = {token for token in tokens if token in COINS}
        symbol = coins.pop() if len(coins) == 1 else ""
        # Small letters may be a word, such as try.
        said = {token.casefold() for token in tokens if token.isupper() or token in ("usd", "eur")} & FIAT
        currency = said.pop() if len(said) == 1 else ""
    titles = {title for title in COINS.values() if title.upper() not in COINS and _holds(stem, title)}
    longest = max(titles, key=len, default="")
    dates = [each[0] for each in _DATE.finditer(stem)]
    return FileName(
        symbol=symbol.upper(),
        symbol_text=symbol,
        currency=currency.casefold(),
        name=longest if all(title in longest for title in titles) else "",
        date_text=dates[0] if len(dates) == 1 else "",
    )


def _pairs(stem: str, tokens: Sequence[str]) -> Iterator[str]:
    """Every part of a file's name that may be a pair: of a coin that is known, or one that could be nothing else."""
    if re.fullmatch(r"[A-Z0-9]{2,10}[-_][A-Z0-9]{3,5}", stem):
        yield stem
    yield from (token for token in tokens if re.fullmatch(r"[A-Z0-9]+USDT", token) or _known(pair(token)))
    yield from (f"{one}-{other}" for one, other in pairwise(tokens) if one.upper() in COINS)


def _known(found: tuple[str, str] | None) -> bool:
    return found is not None and found[0].upper() in COINS


def _holds(stem: str, title: str) -> bool:
    plain = re.sub("[-_.]", " ", stem)
    return re.search(rf"(?<![A-Za-z]){re.escape(title)}(?![A-Za-z])", plain, re.IGNORECASE) is not None
