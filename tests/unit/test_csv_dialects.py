"""Files as people really have them, through a map alone: each gives its quotes, and loses and invents nothing."""

import gzip

import pytest
from csv_reading import load, read

from kasparro.errors import SliceError

HEADER = "symbol,name,date,price\n"
TWO = HEADER + "S,N,2026-01-01,1.5\nT,N,2026-01-01,2.5\n"
NAMES = 'columns = ["symbol", "name", "date", "price"]'
DATES = ('observed_at = "date"', 'observed_at = { path = "date", format = "%d.%m.%Y" }')


@pytest.fixture
def shown(tmp_path):
    """What a file with this content gives: the price of each quote, the code of each rejection."""

    def give(content, name="a.csv", **changes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(load(tmp_path, **changes), path, root=tmp_path).shown

    return give


@pytest.mark.parametrize(
    ("content", "files"),
    [
        (TWO.encode(), ""),
        (TWO.encode("utf-8-sig"), ""),
        (TWO.encode("utf-16"), ""),
        (b"\xfe\xff" + TWO.encode("utf-16-be"), ""),
        (TWO.encode("utf-16-le"), 'encoding = "utf-16-le"'),
        (TWO.encode("utf-16-be"), 'encoding = "utf-16-be"'),
        (TWO.encode("utf-16"), 'encoding = "utf-16"'),
        (TWO.encode("utf-8-sig"), 'encoding = "cp1252"'),
        (TWO.replace("\n", "\r\n").encode("utf-16"), ""),
        (TWO.replace("N", "N\u0a0a\u010a").encode("utf-16"), ""),
        (b"\xfe\xff" + TWO.replace("N", "N\u0a0a\u010a\u0a00").encode("utf-16-be"), ""),
        (TWO.replace("N", "\u010d\u0d05").replace("\n", "\r\n").encode("utf-16"), ""),
        (TWO.replace("\n", "\r").encode("utf-16"), ""),
        (b"\xfe\xff" + TWO.replace("N", "\u010d\u0d05").replace("\n", "\r").encode("utf-16-be"), ""),
        (TWO.replace("N", "Ärger € \u2019").encode("cp1252"), 'encoding = "cp1252"'),
        (TWO.replace("N", "\u8868\u30bd").encode("shift_jis"), 'encoding = "shift_jis"'),
        (TWO.replace("N", "\u540d").replace("\n", "\r").encode("gb18030"), 'encoding = "gb18030"'),
        (TWO.replace("N", r'"the \"N\", it is"').encode(), "escape = '\\'"),
        (TWO.replace("N", "a \\, b\\\nc").encode(), "escape = '\\'"),
        (TWO.replace(HEADER, "SYMBOL,Name,dATE,Price\n").encode(), ""),
        (gzip.compress(TWO.encode(), mtime=0), ""),
        (gzip.compress(TWO[:30].encode(), mtime=0) + gzip.compress(TWO[30:].encode(), mtime=0), ""),
        (TWO.replace("\n", "\r\n").encode(), ""),
        (TWO.replace("\n", "\r").encode(), ""),
        (TWO.rstrip("\n").encode(), ""),
        (TWO.replace("\n", "\r").rstrip("\r").encode(), ""),
        (("\n\n" + TWO.replace("\n", "\n\n")).encode(), ""),
        (TWO.replace("T,", " \t,,,\n,,,\n---,---,---,---\nT,").encode(), ""),
        (("# it's \"odd\n" + TWO.replace("T,", "  # more\nT,")).encode(), 'comment = "#"'),
        (("https://x,y,z,w\nand more\n" + TWO).encode(), "skip_lines = 2"),
        (TWO.replace("T,", HEADER + "T,").encode(), ""),
        ((TWO + "\ufeff" + HEADER).encode(), ""),
        (TWO.replace("T,", HEADER + "T,").replace("price", "price,").replace(".5", ".5,").encode(), ""),
        (TWO.replace("T,", HEADER + "T,").replace("price", "price,x,x").replace(".5", ".5,1,1").encode(), ""),
        (TWO.replace("T,", HEADER + "T,").replace("symbol", ",symbol").replace("S,N", "1,S,N")
         .replace("T,N", "2,T,N").encode(), ""),
        (TWO.replace(".5", ".5,").encode(), ""),
        (TWO.replace("2026-01-01,", "2026-01-01,").replace("price", "price,").encode(), ""),
        (TWO.split("\n", 1)[1].encode(), NAMES),
        (TWO.split("\n", 1)[1].replace(".5", ".5;").replace(",", ";").encode(), NAMES),
        (b"sep=;\r\n" + TWO.replace(",", ";").encode(), ""),
        (TWO.replace(",", ";").encode(), ""),
        (TWO.replace(",", "\t").encode(), ""),
        (TWO.replace(",", "|").encode(), ""),
        (TWO.replace(",", "^").encode(), 'delimiter = "^"'),
    ],
)  # fmt: skip
def test_two_quotes_are_read_when_a_file_is_written_in_any_way(shown, content, files):
    """What is found by itself, and what is declared."""
    assert shown(content, files=files) == ["1.5", "2.5"]


@pytest.mark.parametrize("escape", ["", "escape = '\\'"])
def test_values_are_absent_when_a_database_wrote_that_they_are_null(shown, escape):
    r"""As \N, whether a backslash means something or not."""
    content = HEADER + r"\N,N,2026-01-01,1" + "\n" + r"S, \N ,2026-01-01,2" + "\n" + r"S,N,2026-01-01,\N"
    assert shown(content, files=escape) == ["symbol_missing", "2", "price_missing"]


@pytest.mark.parametrize(
    "content",
    [
        '"symbol,name,date,""price"""\nS,N,2026-01-01,1.5\nT,N,2026-01-01,2.5\n',
        '"symbol,name,date,price"\n"S,N,2026-01-01,1.5"\n"T,""N"",2026-01-01,2.5"\n',
        '"symbol,name,date,price";;;\n"S,N,2026-01-01,1.5";;;\n"T,N,2026-01-01,2.5";;;\n',
    ],
)
def test_header_is_understood_when_it_stands_in_one_cell(shown, content):
    """As spreadsheets save what they did not split; rows in one cell are split the same way."""
    assert shown(content) == ["1.5", "2.5"]


def test_quoted_fields_keep_newlines_and_quotes_when_they_have_them(tmp_path):
    """They are part of the value."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + 'S,"a ""b""\nc, d",2026-01-01,1\r\n', newline="")
    (item,) = read(load(tmp_path), path).items
    assert (item.name, item.quote.price_usd) == ('a "b"\nc, d', 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_as_it_stands_when_bytes_of_it_are_those_of_line_ends(tmp_path, encoding, end):
    """In UTF-16 half a character may look like one; carriage returns in a quoted cell are no line ends."""
    path = tmp_path / "a.csv"
    inside = "" if end == "\r" else "\r\r\n"
    text = f'\ufeff"symbol",name,date,price,"a{inside}"{end}S,"\u010d\u0d05{inside}\u0a0d\u0d0a",2026-01-01,1,{end}'
    path.write_bytes(text.encode(encoding))
    (item,) = read(load(tmp_path), path).items
    assert item.name == f"\u010d\u0d05{inside}\u0a0d\u0d0a"


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        ("S,N,2026-01-01", ["ragged_row"]),
        ("S,N,2026-01-01,1,2", ["ragged_row"]),
        ("S,N,2026-01-01,1,,", ["1"]),
        ("S,N,24.05.2026,1", ["not_a_time"]),
        ("S,N,1.77746E+12,1", ["precision_lost"]),
        ("S,N,2026-01-01,-", ["price_missing"]),
        ("S,N,--,1", ["observed_at_missing"]),
        ("S,N,2026-01-01,NaN", ["price_missing"]),
        ("S,N,2026-01-01,#N/A", ["price_missing"]),
        ("null,N,2026-01-01,1", ["symbol_missing"]),
        ("S,null,2026-01-01,1", ["1"]),
        ('S,N,2026-01-01,"1,234"', ["not_a_number"]),
        ("S,N,2026-01-01,$5", ["not_a_number"]),
    ],
)
def test_row_is_a_quote_or_a_rejection_of_its_own_when_it_is_odd(shown, row, codes):
    """And those around it are quotes; words for absent are names where names stand, but no symbols."""
    assert shown(f"{HEADER}A,N,2026-01-01,7\n{row}\nB,N,2026-01-01,8\n") == ["7", *codes, "8"]


def test_row_that_is_no_text_is_a_rejection_when_the_encoding_is_wrong(shown):
    """It is kept with its bytes as escapes; the others are read."""
    text = HEADER.encode() + b"A,N,2026-01-01,7\nS,\xe4,2026-01-01,1\n"
    assert shown(text) == ["7", "undecodable"]
    assert shown(text, files='encoding = "cp1252"') == ["7", "1"]
    assert shown(HEADER.encode() + b"S,\x81,2026-01-01,1\n", files='encoding = "cp1252"') == ["undecodable"]
    assert shown(HEADER.encode("utf-16") + b"S\x00,\x00\x00\xd8,\x002\x00,\x001\x00\n\x00") == ["undecodable"]


def test_numbers_and_dates_are_read_as_declared_when_the_map_says_how(shown):
    """The whole file has one decimal sign; a field may have another."""
    rows = "S;N;24.05.2026;1.234,5\nT;N;03.04.2026;12 345,67 $\nU;N;03.04.2026;5 €\n"
    found = shown(HEADER.replace(",", ";") + rows, files='decimal = ","', replace=[DATES])
    assert found == ["1234.5", "12345.67", "wrong_currency"]
    own = [('price_usd = "price"', 'price_usd = { path = "price", decimal = "." }')]
    assert shown(HEADER + 'S,N,2026-01-01,"1,234.5"\n', files='decimal = ","', replace=own) == ["1234.5"]


def test_missing_columns_are_filled_in_when_constants_and_the_name_of_the_file_know_them(tmp_path):
    """Symbol and date are in the name, the coin's name is a constant."""
    path = tmp_path / "BTC-2026-05-24.csv"
    path.write_text("price\n5\n")
    source = load(
        tmp_path, files="name_pattern = '(?P<symbol>[A-Z]+)-(?P<day>[0-9-]+)'",
        replace=[('name = "name"', 'name = { value = "Bitcoin" }'), ('observed_at = "date"', 'observed_at = "day"')],
    )  # fmt: skip
    (item,) = read(source, path).items
    assert (item.external_id, item.quote.observed_at.isoformat()) == ("BTC:Bitcoin", "2026-05-24T00:00:00+00:00")


def test_file_is_an_error_of_its_own_when_its_name_does_not_match(shown):
    """Whose prices it holds, nobody knows."""
    with pytest.raises(SliceError, match="name_pattern does not match") as caught:
        shown(TWO, files="name_pattern = '(?P<x>BTC)'")
    assert caught.value.code == "bad_name"


WIDE_COINS = [('symbol = "symbol"', 'symbol = "coin"'), ('name = "name"', 'name = "coin"')]


def test_every_row_and_column_is_a_record_when_a_file_has_a_column_a_coin(tmp_path):
    """With the other columns of the row; an empty cell is a record without a price."""
    path = tmp_path / "a.csv"
    path.write_text("date,BTC_usd,ETH_usd,note\n2026-01-01,1,2,x\n2026-01-02,3,,y\n")
    wide = "wide = { columns = '(?P<coin>[A-Z]+)_usd', value = 'price' }"
    found = read(load(tmp_path, files=wide, replace=WIDE_COINS), path)
    assert found.shown == ["1", "2", "3", "price_missing"]
    assert [item.external_id for item in found.items] == ["BTC:BTC", "ETH:ETH"] * 2
    assert found.items[0].payload == '{"date": "2026-01-01", "note": "x", "coin": "BTC", "price": "1"}'


@pytest.mark.parametrize(
    ("wide", "said"),
    [
        ("'(?P<coin>[A-Z]+)_eur', value = 'price'", "0 columns match"),
        ("'(?P<date>[A-Z]+)_usd', value = 'price'", "hide the column 'date'"),
        ("'(?P<coin>[A-Z]+)_usd', value = 'note'", "hide the column 'note'"),
    ],
)
def test_wide_file_is_an_error_of_its_own_when_its_columns_do_not_fit(shown, wide, said):
    """No cell may hide another."""
    with pytest.raises(SliceError, match=said) as caught:
        shown("date,BTC_usd,note\n2026-01-01,1,x\n", files=f"wide = {{ columns = {wide} }}", replace=WIDE_COINS)
    assert caught.value.code == "bad_header"


def test_row_is_a_rejection_when_its_records_would_take_too_much_memory(shown, monkeypatch):
    """Each of them repeats the rest of the row."""
    monkeypatch.setattr("kasparro.etl.readers.csv_layout.MAX_ROW_BYTES", 100)
    content = f"date,a_usd,b_usd,note\n2026-01-01,1,2,{'x' * 99}\n2026-01-01,1,2,x\n"
    wide = "wide = { columns = '(?P<coin>[a-z]+)_usd', value = 'price' }"
    assert shown(content, files=wide, replace=WIDE_COINS) == ["record_too_long", "1", "2"]


CURRENCY = 'currency = "unit"'


def test_prices_in_other_currencies_are_rejected_when_a_column_says_which(shown):
    """Each is a rejection of its own; nothing is converted, and no currency is no dollar."""
    rows = (
        "S,N,2026-01-01,1,USD\nT,N,2026-01-01,2,eur\nU,N,2026-01-01,3,\nV,N,2026-01-01,4,us$\nW,N,2026-01-01,5,2781\n"
    )
    header = HEADER.replace("\n", ",unit\n")
    assert shown(header + rows, fields=CURRENCY) == ["1", "wrong_currency", "currency_missing", "4", "wrong_currency"]
    accepting = 'currency = { path = "unit", value = "USD", accept = ["2781"] }'
    assert shown(header + rows, fields=accepting) == ["1", "wrong_currency", "3", "4", "5"]
    assert shown(TWO, fields=accepting) == ["1.5", "2.5"]
    assert shown(TWO, fields='currency = { value = "EUR" }') == ["wrong_currency"] * 2


IN_EUROS = [
    ("e_BTC-EUR.csv", "price", "", "EUR"),
    ("ETHGBP_1d.csv", "price", "", "GBP"),
    ("prices_eur_2024.csv", "price", 'currency = { path = "unit", value = "USD" }', "EUR"),
    ("BTC-EUR.csv", "price_usd", "", None),
    ("BTC-EUR.csv", "price", 'currency = { value = "USD" }', "EUR"),
    ("BTC.AUD.csv", "price", 'currency = { value = "USD" }', "AUD"),
    ("BTC-EUR.csv", "price", 'currency = { value = "USD", accept = ["EUR"] }', None),
    ("BTC-PLN.csv", "price", 'currency = { value = "USD" }', "PLN"),
    ("BTC\u20ac.csv", "price", 'currency = { value = "USD" }', "EUR"),
    ("BTC_price_in_euros.csv", "price", 'currency = { value = "USD" }', "EUR"),
    ("FETEUR.csv", "price", "", "EUR"),
    ("btctry.csv", "price", "", "TRY"),
    ("btc-usd-to-eur.csv", "price", "", "EUR"),
    ("ETHBTC.csv", "price", "", "BTC"),
    ("QTUMETH-1d.csv", "price", "", "ETH"),
    ("ETH_in_BTC.csv", "price", 'currency = { value = "USD" }', "BTC"),
    ("Ethereum per Bitcoin.csv", "price", "", "BTC"),
    ("BTC-USDT.csv", "price", 'currency = { value = "USD" }', "USDT"),
    ("BTCUSDT-1h-2024-01.csv", "price", "", "USDT"),
    ("BTCUSDT.csv", "price", 'currency = { value = "USD", accept = ["USDT"] }', None),
    ("USDT_BTC.csv", "price", "", "USDT"),
    ("EUR/BTC.csv", "price", 'currency = { value = "USD" }', "EUR"),
    ("TRY/2024/01/day/BTC.csv", "price", "", "TRY"),
    ("ETH-BTC/2024.csv", "price", "", "BTC"),
    ("EUR/BTC-USD.csv", "price", "", None),
    ("try/mnt/europe/btc.csv", "price", 'currency = { value = "USD" }', None),
    ("mar/audio/sekunden.csv", "price", "", None),
    ("EURT-USD.csv", "price", "", None),
    ("EUR-USD.csv", "price", "", None),
    ("EURC.csv", "price", "", None),
    ("WBTC-USD.csv", "price", "", None),
    ("CBETH.csv", "price", "", None),
    ("USDT-USD.csv", "price", "", None),
    ("USD-BTC.csv", "price", "", None),
    ("BTC_ETH.csv", "price", "", None),
    ("ETH BTC SOL.csv", "price", "", None),
    ("BTC_EURC.csv", "price", "", "EURC"),
    ("ETH-WBTC.csv", "price", "", "WBTC"),
    ("BTC-EUR.csv", "price", 'currency = { path = "name", value = "USD", accept = ["N"] }', None),
    ("BTC-USD.csv", "price", "", None),
    ("MNT_daily.csv", "price", "", None),
    ("all.csv", "price", "", None),
]


@pytest.mark.parametrize(("name", "column", "currency", "said"), IN_EUROS)
def test_file_is_an_error_when_its_name_says_another_currency(shown, tmp_path, name, column, currency, said):
    """Or its folder, unless a column says in what its prices are, or the map: nothing of it is taken for dollars."""
    content = TWO.replace("price", column)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    changes = {"fields": currency, "replace": [('"price"', f'"{column}"')]}
    if said is None:
        assert shown(content, name=name, **changes) == ["1.5", "2.5"]
        return
    with pytest.raises(SliceError, match=f"says {said}, and no column") as caught:
        shown(content, name=name, **changes)
    assert (caught.value.code, "value =" in caught.value.message) == ("wrong_currency", False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ETH_in_BTC.csv", "BTC"), ("eth-vs-btc.csv", "BTC"), ("Ethereum in Bitcoin.csv", "BTC"), ("LTCBTC.csv", "BTC"),
        ("btc.csv", None), ("to_btc.csv", None), ("BTC-USD.csv", None), ("bitcoin-history.csv", None),
    ],
)  # fmt: skip
def test_file_is_an_error_when_another_coin_is_priced_in_that_of_the_map(shown, name, said):
    """What ETH costs in BTC is no price of BTC."""
    changes = {
        "fields": 'currency = { value = "USD" }',
        "replace": [('symbol = "symbol"', 'symbol = { value = "BTC" }')],
    }
    if said is None:
        assert shown(TWO, name=name, **changes) == ["1.5", "2.5"]
        return
    with pytest.raises(SliceError, match=f"says ({said}, and no column|ETH|LTC)"):
        shown(TWO, name=name, **changes)


@pytest.mark.parametrize(
    ("ending", "said"), [("_eur", "EUR"), ("BTC", "BTC"), ("-USDT", "USDT"), ("_usd", ""), ("", "")]
)
def test_wide_file_is_an_error_when_its_columns_say_another_currency(shown, ending, said):
    """Beside the coin that each of them is of: no constant makes dollars of that."""
    wide = f"wide = {{ columns = '(?P<coin>DOGE|EUR){ending}', value = 'price' }}"
    changes = {"files": wide, "replace": WIDE_COINS, "fields": 'currency = { value = "USD" }'}
    content = f"date,DOGE{ending},EUR{ending}\n2026-01-01,1,2\n"
    if not said:
        assert shown(content, **changes) == ["1", "2"]
        return
    with pytest.raises(SliceError, match=f"the column 'DOGE{ending}' says {said}"):
        shown(content, **changes)
    accepting = changes | {"fields": f'currency = {{ value = "USD", accept = ["{said}"] }}'}
    assert shown(content, **accepting) == ["1", "2"]


def test_currency_in_a_name_is_no_dollar_when_the_pattern_cuts_it_short(shown):
    """USD is the beginning of USDT."""
    changes = {"files": "name_pattern = '(?P<quote>USD|EUR)'", "fields": 'currency = "quote"'}
    assert shown(TWO, name="BTCUSD.csv", **changes) == ["1.5", "2.5"]
    assert shown(TWO, name="BTCEUR.csv", **changes) == ["wrong_currency"] * 2
    with pytest.raises(SliceError, match="says USDT, and no column"):
        shown(TWO, name="BTCUSDT.csv", **changes)


def test_name_of_a_file_counts_no_more_when_it_was_read_before_or_the_map_accepts_it(tmp_path):
    """What is accepted is said in the map; a file that was read by a map before is of the same coin still."""
    path = tmp_path / "LUNA-USD.csv"
    path.write_text(TWO)
    constant = ('symbol = "symbol"', 'symbol = { value = "LUNC" }')
    source, accepting = load(tmp_path, replace=[constant]), ('value = "LUNC"', 'value = "LUNC", accept = ["LUNA"]')
    path.write_text(TWO.replace("symbol", "x"))
    with pytest.raises(SliceError, match=r"symbol = { value = 'LUNC', accept = \['LUNA'\] }"):
        read(source, path)
    first = read(load(tmp_path, replace=[constant, accepting]), path)
    path.write_text(path.read_text() + "U,N,2026-01-02,3\n")
    assert (first.shown, read(source, path, first.after).shown) == (["1.5", "2.5"], ["3"])


# Name of a file, and the constants of the map -> the coins that it says and the map does not.
OTHER_COINS = [
    ("ETH-USD.csv", "BTC", "N", "ETH"),
    ("Binance_LUNCUSDT_d.csv", "BTC", "N", "LUNC"),
    ("lunc-usd-max.csv", "BTC", "N", "LUNC"),
    ("ETH-BTC.csv", "BTC", "N", "ETH"),
    ("eth-2024-01.csv", "BTC", "N", "ETH"),
    ("ethereum (1).csv", "BTC", "N", "ETH"),
    ("coin_Polkadot.csv", "", "Bitcoin", "DOT"),
    ("btc-2024-02.csv", "BTC", "Bitcoin", ""),
    ("XXBTZUSD.csv", "btc", "N", ""),
    ("Bitcoin-Kurs.csv", "BTC", "N", ""),
    ("PRICES-USD.csv", "BTC", "N", ""),
    ("usd-btc.csv", "BTC", "N", ""),
    ("LUNA_in_BTC.csv", "LUNA", "N", ""),
    ("BTC_vs_ETH.csv", "BTC", "N", ""),
    ("near the dot, etc.csv", "BTC", "N", ""),
    ("polygon-ecosystem-token.csv", "POL", "N", ""),
    ("LUNC and other BTC.csv", "LUNC", "N", ""),
    ("Maker fees.csv", "BTC", "N", ""),
    ("Ethereum prices for Bitcoin holders.csv", "BTC", "Bitcoin", ""),
    ("bitcoin-gold.csv", "BTG", "Bitcoin Gold", ""),
    ("bitcoin-sv-usd-max.csv", "BSV", "N", ""),
    ("ethereum-name-service.csv", "ENS", "N", ""),
    ("wrapped-btc-usd.csv", "WBTC", "N", ""),
    ("Wrapped BTC.csv", "CBBTC", "N", ""),
    ("MIOTA-USD.csv", "IOTA", "N", ""),
    ("IOTA-USD.csv", "MIOTA", "N", ""),
    ("USDT_BTC.csv", "BTC", "N", ""),
    ("Kraken Ethereum 2024.csv", "BTC", "N", "ETH"),
    ("data.csv", "BTC", "Bitcoin", ""),
    ("ETH.csv", "", "Staked ether", ""),
    ("ETH.csv", "BTC?", "N", ""),
]


@pytest.mark.parametrize(("name", "symbol", "title", "said"), OTHER_COINS)
def test_file_is_an_error_when_its_name_says_another_coin(shown, name, symbol, title, said):
    """Than a constant of the map: ether's prices are never stored as bitcoin's, however wide the glob is."""
    constants = [("symbol", symbol), ("name", title)]
    changes = [(f'{key} = "{key}"', f'{key} = {{ value = "{own}" }}') for key, own in constants if own]
    changes = {"replace": [*changes, ('"price"', '"price_usd"')]}
    content = "\n".join(f"{symbol or 'X'},{row.partition(',')[2]}" for row in TWO.splitlines()[1:])
    content = HEADER.replace("symbol", "x" if symbol else "symbol").replace("price", "price_usd") + content
    if not said:
        assert shown(content, name=name, **changes) == ["1.5", "2.5"]
        return
    with pytest.raises(SliceError, match=rf'its name says {said};.*"\(\?P<symbol>{said}\)"') as caught:
        shown(content, name=name, **changes)
    assert caught.value.code == "wrong_symbol"


ONE_COIN = {"replace": [('symbol = "symbol"', 'symbol = { value = "S" }'), ('name = "name"', 'name = { value = "N" }')]}


@pytest.mark.parametrize(
    ("content", "changes", "code", "said"),
    [
        (TWO, {"fields": CURRENCY}, "bad_header", r"no column for currency \(unit\)"),
        (TWO, {"files": 'encoding = "utf-16"'}, "bad_header", "no byte order mark"),
        ("S,N,1\n", {"files": NAMES}, "bad_header", "the first row has"),
        ("\n" * 300_000 + TWO, {}, "bad_header", "no row in 262144 bytes"),
        (" ,, \r\n" * 50_000 + TWO, {"files": NAMES}, "bad_header", "no row in 262144 bytes"),
        ("# more\n" * 50_000 + TWO, {"files": 'comment = "#"'}, "bad_header", "no row in 262144 bytes"),
        ("2026-01-01;9,5\n", {"files": 'columns = ["date", "price"]', **ONE_COIN}, "bad_header", "',' and with ';'"),
        (b"\x1f\x8bxx", {}, "bad_gzip", "cannot be decompressed"),
        (gzip.compress(TWO.encode(), mtime=0)[:-9], {}, "bad_gzip", "cannot be decompressed"),
        ("x," * 10_001 + "\n", {}, "bad_header", "at most 10000"),
        ('"symbol,name\n', {}, "unclosed_quote", "its header"),
        ("symbol,name,day,price\n", {"replace": [('"date"', '{ template = "{day} {hour}" }')]}, "bad_header", "hour"),
    ],
)  # fmt: skip
def test_file_is_one_clear_error_when_nothing_of_it_can_be_read(shown, content, changes, code, said):
    """Said once, and not as a rejection of every row."""
    with pytest.raises(SliceError, match=said) as caught:
        shown(content, **changes)
    assert caught.value.code == code
