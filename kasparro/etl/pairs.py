"""Which coin, and which currency, does a text name? Pairs such as BTC/USD, the names of files, lines above a header.

Only what can be nothing else is a coin; but every currency counts, for prices in another one are never dollars.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import pairwise
from pathlib import PurePath

from attrs import evolve, frozen

from kasparro.etl import currencies, tickers

# Words in capitals that stand before a currency in the names of files, and are no coins.
_NO_COINS = frozenset({
    "ALL", "ARCHIVE", "ASSETS", "BINANCE", "CANDLES", "CHART", "CLOSE", "COIN", "COINBASE", "COINS", "CRYPTO",
    "DAILY", "DATA", "EXPORT", "FILE", "HISTORY", "HOURLY", "IN", "KRAKEN", "MARKET", "OHLC", "OHLCV", "PRICE",
    "PRICES", "QUOTES", "RATES", "SPOT", "TABLE", "TOKENS",
})  # fmt: skip
# Words beside a coin's symbol that make it another one, or none.
_VARIANTS = frozenset({
    "wrapped", "staked", "bridged", "gold", "classic", "cash", "sv", "diamond", "private", "bull", "bear", "hedge",
    "short", "leverage", "leveraged", "flexible", "index", "lp", "pool", "peg", "pegged", "name", "service",
    "liquid", "2x", "3x",
})  # fmt: skip
# Words that leave a coin the coin that it is: any other may be of a longer name, such as Bitcoin Gold.
_PLAIN = frozenset({
    "price", "prices", "history", "historical", "data", "daily", "hourly", "weekly", "monthly", "yearly", "chart",
    "kurs", "kurse", "kursverlauf", "cours", "precio", "export", "download", "max", "all", "full", "coin", "coins",
    "crypto", "market", "cap", "usd", "to", "vs", "and", "in", "of", "for", "from", "ohlc", "ohlcv", "candles",
    "quotes", "rate", "rates", "day", "days", "year", "years", "min", "spot", "csv", "coinbase", "kraken",
    "bitstamp", "bitfinex", "gemini", "coingecko", "coinmarketcap", "coinpaprika", "yahoo", "investing", "jan",
    "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
})  # fmt: skip
# What others are priced in before these are: BTC is priced in USDT, not USDT in BTC, whatever comes first in a name.
_PRICED_IN = {
    "btc": 2, "xbt": 2, "wbtc": 2, "eth": 1, "weth": 1, "bnb": 0, "wbnb": 0,
    **dict.fromkeys((*currencies.STABLE, "eurt", "eurc", "euri", "eurs"), 3),
}  # fmt: skip
# What a pair may be priced in besides: coins, and tokens that follow the euro.
_QUOTES = frozenset({"btc", "eth", "bnb", "xbt", "wbtc", "weth", "wbnb", "eurt", "eurc", "euri", "eurs"})
# What a pair without a sign between its parts is priced in where the coin is none of the known ones.
_USUAL_QUOTES = currencies.STABLE | {"usd", "eur"}
# How a word in capitals ends that is a pair of whatever coin.
_ENDS_AS_PAIR = re.compile("[A-Z0-9]{3,}?(EUR|GBP|JPY|KRW|CHF|INR|BRL|BTC|ETH|BNB)")
# Words between a coin and what it is priced in; and codes that are words in the names of files, unless after a coin.
_PRICED = frozenset({"in", "per", "vs", "versus", "against", "to"})
_ONLY_IN_PAIRS = frozenset({"try", "rub", "ron", "php", "cop", "sar"})
_NO_CURRENCIES = frozenset({"all", "top"})
# A whole date, with the same sign, or none, between its parts.
_DATE = re.compile(r"(?<![0-9])20[0-9]{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])")
# Folders above a file that say something of it, at most, where its path is a whole one: further up stand people.
_FOLDERS = 3
# Characters of a line that a message shows.
_SHOWN = 60
_SYMBOL = re.compile(r"(?i:symbol|ticker|coin|asset|kürzel)\W{1,4}([A-Z0-9]{2,10})\b")


@frozen(kw_only=True)
class Said:
    """What a file's name, or a line above its header, says: a symbol, a date, currencies; '' where nothing does.

    Of the currencies, coins too, the last is the one that prices are in. `symbol_text` and `date_text` are how they
    are written in the name; `where` is what says something of currencies. `disputed` are the symbols, where they are
    several.
    """

    symbol: str = ""
    symbol_text: str = ""
    currencies: tuple[str, ...] = ()
    name: str = ""
    date_text: str = ""
    where: str = ""
    file: str = ""
    disputed: str = ""

    def merged(self, notes: Iterable["Said"]) -> "Said":
        """The same with what lines say too; no symbol where they contradict it, or each other."""
        everything = (self, *notes)
        symbols = {each.symbol for each in everything if each.symbol}
        symbol = min(symbols) if len(symbols) == 1 else ""
        return evolve(
            self,
            symbol=symbol,
            symbol_text=self.symbol_text if symbol else "",
            disputed=", ".join(sorted(symbols)) if len(symbols) > 0 and not symbol else "",
            currencies=tuple(word for each in everything for word in each.currencies),
            where=" and ".join(each.where for each in everything if each.currencies),
        )

    @property
    def currency(self) -> str:
        """The one currency, '' where there are several."""
        return self.currencies[0] if len({*self.currencies}) == 1 else ""


def pair(text: str) -> tuple[str, str] | None:
    """The coin and the currency of a pair such as BTC/USD, btc-usd or ETHUSDT; None for what has two cuts."""
    parts = re.split(r"[-/_: ]", text.strip())
    if len(parts) == 2 and parts[0].isalnum() and is_quote(parts[1]):
        return parts[0], parts[1]
    glued = re.fullmatch(r"[A-Z0-9]{5,14}|[a-z0-9]{5,14}", parts[0])
    if len(parts) != 1 or not glued or parts[0].upper() in tickers.CALLED_AS_PAIRS:
        return None
    cuts = [(parts[0][:cut], parts[0][cut:]) for cut in range(2, len(parts[0]) - 2)]
    known = [(coin, quote) for coin, quote in cuts if tickers.ticker(coin.upper()) in tickers.COINS
             and (is_quote(quote) or quote in _ONLY_IN_PAIRS)]  # fmt: skip
    cuts = known or [each for each in cuts if each[1].casefold() in _USUAL_QUOTES and is_fiat(each[1])]
    return cuts[0] if len(cuts) == 1 else None


def is_fiat(word: str) -> bool:
    """Whether a word is the code of a currency of a country, or of a token that follows the dollar."""
    plain = word.casefold()
    return plain in currencies.STABLE or (plain in currencies.CODES and bool(currencies.code(word)))


def is_quote(word: str) -> bool:
    """Whether a price may be in that."""
    return is_fiat(word) or word.casefold() in _QUOTES


def coins(path: PurePath) -> frozenset[str]:
    """Every coin that a file may be of by its name: in a pair, or the only thing that it says."""
    stem, tokens = _parts(path.name)
    pairs = _pairs(stem, tokens)
    # Which is which in a pair that is the wrong way round is not known.
    found = {each for pair in pairs for each in (pair if _is_reversed(pair) else pair[:1])}
    found = {each for each in found if each.casefold() not in currencies.CODES}
    words = {each for at, each in enumerate(tokens) if tickers.is_coin(each) and _is_plain(tokens, at, at + 1)}
    return frozenset(tickers.coin(tickers.ticker(each.upper())) for each in found or words | _titles(stem))


def mentions(path: PurePath) -> frozenset[str]:
    """Every known coin that a file's name has in it, by itself or first in a pair."""
    words = re.findall(r"[^\W_]+", tickers.with_symbols(_parts(path.name)[0].replace("_", " ")))
    bases = [found[0] for found in map(pair, words) if found]
    known = (tickers.ticker(each.upper()) if each.isupper() else each for each in (*words, *bases))
    return frozenset(tickers.coin(each) for each in known if tickers.is_coin(each))


def names(path: PurePath, word: str) -> bool:
    """Whether a file's name has this word, or these, in it."""
    beside = r"[^A-Za-z0-9]"
    parts = f"{beside}+".join(map(re.escape, re.split(f"{beside}+", word)))
    return re.search(f"(?:^|{beside}){parts}(?:$|{beside})", path.name, re.IGNORECASE) is not None


def _is_reversed(pair: tuple[str, str]) -> bool:
    """Whether a pair such as USD-BTC or USDT_BTC has its currency first."""
    base, quote = (_PRICED_IN.get(each.casefold(), 4 if each.casefold() in currencies.CODES else -1) for each in pair)
    return base > quote


def _is_alone(tokens: Sequence[str], at: int) -> bool:
    """Whether no word beside this one makes it another coin."""
    return not {each.casefold() for each in (*tokens[max(at - 1, 0) : at], *tokens[at + 1 : at + 2])} & _VARIANTS


def _is_plain(tokens: Sequence[str], start: int, end: int) -> bool:
    """Whether all other words are known, and leave these the coin that they are."""
    others, own = (*tokens[:start], *tokens[end:]), tickers.coin(" ".join(tokens[start:end]))
    return all(len(each) == 1 or each.isdecimal() or each.casefold() in _PLAIN or is_fiat(each)
               or tickers.coin(each) == own or re.fullmatch("[0-9]+[A-Za-z]", each) for each in others)  # fmt: skip


def _parts(name: str) -> tuple[str, list[str]]:
    """A file's name without what follows a point or counts downloads, and its words."""
    stem = re.sub(r"(\.(csv|txt|tsv|gz))+$", "", name, flags=re.IGNORECASE)
    stem = re.sub(r" ?\([0-9]+\)$", "", stem)
    return stem, re.findall(r"[A-Za-z0-9]+", stem)


def _titles(stem: str) -> set[str]:
    """The coins that a file's name calls by their names, with no other word of a name beside it."""
    tokens = re.findall("[A-Za-z]+|[0-9]+", stem)
    small, found = [each.casefold() for each in tokens], set()
    for title in (each for each in tickers.COINS.values() if each and each.upper() not in tickers.COINS):
        parts = title.casefold().split()
        starts = [at for at in range(len(small)) if small[at : at + len(parts)] == parts]
        found |= {title for at in starts if _is_plain(tokens, at, at + len(parts))}
    return found


def file_name(path: PurePath) -> Said:
    """What a file's name says."""
    stem, tokens = _parts(path.name)
    pairs = _pairs(stem, tokens)
    symbol = tickers.ticker(next(iter(pairs))[0]) if len(pairs) == 1 else ""
    if any(map(_is_reversed, pairs)):
        # What USD-BTC holds are no prices of the dollar; nor are they said to be those of the other one.
        symbol = ""
    elif not symbol:
        coins = {token for at, token in enumerate(tokens) if token in tickers.COINS and _is_alone(tokens, at)}
        symbol = coins.pop() if len(coins) == 1 else ""
    titles = _titles(stem)
    longest = max(titles, key=len, default="")
    dates = [each[0] for each in _DATE.finditer(stem)]
    where, words = next(priced_in(path), ("", ()))
    return Said(
        symbol=symbol.upper(),
        symbol_text=symbol,
        currencies=words,
        name=longest if all(title in longest for title in titles) else "",
        date_text=dates[0] if len(dates) == 1 else "",
        where=where,
        file=path.name,
    )


def note(line: str) -> Said:
    """What a line above a file's header says; a coin only as a pair, or where it is called one."""
    pairs = _pairs("", re.findall(r"[A-Za-z0-9]+", line))
    symbols = {tickers.ticker(coin.upper()) for coin, _ in pairs} | {each[1] for each in _SYMBOL.finditer(line)}
    symbols = {coin for each in symbols for coin, _ in [pair(each) or (each, "")]}
    symbol = symbols.pop() if len(symbols) == 1 else ""
    return Said(symbol=symbol, currencies=tuple(_priced(line, pairs)), where=f"the line {line.strip()[:_SHOWN]!r}")


def priced_in(path: PurePath, *, listed: bool = False) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What says in what prices are, the file's name, then its nearest folders; and what it says: the last word counts.

    Where rows say which coins a file is of, BTC_ETH may be `listed` in its name. A folder says only what is a currency
    and hardly anything else: mnt is no tugrik.
    """
    folders = path.parent.parts[-_FOLDERS if path.is_absolute() else 0 :]
    for level, name in enumerate((path.name, *reversed(folders))):
        stem, tokens = _parts(name) if not level else (name, re.findall(r"[A-Za-z0-9]+", name))
        found = tuple(_priced(stem, _pairs(stem, tokens), listed=listed))
        if level:
            found = tuple(each for each in found if each not in currencies.CODES - currencies.MAJOR)
        if found:
            yield f"the folder {name!r}" if level else "the name of the file", found


def _priced(text: str, pairs: Set[tuple[str, str]], *, listed: bool = False) -> Iterator[str]:
    """All that prices are said to be in, coins too, in order; the name of a coin such as USD Coin is no currency."""
    text = tickers.with_symbols(text)
    words = ["", "", *re.findall(r"[^\W_]+", currencies.spelled(text.replace("_", " "))), ""]
    for beyond, before, word, behind in zip(words, words[1:], words[2:], words[3:], strict=False):
        plain = word.casefold()
        if plain in _NO_CURRENCIES:
            continue
        if named := currencies.named(word):
            yield from named
        elif cut := _cut(word, pairs):
            yield cut.casefold()
        elif _is_priced(before, word):
            yield plain
        elif (before, word) in pairs:
            reverse, beside = _is_reversed((before, word)), tickers.is_coin(beyond) or tickers.is_coin(behind)
            both = plain in _QUOTES and before.casefold() not in currencies.STABLE
            if not (both and (beside or (listed and reverse))):
                yield from (plain, before.casefold()) if reverse else (plain,)


def currencies_beside(text: str) -> list[str]:
    """The currencies, but for the dollar, and coins that a column's name says beside the coin that it is of."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return [*currencies.foreign(text), *(word for word in words if word in _QUOTES | currencies.STABLE)]


def _is_priced(before: str, word: str) -> bool:
    """Whether one word says that prices are in the other, as in `ETH in BTC`."""
    plain = word.casefold()
    if before.casefold() in _PRICED:
        return plain in currencies.STABLE | _QUOTES or tickers.is_coin(word)
    return plain in _ONLY_IN_PAIRS and tickers.is_coin(before)


def _cut(word: str, pairs: Set[tuple[str, str]]) -> str:
    """What a pair without a sign between its parts is priced in, '' for what is no pair."""
    found, ends, base = pair(word), _ENDS_AS_PAIR.fullmatch(word), word[:-3]
    if found is not None and found in pairs:
        return found[1]
    no_pair = word in tickers.CALLED_AS_PAIRS or base in _NO_COINS or base.isdecimal()
    return ends[1] if ends and not no_pair else ""


def _pairs(stem: str, tokens: Sequence[str]) -> set[tuple[str, str]]:
    """Every part of a file's name that is a pair: of a coin that is known, or one that could be nothing else."""
    texts = [stem] if re.fullmatch(r"[A-Z0-9]{2,10}[-_][A-Z0-9]{3,5}", stem) else []
    texts += [stem.removesuffix("-max")] if re.fullmatch(r"[a-z0-9]{2,10}-[a-z]{3}-max", stem) else []
    texts += [token for token in tokens if re.fullmatch(r"[A-Z0-9]+USDT", token) or _known(pair(token))]
    texts += [f"{one}-{other}" for at, (one, other) in enumerate(pairwise(tokens))
              if (one.upper() in tickers.COINS and _is_alone(tokens, at))
              or (stem and is_fiat(one) and other.casefold() in _QUOTES)]  # fmt: skip
    found = filter(None, map(pair, texts))
    return {each for each in found if each[0].upper() not in _NO_COINS and not each[0].isdecimal()}


def _known(found: tuple[str, str] | None) -> bool:
    return found is not None and tickers.ticker(found[0].upper()) in tickers.COINS
