"""Whose prices are these, and in which currency? Told by columns, by pairs such as BTC/USD, or by the names of files.

Another currency than the dollar is never taken for it, and no symbol is made up: what is not said is to be filled in.
"""

import re
from collections.abc import Sequence

from attrs import frozen

from kasparro.etl import guess_names
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess_columns import Column
from kasparro.etl.guess_entry import Entry, quoted, table, text
from kasparro.etl.guess_names import FileName

# Pairs that a message shows.
_SHOWN = 3
# Characters; longer words are sentences or addresses.
_LONGEST_SYMBOL = 20


@frozen(kw_only=True)
class Wide:
    """Columns of a file with a column a coin: the expression that matches their names, and their currency."""

    pattern: str
    columns: tuple[Column, ...]
    symbols: tuple[str, ...]
    currency: str


@frozen(kw_only=True)
class Identity:
    """The entries of symbol, name, external_id and currency, and the pattern over file names that they need."""

    entries: tuple[Entry, ...]
    name_pattern: str = ""


def wide(columns: Sequence[Column]) -> Wide | None:
    """The columns of numbers that are named after coins: alone, in a pair, or with the word price or close."""
    numbers = [each for each in columns if each.kind == "number" and not (each.score("observed_at") and each.times)]
    found: dict[tuple[str, str], list[tuple[Column, str]]] = {}
    for column in numbers:
        for symbol, before, after in _coins(column.name):
            found.setdefault((before, after), []).append((column, symbol))
    if not found:
        return None
    (before, after), members = max(found.items(), key=lambda each: len(each[1]))
    known = [each for each in members if each[1].upper() in guess_names.COINS]
    # Beside gold and shares a coin is no sign that all of them are coins.
    members = members if after or before or len(known) * 2 >= len(members) else known
    symbols = [symbol for _, symbol in members]
    # One column may be a volume in that coin; a name that is no known coin is one only where all columns are such.
    if not known or len(members) < min(len(numbers), 2) or len(set(symbols)) != len(symbols):
        return None
    pair = guess_names.pair(f"X-{after.strip('-_/ ')}") if after else None
    escaped = "|".join(re.escape(symbol) for symbol in symbols)
    return Wide(
        pattern=f"{re.escape(before)}(?P<symbol>{escaped}){re.escape(after)}",
        columns=tuple(column for column, _ in members),
        symbols=tuple(symbols),
        currency=pair[1].casefold() if pair else "",
    )


def _coins(name: str) -> list[tuple[str, str, str]]:
    """The symbol in a column's name, with what stands before and after it."""
    if re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", name) or name.upper() in guess_names.COINS:
        whole = guess_names.pair(name)
        if whole is not None and name.upper() not in guess_names.COINS:
            return [(whole[0], "", whole[1])]
        return [] if name.casefold() in guess_names.FIAT else [(name, "", "")]
    found = re.fullmatch(r"([A-Za-z0-9]{2,10})([-_/ ])([A-Za-z]+)", name)
    if found is None:
        return []
    first, sign, last = found.groups()
    if last.casefold() in {*guess_names.FIAT, *guess_names.STABLE, "price", "close"} and _is_symbol(first):
        return [(first, "", sign + last)]
    if first.casefold() in ("price", "close") and last.upper() in guess_names.COINS:
        return [(last, first + sign, "")]
    return []


def _is_symbol(word: str) -> bool:
    return word.upper() in guess_names.COINS or re.fullmatch(r"[A-Z][A-Z0-9]+", word) is not None


def find(columns: Sequence[Column], files: Sequence[FileName], price: Column | None) -> Identity:
    """Symbol, name, external_id and currency of a file with a column of prices."""
    named = _column(columns, "symbol")
    symbols = sorted(set(named.distinct)) if named is not None else []
    pairs = [guess_names.pair(each) for each in symbols]
    if named is not None and symbols and all(pairs):
        return _paired(named, [each for each in pairs if each is not None], columns)
    if named is not None:
        symbol = Entry(key="symbol", value=text(named.name), why=f"such as {', '.join(symbols[:_SHOWN])}")
        pattern = ""
    else:
        symbol, pattern = _of_files(files)
    entries = [symbol, _name(columns, named, files), *_external_id(columns, named), *_currency(columns, files, price)]
    return Identity(entries=tuple(entries), name_pattern=pattern)


def of_wide(found: Wide, columns: Sequence[Column], files: Sequence[FileName]) -> Identity:
    """The same for a file with a column a coin."""
    symbol = Entry(key="symbol", value=text("symbol"), why="in the name of the price's column")
    entries = [symbol, _name(columns, None, ()), *_said(found.currency, "the names of the columns say so")]
    if not found.currency:
        entries[2:] = _currency([each for each in columns if each not in found.columns], files, None)
    return Identity(entries=tuple(entries))


def _column(columns: Sequence[Column], name: str) -> Column | None:
    """The column of words that fits a field best."""
    fitting = [each for each in columns if each.score(name) and each.kind == "text"]
    if name == "symbol":
        fitting = [each for each in fitting if _holds_symbols(each)]
    return max(fitting, key=lambda each: (each.score(name), -each.number), default=None)


def _holds_symbols(column: Column) -> bool:
    """Whether a column that may hold symbols, names or currencies holds symbols."""
    if column.score("symbol") >= 100:
        return True
    if all(each.casefold() in guess_names.FIAT for each in column.distinct):
        return False
    short = sum(each.upper() in guess_names.COINS
                or (len(each) <= _LONGEST_SYMBOL and " " not in each and each == each.upper())
                for each in column.distinct)  # fmt: skip
    return short * 10 >= len(column.distinct) * 9


def _paired(named: Column, pairs: Sequence[tuple[str, str]], columns: Sequence[Column]) -> Identity:
    """A column of pairs: one and the same gives the symbol, and guards that no other row slips in under it."""
    if len(set(pairs)) > 1:
        shown = ", ".join(sorted(set(named.distinct))[:_SHOWN])
        todo = (
            f"{named.name!r} holds pairs ({shown} ...), and a map cannot cut them; "
            "split the file by pair, or add a column with the symbol alone"
        )
        entries = (Entry(key="symbol", value=table(path=UNDECIDED), todo=todo), _name(columns, named, ()))
        return Identity(entries=(*entries, *_said("", "")))
    coin, currency = pairs[0]
    whole = named.distinct[0]
    dollars = currency.casefold() == "usd"
    guard = Entry(
        key="currency",
        value=table(path=named.name, accept=[whole if dollars else UNDECIDED]),
        why=f"rows of another pair than {whole} are rejected",
        todo="" if dollars else f"the price is in {currency.upper()}: {_other(currency, f'accept = [{text(whole)}]')}",
    )
    symbol = Entry(key="symbol", value=table(value=coin.upper()), why=f"every row is of the pair {whole}")
    return Identity(entries=(symbol, _name(columns, named, ()), guard))


def _other(currency: str, key: str) -> str:
    if currency.casefold() in guess_names.STABLE:
        return f"{key} takes it for US dollars, if that is near enough for you"
    return "prices are never converted, so that nothing of this file can be loaded unless it has a column of dollars"


def _of_files(files: Sequence[FileName]) -> tuple[Entry, str]:
    """The symbol that the names of the files say, and the pattern that finds it where there are several."""
    symbols = [each.symbol for each in files]
    if not all(symbols):
        usual = next((coin for coin, name in guess_names.COINS.items() if name and name == files[0].name), "BTC")
        todo = f'such as {{ value = "{usual}" }}: neither a column nor the name of the file says it'
        return Entry(key="symbol", value=table(value=UNDECIDED), todo=todo), ""
    if len(set(symbols)) == 1:
        return Entry(key="symbol", value=table(value=symbols[0]), why="in the name of the file"), ""
    texts = sorted({each.symbol_text for each in files})
    quotes = sorted({each.currency for each in files if each.currency})
    rest = "|".join(["[^A-Za-z0-9]", "$", *(rf"(?i:{quote})" for quote in quotes)])
    pattern = f"(?<![A-Za-z0-9])(?P<symbol>{'|'.join(map(re.escape, texts))})(?={rest})"
    return Entry(key="symbol", value=text("symbol"), why="in the names of the files, by name_pattern"), pattern


def _name(columns: Sequence[Column], symbol: Column | None, files: Sequence[FileName]) -> Entry:
    fitting = [each for each in columns if each is not symbol]
    named = _column(fitting, "name")
    if named is not None:
        return Entry(key="name", value=text(named.name), why=f"such as {named.distinct[0]}")
    said = {each.name for each in files}
    if len(said) == 1 and "" not in said:
        return Entry(key="name", value=table(value=said.pop()), why="in the name of the file")
    why = 'no name is given; with its usual one, such as { value = "Bitcoin" }, it is matched with other sources'
    return Entry(key="name", value=table(template="{symbol}"), why=why)


def _external_id(columns: Sequence[Column], symbol: Column | None) -> list[Entry]:
    """A column of ids that goes with the symbols: as many ids as there are coins, not as there are rows."""
    found = _column(columns, "external_id")
    if found is None or len(found.distinct) > max(len(found.texts) / 2, len(symbol.distinct) if symbol else 1):
        return []
    return [Entry(key="external_id", value=text(found.name), why=f"such as {found.distinct[0]}")]


def _currency(columns: Sequence[Column], files: Sequence[FileName], price: Column | None) -> list[Entry]:
    """In which currency the prices are, where the name of their column does not say dollars."""
    if price is not None:
        if price.meaning.currency == "usd":
            return []
        if price.meaning.currency:
            return _said(price.meaning.currency, f"the name of the column {price.name!r} says so")
        if price.numbers is not None and price.numbers.foreign:
            shown = price.numbers.foreign
            return [Entry(key="currency", value=table(value=UNDECIDED), hopeless=True,
                          todo=f"prices are no US dollars but {shown}: {_other('', '')}")]  # fmt: skip
        if price.numbers is not None and price.numbers.dollars:
            return []
    named = _column(columns, "currency")
    known = guess_names.FIAT | guess_names.STABLE
    if named is not None and all(each.casefold() in known for each in named.distinct):
        return [Entry(key="currency", value=text(named.name), why=f"such as {named.distinct[0]}")]
    said = {each.currency for each in files}
    if len(said) == 1 and "" not in said:
        return _said(said.pop(), "the name of the file says so")
    return _said("", "")


def _said(currency: str, why: str) -> list[Entry]:
    """The entry of a currency that is the same everywhere; '' is one that nothing says."""
    if currency == "usd":
        return [Entry(key="currency", value=table(value="USD"), why=why)]
    if not currency:
        todo = 'the currency of the prices is not said: { value = "USD" } if they are in US dollars; no other is loaded'
    else:
        usd = '{ value = "USD" }'
        todo = f"prices are in {currency.upper()}, {why}: {_other(currency, usd)}"
    hopeless = bool(currency) and currency not in guess_names.STABLE
    return [Entry(key="currency", value=table(value=UNDECIDED), todo=todo, hopeless=hopeless)]


def shown(found: Wide) -> str:
    """What a wide file's columns are, for people."""
    return f"a column a coin: {quoted(found.columns)}"
