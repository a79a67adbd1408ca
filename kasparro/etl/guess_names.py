"""What does a name mean? Column names in several languages, the currencies in them, and symbols in the names of files.

Only words that are known say anything; a name that is not known is nobody's.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import PurePath

from attrs import evolve, frozen

from kasparro.etl import currencies

# What a pair may be priced in besides.
_QUOTES = frozenset({"btc", "eth", "bnb", "xbt"})
# Words of a column's name that say in what its numbers are, besides currencies; and how many of the unit one is.
_COIN_UNITS = _QUOTES | {"sat", "sats", "satoshi", "satoshis"}
_SCALES = {
    "cent": "0.01", "cents": "0.01", "tsd": "1000", "tausend": "1000", "thousand": "1000", "thousands": "1000",
    "mio": "1000000", "million": "1000000", "millions": "1000000", "millionen": "1000000", "mrd": "1000000000",
    "milliarden": "1000000000",
}  # fmt: skip
# Words that only join the currency to the rest: `Preis in Euro`.
_JOINING = frozenset({"in", "en", "em", "us", "american", "hundred"})
# Characters of a line that a message shows.
_SHOWN = 60
_SYMBOL = re.compile(r"(?i:symbol|ticker|coin|asset|kürzel)\W{1,4}([A-Z0-9]{2,10})\b")
# What a pair without a sign between its parts is priced in where the coin is none of the known ones.
_USUAL_QUOTES = currencies.STABLE | {"usd", "eur"}
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
# Words that make a price another thing than the price.
_OTHER_PRICES = frozenset({
    "open", "high", "low", "change", "ath", "atl", "percent", "pct", "min", "max", "bid", "ask", "return", "prev",
    "previous",
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


@frozen(kw_only=True)
class Said:
    """What a file's name, or a line above its header, says: a symbol, a date, currencies; '' where nothing does.

    `symbol_text` and `date_text` are how they are written in the name; `where` is what says something of currencies.
    """

    symbol: str = ""
    symbol_text: str = ""
    currencies: frozenset[str] = frozenset()
    name: str = ""
    date_text: str = ""
    where: str = ""
    file: str = ""

    def merged(self, notes: Iterable["Said"]) -> "Said":
        """The same with what lines say too; no symbol where they contradict it, or each other."""
        everything = (self, *notes)
        symbols = {each.symbol for each in everything if each.symbol}
        symbol = symbols.pop() if len(symbols) == 1 else ""
        return evolve(
            self,
            symbol=symbol,
            symbol_text=self.symbol_text if symbol else "",
            currencies=frozenset().union(*(each.currencies for each in everything)),
            where=" and ".join(each.where for each in everything if each.currencies),
        )

    @property
    def currency(self) -> str:
        """The one currency, '' where there are several."""
        return next(iter(self.currencies)) if len(self.currencies) == 1 else ""


def words(name: str) -> list[str]:
    """A column's name as plain small words: `Marktkapitalisierung (USD)`, `marketCap`, `price_usd`, `Préço`."""
    split = currencies.spelled(name.replace("%", " pct "))
    plain = unicodedata.normalize("NFKD", split.casefold().replace("\u00df", "ss"))
    return re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


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
    if not scores and "price" in found and not _OTHER_PRICES & set(found):
        scores["price_usd"] = 30
    others = [each for each in (*said, *coins) if each != "usd"]
    return Meaning(
        scores=scores, currency=others[0] if others else "usd" if said else "", scale=_SCALES.get(scale, ""),
    )  # fmt: skip


def pair(text: str) -> tuple[str, str] | None:
    """The coin and the currency of a pair such as BTC/USD, btc-usd or ETHUSDT; None for what has two cuts."""
    parts = re.split(r"[-/_: ]", text.strip())
    if len(parts) == 2 and parts[0].isalnum() and is_quote(parts[1]):
        return parts[0], parts[1]
    if len(parts) != 1 or not re.fullmatch(r"[A-Z0-9]{5,14}|[a-z0-9]{5,14}", parts[0]):
        return None
    cuts = [(parts[0][:cut], parts[0][cut:]) for cut in range(2, len(parts[0]) - 2) if is_fiat(parts[0][cut:])]
    known = [each for each in cuts if each[0].upper() in COINS]
    cuts = known or [each for each in cuts if each[1].casefold() in _USUAL_QUOTES]
    return cuts[0] if len(cuts) == 1 else None


def is_fiat(word: str) -> bool:
    """Whether a word is the code of a currency of a country, or of a token that follows the dollar."""
    plain = word.casefold()
    return plain in currencies.STABLE or (plain in currencies.CODES and bool(currencies.code(word)))


def is_quote(word: str) -> bool:
    """Whether a price may be in that."""
    return is_fiat(word) or word.casefold() in _QUOTES


def file_name(path: PurePath) -> Said:
    """What a file's name says."""
    stem = re.sub(r"(\.(csv|txt|tsv|gz))+$", "", path.name, flags=re.IGNORECASE)
    stem = re.sub(r" ?\([0-9]+\)$", "", stem)
    tokens = re.findall(r"[A-Za-z0-9]+", stem)
    pairs = _pairs(stem, tokens)
    symbol = next(iter(pairs))[0] if len(pairs) == 1 else ""
    if not symbol:
        coins = {token for token in tokens if token in COINS}
        symbol = coins.pop() if len(coins) == 1 else ""
    titles = {title for title in COINS.values() if title.upper() not in COINS and _title(title).search(stem)}
    longest = max(titles, key=len, default="")
    dates = [each[0] for each in _DATE.finditer(stem)]
    return Said(
        symbol=symbol.upper(),
        symbol_text=symbol,
        currencies=_currencies(stem, pairs),
        name=longest if all(title in longest for title in titles) else "",
        date_text=dates[0] if len(dates) == 1 else "",
        where="the name of the file",
        file=path.name,
    )


def note(line: str) -> Said:
    """What a line above a file's header says; a coin only as a pair, or where it is called one."""
    pairs = _pairs("", re.findall(r"[A-Za-z0-9]+", line))
    symbols = {coin.upper() for coin, _ in pairs} | {each[1] for each in _SYMBOL.finditer(line)}
    symbols = {coin for each in symbols for coin, _ in [pair(each) or (each, "")]}
    symbol = symbols.pop() if len(symbols) == 1 else ""
    return Said(symbol=symbol, currencies=_currencies(line, pairs), where=f"the line {line.strip()[:_SHOWN]!a}")


def _currencies(text: str, pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    """All currencies in a text, those of its pairs too; the name of a coin such as USD Coin is none."""
    for title in COINS.values():
        text = _title(title).sub(" ", text) if title else text
    return frozenset((*currencies.named(text.replace("_", " ")), *(quote.casefold() for _, quote in pairs)))


def _pairs(stem: str, tokens: Sequence[str]) -> set[tuple[str, str]]:
    """Every part of a file's name that is a pair: of a coin that is known, or one that could be nothing else."""
    texts = [stem] if re.fullmatch(r"[A-Z0-9]{2,10}[-_][A-Z0-9]{3,5}", stem) else []
    texts += [token for token in tokens if re.fullmatch(r"[A-Z0-9]+USDT", token) or _known(pair(token))]
    texts += [f"{one}-{other}" for one, other in pairwise(tokens) if one.upper() in COINS]
    return {found for text in texts if (found := pair(text)) is not None}


def _known(found: tuple[str, str] | None) -> bool:
    return found is not None and found[0].upper() in COINS


@cache
def _title(title: str) -> re.Pattern[str]:
    parts = r"[-_. ]".join(map(re.escape, title.split()))
    return re.compile(rf"(?<![A-Za-z]){parts}(?![A-Za-z])", re.IGNORECASE)
