"""Does a file's name say another coin, or currency, than its map says of all files? Such a file is not read.

What a column of the file says is not looked at here: it counts row by row.
"""

from collections.abc import Mapping, Set
from pathlib import PurePath

from kasparro.errors import SliceError
from kasparro.etl import currencies, number_text, pairs, tickers, values
from kasparro.etl.field_map import FieldMap
from kasparro.etl.readers import csv_layout
from kasparro.etl.readers.csv_layout import Layout
from kasparro.etl.source import CURRENCY


def check(
    fields: Mapping[str, FieldMap], constants: Mapping[str, str], layout: Layout, file_name: str, *, at_top: bool
) -> None:
    """Raises SliceError for a name that says what the map contradicts, and does not `accept`.

    Coins are looked at where a file is read from its top: what was read of it before was of the same one.
    """
    known, path = {*csv_layout.available(layout), *constants}, PurePath(file_name)
    for key in ("symbol", "name") if at_top else ():
        own = FieldMap() if known & set(fields[key].paths) else fields[key]
        if said := _other_coins(key, own, path):
            value, listed = values.show(own.value), ", ".join(map(repr, said))
            raise SliceError(
                f"{file_name}: its name says {' and '.join(said)}; the map says {key} = {value} of all "
                f"files: narrow files.glob, with a map for each coin; or have files.name_pattern find it in their "
                f'names, such as "(?P<symbol>{"|".join(said)})", with symbol = "symbol"; if it is of that coin '
                f"all the same, say so with {key} = {{ value = {value}, accept = [{listed}] }}; nothing of it was read",
                code="wrong_symbol",
            )
    if other := _other_currency(fields, constants, layout, path):
        where, currency = other
        # The longer one first: USD is the beginning of USDT.
        pattern = f'such as "(?P<currency>{currency}|USD)"' if pairs.is_fiat(currency) else "as a group"
        raise SliceError(
            f"{file_name}: {where} says {currency}, and no column says that prices are in US dollars; others are never "
            f"loaded: narrow files.glob, or have files.name_pattern find the currency of each, {pattern}, with "
            f'currency = "currency"; if they are dollars all the same, currency takes accept = ["{currency}"]; nothing '
            "of it was read",
            code="wrong_currency",
        )


def _other_coins(key: str, own: FieldMap, path: PurePath) -> list[str]:
    """The coins that a file's name says, where they are others than the constant of this field."""
    word = own.value or ""
    mine = {tickers.coin(each) for each in (word, *own.accept)}
    # A name that is no known coin's may be that of any; while a map is guessed there may be a ? for a symbol.
    if not word or "?" in word or (key == "name" and not mine & tickers.COINS.keys()):
        return []
    if pairs.names(path, word) and word.casefold() not in pairs.file_name(path).currencies:
        return []
    said = pairs.coins(path)
    return [] if mine & said else sorted(said)


def _other_currency(
    fields: Mapping[str, FieldMap], constants: Mapping[str, str], layout: Layout, path: PurePath
) -> tuple[str, str] | None:
    """Where a file's name, or the nearest of its folders, says that prices are in another currency, or coin; and which.

    None where it is the dollar, or a column says what counts, or the map says another one, which no row passes with.
    """
    columns, currency, symbol = set(csv_layout.available(layout)), fields.get(CURRENCY, FieldMap()), fields["symbol"]
    prices, given = columns & set(fields["price_usd"].paths), _given(currency, constants)
    if columns & set(currency.paths) or (given and given.casefold() not in number_text.DOLLARS):
        return None
    accepted = {code for word in currency.accept for code in (word.casefold(), *currencies.named(word))}
    if layout.spread and layout.value in prices:
        prices = {layout.columns[number] for number in layout.spread}
        if foreign := _of_spread(layout, accepted):
            return foreign
    if not prices or all("usd" in currencies.named(each) for each in prices):
        return None
    # A coin is not priced in itself: another one in the name is. And a code by itself, such as MNT, may be a coin's.
    mine = {tickers.coin(each) for each in (_given(symbol, constants), *symbol.accept)}
    own = mine if pairs.mentions(path) <= mine | {each.upper() for each in currencies.STABLE} else frozenset()
    doubtful = currencies.CODES - currencies.MAJOR if not pairs.file_name(path).symbol else frozenset()
    for where, words in pairs.priced_in(path, listed=not columns.isdisjoint(symbol.paths)):
        if found := [each for each in words if each not in doubtful and tickers.coin(each) not in own]:
            last = next((each for each in reversed(found) if tickers.coin(each) not in mine), found[-1])
            return (where, last.upper()) if last not in {"usd", *accepted} else None
    return None


def _of_spread(layout: Layout, accepted: Set[str]) -> tuple[str, str] | None:
    """The first column of a wide file that says another currency beside its coin, and which."""
    for number, added in layout.spread.items():
        rest = name = layout.columns[number]
        for word in added.values():
            rest = rest.replace(word, " ", 1)
        if added and (found := [word for word in pairs.currencies_beside(rest) if word not in accepted]):
            return f"the column {name!r}", found[-1].upper()
    return None


def _given(field: FieldMap, constants: Mapping[str, str]) -> str:
    """What the name of the file, by name_pattern, or else the map says for all rows."""
    return next((constants[path] for path in field.paths if path in constants), field.value or "")
