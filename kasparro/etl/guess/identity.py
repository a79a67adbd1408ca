"""Whose prices are these? Told by columns, by pairs such as BTC/USD, or by the names of files and lines in them.

No symbol is made up: what is not said is to be filled in.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

from attrs import evolve, frozen

from kasparro.errors import SliceError
from kasparro.etl import currencies, pairs, tickers
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess import dollars
from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.keys import Entry, quoted, table, text
from kasparro.etl.pairs import Said

# Pairs that a message shows.
_SHOWN = 3
# Characters; longer words are sentences or addresses.
_LONGEST_SYMBOL = 20
# What ends tickers of coins at Stooq.
_VIRTUAL = ".V"
# Signs around cells that were not read as quotes.
_QUOTES = frozenset("\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb")


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

    def dated(self, pattern: str) -> "Identity":
        """The same with a pattern that finds the date in the file's name, where there is one."""
        both = f"^(?=.*?{self.name_pattern})(?=.*?{pattern})" if self.name_pattern and pattern else ""
        return evolve(self, name_pattern=both or self.name_pattern or pattern)


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
    known = [each for each in members if each[1].upper() in tickers.COINS]
    # Beside gold and shares a coin is no sign that all of them are coins.
    members = members if after or before or len(known) * 2 >= len(members) else known
    symbols = [symbol for _, symbol in members]
    # One column may be a volume in that coin; a name that is no known coin is one only where all columns are such.
    if not known or len(members) < min(len(numbers), 2) or len(set(symbols)) != len(symbols):
        return None
    pair = pairs.pair(f"X-{after.strip('-_/ ')}") if after else None
    escaped = "|".join(re.escape(symbol) for symbol in symbols)
    return Wide(
        pattern=f"{re.escape(before)}(?P<symbol>{escaped}){re.escape(after)}",
        columns=tuple(column for column, _ in members),
        symbols=tuple(symbols),
        currency=pair[1].casefold() if pair else "",
    )


def _coins(name: str) -> list[tuple[str, str, str]]:
    """The symbol in a column's name, with what stands before and after it."""
    if re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", name) or name.upper() in tickers.COINS:
        whole = pairs.pair(name)
        if whole is not None and name.upper() not in tickers.COINS:
            return [(whole[0], "", whole[1])]
        return [] if name.casefold() in currencies.CODES else [(name, "", "")]
    if quoted_in := re.fullmatch(r"(?i:(?:close|price) )(.+[-/].+)", name):
        before = name[: quoted_in.start(1)]
        return [(symbol, before + more, after) for symbol, more, after in _coins(quoted_in[1])]
    found = re.fullmatch(r"([A-Za-z0-9]{2,10})([-_/ ])([A-Za-z]+)", name)
    if found is None:
        return []
    first, sign, last = found.groups()
    if (last.casefold() in ("price", "close") or pairs.is_fiat(last)) and _is_symbol(first):
        return [(first, "", sign + last)]
    if first.casefold() in ("price", "close") and last.upper() in tickers.COINS:
        return [(last, first + sign, "")]
    return []


def _is_symbol(word: str) -> bool:
    """Whether a word is a coin's, or could be nothing else: not the euro of EUR/USD, nor gold."""
    known = word.upper() in tickers.COINS
    return known or (re.fullmatch(r"[A-Z][A-Z0-9]+", word) is not None and word.casefold() not in currencies.CODES)


def find(columns: Sequence[Column], files: Sequence[Said], price: Column | None) -> Identity:
    """Symbol, name, external_id and currency of a file with a column of prices; without one it is open which is."""
    named = symbols(columns)
    found = sorted(set(named.distinct)) if named is not None else []
    cut = [pairs.pair(each.removesuffix(_VIRTUAL)) for each in found]
    if named is not None and found and all(cut):
        return _paired(named, [each for each in cut if each is not None], columns, price)
    if price is None:
        currency = dollars.of_no_price(columns)
    else:
        currency = dollars.of_price(price, columns, files)
    in_names = {"currency"} if any(each.why == dollars.BY_NAMES for each in currency) else set[str]()
    if named is not None:
        symbol = _of_column(named)
    else:
        symbol = _of_files(files, alone=not in_names)
        guarded = not in_names and all(each.symbol_text for each in files)
        in_names |= {"symbol"} if guarded or symbol.value == text("symbol") else set()
    entries = [symbol, _name(columns, named, files), *_external_id(columns, named), *currency]
    return Identity(entries=tuple(entries), name_pattern=_pattern(files, in_names))


def of_wide(found: Wide, columns: Sequence[Column], files: Sequence[Said]) -> Identity:
    """The same for a file with a column a coin."""
    symbol = Entry(key="symbol", value=text("symbol"), why="in the name of the price's column")
    others = [each for each in columns if each not in found.columns]
    currency = dollars.of_wide(found.currency, others, files)
    in_names = {"currency"} if any(each.why == dollars.BY_NAMES for each in currency) else set[str]()
    entries = (symbol, _name(columns, None, ()), *currency)
    return Identity(entries=entries, name_pattern=_pattern(files, in_names))


def symbols(columns: Sequence[Column]) -> Column | None:
    """The column of symbols, None where there is none."""
    return _column(columns, "symbol")


def _pattern(files: Sequence[Said], wanted: set[str]) -> str:
    """The expression that finds symbol and currency in the name of every file. SliceError: there is no such one."""
    if not wanted:
        return ""
    coins = "|".join(map(re.escape, sorted({each.symbol_text for each in files})))
    quotes = sorted({each for file in files for each in file.currencies})
    before, behind = ("X?", "Z?") if any(f"X{each.symbol_text}Z" in each.file for each in files) else ("", "")
    rest = "|".join(["[^A-Za-z0-9]", "$", *(rf"{behind}(?i:{quote})" for quote in quotes)])
    found = rf"(?<![A-Za-z0-9]){before}(?P<symbol>{coins})(?={rest})" if "symbol" in wanted else ""
    if "currency" in wanted:
        found = rf"{before}(?P<symbol>{coins}){behind}[^A-Za-z0-9]?" if found else ""
        found = rf"(?<![A-Za-z0-9]){found}(?P<currency>(?i:{'|'.join(quotes)}))(?![A-Za-z0-9])"
    for file in files:
        match = re.search(found, file.file)
        if match is None or ("currency" in wanted and match["currency"].casefold() not in file.currencies):
            raise SliceError(f"one map cannot read them all: which of them is in {_listed(quotes)} no pattern tells")
    return found


def _listed(words: Sequence[str]) -> str:
    return ", ".join(word.upper() for word in words)


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
    if all(each.casefold() in currencies.CODES for each in column.distinct):
        return False
    short = sum(each.upper() in tickers.COINS
                or (len(each) <= _LONGEST_SYMBOL and " " not in each and each == each.upper())
                for each in column.distinct)  # fmt: skip
    return short * 10 >= len(column.distinct) * 9


def _paired(named: Column, cut: Sequence[tuple[str, str]], columns: Sequence[Column], price: Column | None) -> Identity:
    """A column of pairs: one and the same gives the symbol, and guards that no other row slips in under it."""
    coins, whole = {tickers.ticker(coin.upper()) for coin, _ in cut}, sorted(set(named.distinct))
    dollars_in = [name for name, each in zip(whole, cut, strict=True) if each[1].casefold() == "usd"]
    if len(set(cut)) > 1 and len(coins) == 1 and dollars_in:
        symbol = Entry(key="symbol", value=table(value=coins.pop()), why=f"every pair in {named.name!r} is of it")
        why = "rows of pairs in other currencies are rejected"
        usd = Entry(key="currency", value=table(path=named.name, accept=dollars_in), why=why)
        return Identity(entries=(symbol, _name(columns, named, ()), usd))
    if len(set(cut)) > 1:
        one = f"{table(value=cut[0][0].upper())} with currency = {table(path=named.name, accept=whole[:1])}"
        todo = (
            f"{named.name!r} holds pairs ({', '.join(whole[:_SHOWN])} ...), and a map cannot cut them; "
            f"split the file by pair, or add a column with the symbol alone; {one} takes one, and rejects the others"
        )
        entries = (Entry(key="symbol", value=table(path=UNDECIDED), todo=todo), _name(columns, named, ()))
        return Identity(entries=(*entries, *dollars.of_words("", "")))
    coin = tickers.ticker(cut[0][0].upper())
    symbol = Entry(key="symbol", value=table(value=coin), why=f"every row is of the pair {named.distinct[0]}")
    guard = dollars.of_pair(named, cut[0], price)
    return Identity(entries=(symbol, _name(columns, named, ()), *guard))


def _of_column(named: Column) -> Entry:
    """The symbols of a column; words for absent in it are none, and what no symbol has in it is asked."""
    words = [word for word in named.absent if word]
    value = table(path=named.name, null=words) if words else text(named.name)
    odd = next((each for each in named.distinct if _QUOTES & {*each} or not each.isprintable()), "")
    if odd:
        todo = f"{odd!a} has quotes or hidden signs in it, as no symbol has: write the file without; or it is {value}"
        return Entry(key="symbol", value=table(path=UNDECIDED), todo=todo, stand_in=value)
    why = f"such as {', '.join(sorted(set(named.distinct))[:_SHOWN])}"
    why += f"; rows with {' or '.join(words)} have none, and are rejected" if words else ""
    return Entry(key="symbol", value=value, why=why)


def _of_files(files: Sequence[Said], *, alone: bool) -> Entry:
    """The symbol that the names of the files say; by name_pattern, unless that is one beside their currencies."""
    symbols, written = {each.symbol for each in files}, {each.symbol_text for each in files}
    if all(written) and (len(symbols) > 1 or (alone and written == symbols)):
        return Entry(key="symbol", value=text("symbol"), why="in the name of the file, by name_pattern")
    if len(symbols) == 1 and all(symbols):
        guarded = "; name_pattern keeps files of others out" if all(written) and alone else ""
        why = f"in the name of the file, or above its header{guarded}"
        return Entry(key="symbol", value=table(value=symbols.pop()), why=why)
    if disputed := next((each.disputed for each in files if each.disputed), ""):
        todo = f"the name of a file and lines in it say {disputed}: split it, a file for each"
        return Entry(key="symbol", value=table(value=UNDECIDED), todo=todo)
    usual = min(pairs.coins(PurePath(files[0].file)), default="BTC")
    todo = f'such as {{ value = "{usual}" }}: neither a column nor the name of the file says it'
    return Entry(key="symbol", value=table(value=UNDECIDED), todo=todo, stand_in=table(value="SYMBOL?"))


def _name(columns: Sequence[Column], symbol: Column | None, files: Sequence[Said]) -> Entry:
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


def shown(found: Wide) -> str:
    """What a wide file's columns are, for people."""
    return f"a column a coin: {quoted(found.columns)}"
