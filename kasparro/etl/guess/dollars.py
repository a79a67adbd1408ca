"""In which currency are the prices? Told by their column, by signs beside them, a column of currencies, or in words.

Only dollars are ever loaded. What says another currency, anywhere, leaves it to a person; so does what says two.
"""

from collections.abc import Sequence

from kasparro.etl import currencies, pairs
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess import vocabulary
from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.keys import Entry, table, text
from kasparro.etl.pairs import Said

# Why the names of several files tell their currencies, each its own: by the group `currency` of a name_pattern.
BY_NAMES = "in the names of the files, by name_pattern"
# How columns of currencies are called, at the end; and how many of them a message shows.
_ENDS = frozenset({"currency", "ccy", "fiat"})
_SHOWN = 3
_USD = '{ value = "USD" }'


def of_price(price: Column, columns: Sequence[Column], said: Sequence[Said]) -> list[Entry]:
    """The entry of a column of prices, none where it says by itself that they are dollars."""
    others = {each.meaning.currency for each in columns if each is not price}
    against = sorted({word for each in said for word in each.currencies} - {"usd", *others})
    where = " and ".join(each.where for each in said if {*each.currencies} & {*against})
    numbers, own = price.numbers, price.meaning.currency
    if own not in ("", "usd"):
        return of_words(own, f"the name of the column {price.name!r} says so")
    if numbers is not None and numbers.foreign:
        return [_open(f"prices are no US dollars but {numbers.foreign}: {other('')}", stand_in="")]
    if own or (numbers is not None and numbers.dollars):
        if odd := [each for each in _columns(columns) if {*map(str.casefold, each.distinct)} - {"usd"}]:
            todo = f"{text(odd[0].name)} lets only rows pass in which it says so, {_USD} all, if it says another thing"
            return [_open(f"the column {price.name!r} says US dollars, {odd[0].name!r} {_codes(odd[0])}: {todo}")]
        usd = _usd(against)
        todo = f"the column {price.name!r} says US dollars, {where} says {_names(against)}: {usd} if they are dollars"
        return [_open(todo, stand_in=usd)] if against else []
    return of_file(columns, said)


def of_file(columns: Sequence[Column], said: Sequence[Said]) -> list[Entry]:
    """The entry where the column of prices says nothing: a column of currencies, else what file and name say."""
    named = _columns(columns)
    if known := _known(named):
        return known
    if named:
        todo = f"{text(named[0].name)} if it says the currency of the prices, {_USD} if they are all in US dollars"
        return [_open(f"{named[0].name!r} says {_codes(named[0])}: {todo}")]
    found = sorted({word for each in said for word in each.currencies})
    if len(found) > 1 and all(each.currency for each in said):
        return [Entry(key="currency", value=text("currency"), why=BY_NAMES)]
    if len(found) > 1 or not all(each.currencies for each in said):
        where = " and ".join(dict.fromkeys(each.where for each in said if each.currencies))
        usd = _usd(found)
        todo = f"{where} says {_names(found)}: {usd} if prices are in US dollars; no other is loaded"
        return [_open(todo, stand_in=usd)] if found else of_words("", "")
    return of_words(found[0], f"{said[0].where} says so")


def _columns(columns: Sequence[Column]) -> list[Column]:
    """The columns of currencies, by their names or by nothing but codes in them; the one most sure first."""
    found = [each for each in columns if each.kind == "text" and each.score("symbol") < 100
             and (each.score("currency") or not each.meaning.scores or _ENDS & {*vocabulary.words(each.name)[-1:]})
             and all(currencies.code(word.upper()) or pairs.is_fiat(word) for word in each.distinct)]  # fmt: skip
    return sorted(found, key=lambda each: -each.score("currency"))


def _known(named: Sequence[Column]) -> list[Entry]:
    """The entry of the best of these columns, none where only its cells say that it is one."""
    best = [each for each in named[:1] if each.score("currency")]
    return [Entry(key="currency", value=text(each.name), why=f"such as {each.distinct[0]}") for each in best]


def _codes(column: Column) -> str:
    return ", ".join(sorted(column.distinct)[:_SHOWN])


def of_words(currency: str, why: str) -> list[Entry]:
    """The entry of a currency that is the same everywhere; '' is one that nothing says."""
    if currency == "usd":
        return [Entry(key="currency", value=table(value="USD"), why=why)]
    if not currency:
        todo = f"the currency of the prices is not said: {_USD} if they are in US dollars; no other is loaded"
    else:
        todo = f"prices are in {currency.upper()}, {why}: {other(currency, _usd([currency]))}"
    return [_open(todo, stand_in="" if currency and currency not in currencies.STABLE else _usd([currency]))]


def of_wide(currency: str, others: Sequence[Column], said: Sequence[Said]) -> list[Entry]:
    """The entry of a column a coin: what their names say, unless the file's says something else."""
    against = {word for each in said for word in each.currencies} - {currency}
    if not currency or against:
        return of_file(others, said)
    return of_words(currency, "the names of the columns say so")


def of_no_price(columns: Sequence[Column]) -> list[Entry]:
    """The entry while it is open which column is the price: open too, unless all that may be it are in dollars."""
    prices = [each for each in columns if each.score("price_usd") and each.numbers is not None]
    if prices and all(each.meaning.currency == "usd" for each in prices):
        return []
    todo = f"with price_usd: {_USD} if that column is in US dollars; no other is loaded"
    return _known(_columns(columns)) or [_open(todo)]


def of_pair(column: Column, pair: tuple[str, str], price: Column | None) -> list[Entry]:
    """The entry that lets only rows of one pair pass, open unless that says dollars, and the price nothing else."""
    whole, currency = column.distinct[0], pair[1].casefold()
    accept, foreign = f"accept = [{text(whole)}]", price is not None and _foreign(price)
    if price is None:
        todo = f"with price_usd: {accept} if that column is in US dollars; no other is loaded"
    elif foreign:
        todo = f"prices are no US dollars but {foreign}: {other('')}"
    else:
        todo = "" if currency == "usd" else f"the price is in {currency.upper()}: {other(currency, accept)}"
    value = table(path=column.name, accept=[UNDECIDED if todo else whole])
    why = f"rows of another pair than {whole} are rejected"
    return [Entry(key="currency", value=value, why=why, todo=todo, stand_in="" if foreign else _USD)]


def _foreign(price: Column) -> str:
    """What a column of prices says of another currency, in its name or beside its numbers."""
    if price.meaning.currency not in ("", "usd", *currencies.STABLE):
        return price.meaning.currency.upper()
    return price.numbers.foreign if price.numbers is not None else ""


def other(currency: str, key: str = _USD) -> str:
    """What can be done about prices in another currency than the dollar."""
    if currency in currencies.STABLE:
        return f"{key} takes it for US dollars, if that is near enough for you"
    return "prices are never converted, so that nothing of this file can be loaded unless it has a column of dollars"


def _usd(against: Sequence[str]) -> str:
    """The constant that says dollars, whatever else the names of files say."""
    others = [word.upper() for word in against if word not in ("", "usd")]
    return table(value="USD", accept=others) if others else _USD


def _open(todo: str, *, stand_in: str = _USD) -> Entry:
    return Entry(key="currency", value=table(value=UNDECIDED), todo=todo, stand_in=stand_in)


def _names(words: Sequence[str]) -> str:
    return " and ".join(word.upper() for word in words)
