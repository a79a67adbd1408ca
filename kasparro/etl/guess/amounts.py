"""Which columns hold the price and the other numbers of a quote? Chosen by name and content, with the reason.

What could be wrong data is left undecided: the entry then has a placeholder, and says what to fill in.
"""

import re
from collections.abc import Iterator, Sequence

from attrs import evolve

from kasparro.etl import currencies, number_text, tickers
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess import digits, vocabulary
from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.keys import Choice, Entry, nulls, number_keys, quoted, table, text, undecided
from kasparro.etl.values import BadValueError

OPTIONAL = ("market_cap_usd", "volume_24h_usd", "change_24h_pct", "rank", "circulating_supply")
# Those of which a zero mostly says that they are not known, where most are as large as this.
_NEVER_ZERO = frozenset({"market_cap_usd", "volume_24h_usd"})
_MILLION = 1_000_000
# What billions are shortened to where they may be either: in English they are thousand millions.
_LONG_SCALE = re.compile(r"[0-9]\s?(?:bn?|bi)\b", re.IGNORECASE)
# What may stand behind the name of a coin.
_IN_DOLLARS = re.compile(r"\W*(?:usd|us\$|\$)\W*$", re.IGNORECASE)
# Columns of opening, high, low and closing price.
_CANDLE = 4
# How much higher the high of a candle is than its low, at most: what differs more is a volume beside prices.
_WIDEST_CANDLE = 20


def price(columns: Sequence[Column]) -> Choice:
    """The column of prices: in dollars before those that do not say, in another currency last."""
    ranks = {"usd": 3, "": 2}
    found = sorted(
        (each for each in columns if each.score("price_usd") and _is_amount(each)),
        key=lambda each: (-ranks.get(each.meaning.currency, each.meaning.currency in currencies.STABLE),
                          -each.score("price_usd"), each.number),
    )  # fmt: skip
    if not found:
        named = [each for each in columns if each.score("price_usd") and each.numbers is not None]
        if named:
            return undecided("price_usd", _no_price(named[0]))
        words = [each for each in columns if each.score("price_usd") and each.kind == "text"]
        odd = next((cell for each in words for cell in each.distinct if not digits.is_number(cell)), "")
        return (
            undecided("price_usd", f"{quoted(words)} holds {odd!a}, no number: mend it")
            if odd
            else _unnamed_price(columns)
        )
    best, others = found[0], found[1:]
    alike = [each for each in others if each.meaning.currency == best.meaning.currency
             and each.score("price_usd") == best.score("price_usd")]  # fmt: skip
    if alike:
        return undecided("price_usd", f"which of the columns {quoted([best, *alike])} is the price")
    why = f"{best.name!r} is the name of a price" if not others else f"before {quoted(others)}"
    return Choice(entry=Entry(key="price_usd", value="", why=why), columns=(best,), keys=number_keys(best))


def _is_amount(column: Column) -> bool:
    return column.numbers is not None and not column.numbers.negative and not column.numbers.percent


def _no_price(column: Column) -> str:
    """Why a column is no price that is called so."""
    odd = next((each for each in column.distinct if each.lstrip().startswith(("-", "(", "\u2212")) or "%" in each), "")
    return f"{text(column.name)} if it is the price all the same: {odd!a} stands in it, as in no column of prices"


def _unnamed_price(columns: Sequence[Column]) -> Choice:
    """The closing price of four columns of which the second is never below, the third never above the others."""
    numbers = [each for each in columns if _is_amount(each) and (each.times is None or not each.times.type)]
    fours = [columns[start : start + _CANDLE] for start in range(len(columns) - _CANDLE + 1)]
    candles = [four for four in fours if all(each in numbers and not each.meaning.scores for each in four)
               and is_candle(four)]  # fmt: skip
    if len(candles) == 1:
        close = candles[0][3]
        why = "of four columns the second is the highest, the third the lowest: open, high, low, close"
        return Choice(entry=Entry(key="price_usd", value="", why=why), columns=(close,), keys=nulls(close))
    coins = {each.name: coin for each in numbers
             if (coin := tickers.coin(_IN_DOLLARS.sub("", each.name))) in tickers.COINS}  # fmt: skip
    if len(coins) > 1:
        name, coin = next(iter(coins.items()))
        one = f"{text(name)} with symbol = {table(value=coin)}"
        several = "write their symbols into the header, for one map of all; or a map for each, as"
        return undecided("price_usd", f"columns are called by the names of coins: {several} {one}")
    hint = f"; there are numbers in {quoted(numbers[:8])}" if numbers else ""
    return undecided("price_usd", f"which column is the price: no name says so{hint}")


def is_candle(four: Sequence[Column]) -> bool:
    """Whether these columns are opening, high, low and closing prices."""
    rows = list(zip(*(each.texts for each in four), strict=False))
    try:
        values = [tuple(float(cell.replace(",", ".")) for cell in row) for row in rows]
    except ValueError:
        return False
    fitting = (row[1] == max(row) and row[2] == min(row) and row[1] <= row[2] * _WIDEST_CANDLE for row in values)
    return any(row[1] > row[2] for row in values) and all(fitting)


def optional(columns: Sequence[Column], price_column: Column | None, *, daily: bool) -> Iterator[Choice]:
    """The other numbers of a quote; those whose meaning is not sure as proposals."""
    taken = {price_column} if price_column is not None else set()
    for name in OPTIONAL:
        fitting = [each for each in columns if each.score(name) and each.numbers is not None and each not in taken
                   and each.meaning.currency in ("", "usd")]  # fmt: skip
        if not fitting:
            continue
        best = max(fitting, key=lambda each: (each.meaning.currency == "usd", each.score(name), -each.number))
        taken.add(best)
        doubt = _doubt(name, best, columns, daily=daily)
        entry = Entry(key=name, value="", why=doubt, off=bool(doubt))
        keys = number_keys(best)
        if name in _NEVER_ZERO and not doubt and _zero_is_unknown(best):
            entry, keys = (
                evolve(entry, why="0 is taken for unknown, as no other number is less than millions"),
                {**keys, "zero_is_null": True},
            )
        yield Choice(entry=entry, columns=(best,), keys=keys)


def _zero_is_unknown(column: Column) -> bool:
    """Whether there are zeros in a column of which most other numbers are millions."""
    point = column.numbers.point if column.numbers else ""
    plain = number_text.converter(point or ".", unit="usd")
    try:
        found = sorted(float(plain(text)) for text in column.distinct)
    except BadValueError:
        return False
    rest = [each for each in found if each]
    return len(rest) < len(found) and (not rest or rest[len(rest) // 2] >= _MILLION)


def _doubt(name: str, column: Column, columns: Sequence[Column], *, daily: bool) -> str:
    """Why a column may not be what its name suggests, '' where it is."""
    numbers = column.numbers
    if numbers is None or (numbers.negative and name != "change_24h_pct"):
        return "has numbers below zero"
    if numbers.foreign:
        return f"holds another currency: {numbers.foreign}"
    if "," in numbers.point + numbers.doubtful and (long := next(filter(_LONG_SCALE.search, column.distinct), "")):
        return f"the last letters of {long} are taken for 10^9, and may be 10^12"
    if name.endswith("_usd") and not column.meaning.currency and not numbers.dollars:
        foreign = [each for each in columns if each.meaning.currency in currencies.CODES - {"usd"}]
        if foreign:
            return f"in which currency it is, is not said, and {quoted(foreign[:3])} are in others"
    if name == "rank" and not numbers.whole:
        return "ranks are whole numbers"
    if name == "market_cap_usd" and column.score(name) < 100:
        return "it may be the value of a holding"
    words = vocabulary.words(column.name)
    if name == "change_24h_pct":
        percent = numbers.percent or {"pct", "percent", "percentage"} & set(words)
        if column.score(name) < 100 or not percent:
            return "whether it is a change in percent, of 24 hours, is not said"
    if name == "volume_24h_usd" and column.score(name) < 100:
        market = any(each.score("market_cap_usd") and each.numbers is not None for each in columns)
        if not (market or (column.meaning.currency == "usd" and daily)):
            return "whether it counts dollars, and of 24 hours, is not said"
    return ""


def decimal(fields: list[Choice], numbers: Sequence[Column], *, unquoted: bool) -> list[Entry]:
    """The decimal sign of all numbers, where they are not plain; put into `fields` where columns differ in it."""
    used = [each for choice in fields if not choice.entry.off for each in choice.columns if each in numbers]
    used = used or list(numbers)
    found = {each.numbers.point: each.numbers.proof for each in numbers if each.numbers and each.numbers.point}
    conflict = next((each.numbers.conflict for each in used if each.numbers and each.numbers.conflict), "")
    doubtful = next((each.numbers.doubtful for each in used if each.numbers and each.numbers.doubtful), "")
    plain = all(each.numbers is not None and each.numbers.plain for each in used)
    if conflict:
        return [Entry(key="decimal", value=text(UNDECIDED), todo=f"numbers are written in two ways: {conflict}")]
    prices = [each.numbers for choice in fields if choice.entry.key == "price_usd" for each in choice.columns]
    # Where commas part cells a price may still have points between thousands, and no decimals.
    unquoted = unquoted and not any(each and each.doubtful for each in prices)
    if plain and (not doubtful or "." in found or unquoted):
        return []
    if len(found) == 1:
        point, proof = found.popitem()
        if prices and prices[0] and prices[0].doubtful and point not in prices[0].doubtful:
            todo = f'"." or ",": {prices[0].doubtful} may be either, only {proof} of another column proves {point!r}'
            return [Entry(key="decimal", value=text(UNDECIDED), todo=f"the decimal sign, {todo}")]
        return [Entry(key="decimal", value=text(point), why=f"{proof} proves it")]
    if len(found) > 1:
        _divide(fields, numbers)
        return []
    todo = f"{doubtful} may be a whole number or have decimals" if doubtful else "no number has any decimals"
    return [Entry(key="decimal", value=text(UNDECIDED), todo=f'the decimal sign, "." or ",": {todo}')]


def _divide(fields: list[Choice], numbers: Sequence[Column]) -> None:
    """Give every field of numbers the decimal sign of its own column."""
    for place, choice in enumerate(fields):
        column = choice.columns[0] if choice.columns else None
        if column not in numbers or column is None or column.numbers is None:
            continue
        point = column.numbers.point or (UNDECIDED if column.numbers.doubtful or not column.numbers.plain else "")
        if point:
            todo = f"the decimal sign of {column.name!r}" if point == UNDECIDED else ""
            entry = evolve(choice.entry, todo=choice.entry.todo or todo)
            fields[place] = evolve(choice, entry=entry, keys={**choice.keys, "decimal": point})
