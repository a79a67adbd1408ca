"""Do two field names say the same? Their words are compared, after case, separators, nesting and synonyms are gone.

Words that carry meaning in market data must be the same on both sides: price_usd is not price_eur, high_24h is not
low_24h, and a market cap's rank is no market cap. Only the remaining words may merely look alike.
"""

import re
import unicodedata

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from kasparro.etl import currencies

# Both names say the same, word by word; or one of them says US dollars where the other says nothing.
SAME, SAME_IN_DOLLARS = 1.0, 0.95
# At most, where the old name says US dollars and the new one does not: the currency may be what changed.
_DOLLARS_LOST = 0.7
# Two names whose words contradict each other; and at most, where one says more than the other.
_CONTRADICTION, _MORE = 0.1, 0.5
# At most, for names that look alike without saying the same: alpha_score is much like beta_score.
_ALIKE = 0.7

_WORD = re.compile(r"\d+(?:min|hrs?|[smhdwy])(?![a-z])|\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_PERIOD = re.compile(r"\d+(?:min|[smhdwy])")
_SYNONYMS = {
    "capitalization": "cap", "capitalisation": "cap", "mcap": "market cap", "mktcap": "market cap", "mkt": "market",
    "marketcap": "market cap", "vol": "volume", "turnover": "volume", "px": "price", "prc": "price", "quote": "price",
    "ticker": "symbol", "sym": "symbol", "title": "name", "label": "name", "identifier": "id",
    "pct": "percent", "perc": "percent", "percentage": "percent", "chg": "change", "delta": "change",
    "ts": "time", "timestamp": "time", "datetime": "time", "date": "time", "modified": "time", "update": "time",
    "updated": "time", "refreshed": "time", "circ": "circulating", "available": "circulating",
    "ranking": "rank", "position": "rank",
    "dollar": "usd", "maximum": "max", "minimum": "min", "average": "avg", "mean": "avg", "previous": "prev",
    "img": "image", "logo": "image", "icon": "image", "address": "contract", "24": "24h", "24hr": "24h", "1d": "24h",
    "day": "24h", "daily": "24h", "hourly": "1h", "weekly": "7d", "1w": "7d", "link": "url", "website": "url",
    "homepage": "url",
}  # fmt: skip
# Words that add nothing: what is read is a current value of a coin anyway.
_EMPTY = frozenset({
    "current", "latest", "last", "now", "spot", "value", "amount", "coin", "asset", "crypto", "the", "in", "of", "at",
    "over", "by", "is", "as",
})  # fmt: skip
# Objects that only group fields; their names, as parts of a path before the last, add nothing.
_GROUPS = frozenset({
    "quote", "data", "item", "result", "attribute", "market", "metric", "info", "detail", "ticker", "stat", "field",
    "value", "payload", "meta", "metadata", "summary", "row", "record", "coin", "asset", "currency",
})  # fmt: skip
_CURRENCIES = currencies.CODES | currencies.STABLE | {"btc", "eth", "bnb", "sats", "sat", "fiat", "cent"}
# Words that make another field of a field, beside currencies and periods.
_MEANINGS = _CURRENCIES | {
    "price", "volume", "market", "cap", "supply", "rank", "symbol", "name", "id", "time", "created", "change",
    "percent", "high", "low", "open", "close", "avg", "median", "min", "max", "ath", "atl", "prev", "first",
    "start", "end", "bid", "ask", "buy", "sell", "vwap", "twap", "total", "circulating", "diluted", "fully",
    "locked", "staked", "burned", "count", "ratio", "dominance", "weight", "score", "index", "adjusted",
    "estimated", "raw", "image", "url", "contract", "type", "platform", "chain", "trade", "base", "currency",
    "beta", "number", "liquidity", "tvl", "yield", "return", "fee", "spread", "depth", "share", "flag", "active",
    "new", "old", "added", "listed", "launch", "real", "reported", "theoretical",
}  # fmt: skip


def likeness(one: str, other: str) -> float:
    """From 0 to 1, how much the path `other`, which came after `one`, says the same; SAME only when it does."""
    mine, theirs = _meaning(one), _meaning(other)
    if mine == theirs or _squashed(one) == _squashed(other) != "":
        return SAME
    more, less = set(mine) - set(theirs), set(theirs) - set(mine)
    if more | less == {"usd"}:
        return _DOLLARS_LOST if more else SAME_IN_DOLLARS
    alike = max(
        fuzz.token_sort_ratio(" ".join(mine), " ".join(theirs)) / 100,
        JaroWinkler.normalized_similarity("".join(mine), "".join(theirs)),
    )
    mine_mean, theirs_mean = any(map(_means, more)), any(map(_means, less))
    if mine_mean and theirs_mean:
        return _CONTRADICTION
    return float(min(alike, _MORE if mine_mean or theirs_mean else _ALIKE))


def _meaning(path: str) -> tuple[str, ...]:
    """The words of a path that carry meaning, sorted; all of its last name's where none does."""
    *outer, leaf = path.split(".")
    grouping = [word for name in outer for word in _words(name) if word not in _GROUPS]
    last = _words(leaf)
    plain = {each for word in (*grouping, *last) for each in _SYNONYMS.get(word, word).split()} - _EMPTY
    if "cap" in plain:
        plain.add("market")
    if "volume" in plain:
        # Whether they say so or not, upstreams mean the sum of a day.
        plain -= {"total", "24h"}
    if {"change", "percent"} <= plain:
        plain.discard("price")
    return tuple(sorted(plain or set(last)))


def _words(name: str) -> list[str]:
    return [_singular(word.casefold()) for word in _WORD.findall(_unaccented(name))]


def _unaccented(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))


def _squashed(path: str) -> str:
    """A path without case and separators: what is left where words were written together."""
    return "".join(sign for sign in _unaccented(path).casefold() if sign.isalnum())


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "hrs")) else word


def _means(word: str) -> bool:
    return word in _MEANINGS or bool(_PERIOD.fullmatch(word)) or word.isdecimal() or len(word) <= 2
