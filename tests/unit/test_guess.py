"""Maps guessed for files as exchanges, trackers and spreadsheets write them: miniatures, made up here."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
from guessing import look, write

from kasparro.errors import ConfigError, SliceError
from kasparro.etl import pairs, source_file, trial
from kasparro.etl.guess import document, draft

DOLLARS = {"value": "USD"}
# Name and text of a file -> what its map's [files] and [fields] hold among others, and its first quote.
EXPORTS = {
    "a tracker's download": (
        "btc-usd-max.csv",
        "snapped_at,price,market_cap,total_volume\n2024-01-01 00:00:00 UTC,42208.2,8.2e11,14183728910.1\n",
        {},
        {"symbol": {"value": "BTC"}, "currency": DOLLARS, "market_cap_usd": "market_cap",
         "volume_24h_usd": "total_volume"},
        ("BTC", "2024-01-01 00:00", "42208.2"),
    ),
    "candles below an address": (
        "Gemini_ETHUSD_d.csv",
        "https://www.example.com\nunix,date,symbol,open,high,low,close,Volume ETH,Volume USD\n"
        "1641081600,2022-01-02 00:00:00,ETH/USD,3676,3730,3670,3724.88,100.5,370000\n"
        "1640995200,2022-01-01 00:00:00,ETH/USD,3600,3700,3590,3676.01,90.5,330000\n",
        {"skip_lines": 1},
        {"symbol": {"value": "ETH"}, "currency": {"path": "symbol", "accept": ["ETH/USD"]},
         "observed_at": {"path": "unix", "type": "epoch_seconds"}, "volume_24h_usd": "Volume USD"},
        ("ETH", "2022-01-02 00:00", "3724.88"),
    ),
    "seconds and prices without a header": (
        "XBTUSD_1440.csv",
        "1381017600,122.0,122.0,122.0,122.0,0.1,1\n1381104000,123.9,124.2,123.5,124.1,0.1,1\n",
        {"columns": ["time", "open", "high", "low", "close", "volume", "trades"]},
        {"price_usd": "close", "observed_at": {"path": "time", "type": "epoch_seconds"}, "currency": DOLLARS},
        ("XBT", "2013-10-06 00:00", "122.0"),
    ),
    "semicolons, decimal commas and German names": (
        "kurse.csv",
        "Datum;Kürzel;Bezeichnung;Schlusskurs (USD);Marktkapitalisierung\n"
        "24.05.2024;BTC;Bitcoin;68.526,10;1.350.000.000.000\n03.05.2024;ETH;Ethereum;3.103,54;370.000.000.000\n",
        {"delimiter": ";", "decimal": ","},
        {"symbol": "Kürzel", "name": "Bezeichnung", "observed_at": {"path": "Datum", "format": "%d.%m.%Y"},
         "market_cap_usd": "Marktkapitalisierung"},
        ("BTC", "2024-05-24 00:00", "68526.10"),
    ),
    "Portuguese names, K and per cent": (
        "BTC_USD Dados Históricos.csv",
        '\ufeff"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"\n'
        '"24.05.2024","68.526,1","67.900,0","69.000,0","66.000,0","1,23K","0,35%"\n',
        {"decimal": ",", "name_pattern": "(?<![A-Za-z0-9])(?P<symbol>BTC)(?=[^A-Za-z0-9]|$|(?i:usd))"},
        {"symbol": "symbol", "currency": DOLLARS, "price_usd": "Último"},
        ("BTC", "2024-05-24 00:00", "68526.1"),
    ),
    "Spanish names": (
        "precios.csv",
        "Fecha;Símbolo;Nombre;Precio USD;Capitalización de mercado\n25/12/2024;BTC;Bitcoin;98000,12;1900000000000\n",
        {"decimal": ","},
        {"symbol": "Símbolo", "name": "Nombre", "market_cap_usd": "Capitalización de mercado"},
        ("BTC", "2024-12-25 00:00", "98000.12"),
    ),
    "Russian names": (
        "a.csv",
        "Дата;Символ;Цена USD\n2024-01-01;BTC;42000\n",
        {"delimiter": ";"},
        {"symbol": "Символ", "observed_at": "Дата", "price_usd": "Цена USD"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "Chinese names": (
        "a.csv",
        "日期,币种,收盘价(USD),市值\n2024-01-01,BTC,42000,800000000000\n",
        {},
        {"symbol": "币种", "observed_at": "日期", "price_usd": "收盘价(USD)", "market_cap_usd": "市值"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "Japanese names": (
        "a.csv",
        "日付,銘柄,終値 (USD),始値\n2024年01月01日,BTC,42000,41000\n",
        {},
        {"symbol": "銘柄", "observed_at": {"path": "日付", "format": "%Y年%m月%d日"}, "price_usd": "終値 (USD)"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "Korean names": (
        "a.csv",
        "날짜,종목,종가(USD)\n2024-01-01,BTC,42000\n",
        {},
        {"symbol": "종목", "observed_at": "날짜", "price_usd": "종가(USD)"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "Turkish names": (
        "a.csv",
        "Tarih;Sembol;Kapan\u0131ş Fiyat\u0131 (USD)\n13.01.2024;BTC;42.000,50\n",
        {"decimal": ","},
        {"symbol": "Sembol", "price_usd": "Kapan\u0131ş Fiyat\u0131 (USD)"},
        ("BTC", "2024-01-13 00:00", "42000.50"),
    ),
    "French names in cp1252, no-break spaces": (
        "cours.csv",
        "Date;Symbole;Nom;Clôture (USD)\n25/12/2024;BTC;Bitcoin;98\u00a0000,12\n".encode("cp1252"),
        {"encoding": "cp1252", "decimal": ","},
        {"price_usd": "Clôture (USD)"},
        ("BTC", "2024-12-25 00:00", "98000.12"),
    ),
    "a ranking in dollars": (
        "ranking_2024-05-03.csv",
        '#,Name,Symbol,Price,1h %,24h %,Market Cap,Volume(24h),Circulating Supply\n'
        '1,Bitcoin,BTC,"$67,000.12",0.1%,-1.2%,"$1,320,000,000,000","$30,000,000,000","19,700,000"\n'
        '2,Ethereum,ETH,"$3,500.00",0.1%,1.2%,"$420,000,000,000","$15,000,000,000","120,000,000"\n',
        {"decimal": ".", "name_pattern": "(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"},
        {"rank": "#", "change_24h_pct": "24h %", "observed_at": "date", "circulating_supply": "Circulating Supply",
         "volume_24h_usd": "Volume(24h)"},
        ("BTC", "2024-05-03 00:00", "67000.12"),
    ),
    "opening and closing times": (
        "bitcoin-usd.csv",
        "timeOpen;timeClose;name;open;high;low;close;volume;marketCap\n"
        '"2025-12-06T00:00:00.000Z";"2025-12-06T23:59:59.999Z";"2781";89.1;90.2;88.9;89.2;37994.21;1781.33\n',
        {"delimiter": ";"},
        {"observed_at": "timeClose", "price_usd": "close", "volume_24h_usd": "volume"},
        ("SYMBOL?", "2025-12-06 23:59", "89.2"),
    ),
    "a date and a time in a zone": (
        "berlin.csv",
        "date_iso;time_berlin;symbol;price_eur;price_usd\n2024-07-01;00:00;BTC;40004,0369;44152,2269\n",
        {"decimal": ","},
        {"observed_at": {"template": "{date_iso} {time_berlin}", "timezone": "Europe/Berlin"},
         "price_usd": "price_usd"},
        ("BTC", "2024-06-30 22:00", "44152.2269"),
    ),
    "a month-first date with a clock": (
        "us.csv",
        "Date,Time,Ticker,Last (USD)\n01/13/2024,9:30,BTC,42000.5\n01/02/2024,10:30,BTC,42001.5\n",
        {},
        {"observed_at": {"template": "{Date} {Time}", "format": "%m/%d/%Y %H:%M", "timezone": "?"}},
        ("BTC", "2024-01-13 09:30", "42000.5"),
    ),
    "semicolons around decimal commas, and nothing else to go by": (
        "Bitcoin.csv",
        "Datum;Kurs\n01.01.2025;90.000,00\n13.01.2025;91.000,50\n",
        {"delimiter": ";", "decimal": ",", "skip_lines": None, "columns": None},
        {"price_usd": "Kurs", "observed_at": {"path": "Datum", "format": "%d.%m.%Y"}, "name": {"value": "Bitcoin"}},
        ("SYMBOL?", "2025-01-01 00:00", "90000.00"),
    ),
    "a short month and a currency behind numbers": (
        "cours.csv",
        'Date;Symbole;Cours\n1 janv. 2025;BTC;90 000,00 $US\n2 f\u00e9vr. 2025;BTC;"91 000,00 $US"\n',
        {"delimiter": ";", "decimal": ","},
        {"price_usd": "Cours", "observed_at": {"path": "Date", "format": "%d %b %Y"}},
        ("BTC", "2025-01-01 00:00", "90000.00"),
    ),
    "afternoons in a column, and a zone in a line above": (
        "us.csv",
        "Timezone: America/New_York\nDate,Time,Symbol,Close USD\n01/13/2024,1:30 PM,BTC,5\n01/14/2024,11:30 AM,BTC,6\n",
        {"skip_lines": 1},
        {"observed_at": {"template": "{Date} {Time}", "format": "%m/%d/%Y %I:%M %p", "timezone": "America/New_York"}},
        ("BTC", "2024-01-13 18:30", "5"),
    ),
    "a zone behind GMT": (
        "prices.csv",
        "Local time,Symbol,Close USD\n13.01.2025 00:30:00.000 GMT+0100,BTC,5\n",
        {},
        {"observed_at": {"path": "Local time", "format": "%d.%m.%Y %H:%M:%S.%f GMT%z"}},
        ("BTC", "2025-01-12 23:30", "5"),
    ),
    "thousands as in India": (
        "inr.csv",
        'Date,Symbol,Price (US$)\n2025-01-01,BTC,"1,23,456.78"\n',
        {"decimal": "."},
        {"price_usd": "Price (US$)"},
        ("BTC", "2025-01-01 00:00", "123456.78"),
    ),
    "prices in thousands": (
        "kurse.csv",
        "Datum;Symbol;Kurs (Tsd. USD)\n13.01.2025;BTC;90,5\n",
        {},
        {"price_usd": {"path": "Kurs (Tsd. USD)", "scale": "1000"}},
        ("BTC", "2025-01-13 00:00", "90500.0"),
    ),
    "prices in k$": (
        "a.csv",
        "<TICKER>,<DATE>,Price (k$)\nBTC,2024-01-01,42.1\n",
        {},
        {"price_usd": {"path": "Price (k$)", "scale": "1000"}, "symbol": "<TICKER>", "observed_at": "<DATE>"},
        ("BTC", "2024-01-01 00:00", "42100.0"),
    ),
    "a currency of prices, and no symbol": (
        "transactions.csv",
        "Timestamp,Asset,Spot Price Currency,Spot Price at Transaction\n2024-01-01,BTC,USD,5\n2024-01-02,N/A,EUR,6\n",
        {"name_pattern": None},
        {"currency": "Spot Price Currency", "symbol": {"path": "Asset", "null": ["N/A"]}},
        ("BTC", "2024-01-01 00:00", "5"),
    ),
    "a day in the name beside the coin": (
        "BTC_2024-05-03.csv",
        "price_usd,rank\n5,1\n",
        {},
        {"symbol": "symbol", "observed_at": "date"},
        ("BTC", "2024-05-03 00:00", "5"),
    ),
    "hours with AM and PM": (
        "Bitstamp_BTCUSD_1h.csv",
        "Date,Symbol,Open,High,Low,Close\n2017-08-17 04-PM,BTCUSD,16199,16263,16160,16200.5\n",
        {},
        {"observed_at": {"path": "Date", "format": "%Y-%m-%d %I-%p", "timezone": "?"}},
        ("BTC", "2017-08-17 16:00", "16200.5"),
    ),
    "a column a coin": (
        "wide.csv",
        "time,BTC-USD,ETH-USD\n2024-01-01T00:00:00Z,42000,2200\n",
        {"wide": {"columns": r"(?P<symbol>BTC|ETH)\-USD"}},
        {"symbol": "symbol", "price_usd": "value", "currency": DOLLARS},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "pairs beside other currencies": (
        "wide.csv",
        "Date,BTC/USD,ETH/USD,EUR/USD,S&P 500\n2024-01-01,42000,2200,1.09,4700\n",
        {"wide": {"columns": "(?P<symbol>BTC|ETH)/USD"}},
        {"symbol": "symbol", "currency": DOLLARS},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "a header of several rows for several coins": (
        "yf.csv",
        "Price,Close,Close,High\nTicker,BTC-USD,ETH-USD,BTC-USD\nDate,,,\n2024-01-01,44167.33,2200,44175.43\n",
        {"wide": {"columns": r"Close\ (?P<symbol>BTC|ETH)\-USD"}},
        {"symbol": "symbol", "currency": DOLLARS},
        ("BTC", "2024-01-01 00:00", "44167.33"),
    ),
    "a header that comes again in another order": (
        "joined.csv",
        "date,symbol,price_usd,market_cap\n2024-01-01,BTC,6,900\n2024-01-02,BTC,7,901\n"
        "date,symbol,market_cap,price_usd\n2024-01-03,BTC,902,8\n2024-01-04,BTC,902,9\n2024-01-05,BTC,903,9\n",
        {"skip_lines": None},
        {"price_usd": "price_usd", "market_cap_usd": "market_cap"},
        ("BTC", "2024-01-01 00:00", "6"),
    ),
    "a drawn table with padded names": (
        "psql.txt",
        "    date    | symbol | price_usd\u0020\n------------+--------+-----------\n 2024-01-01 | BTC    |   42000\n"
        "    date    | symbol | price_usd\u0020\n 2024-01-02 | BTC    |   42001\n(2 rows)\n",
        {"delimiter": "|"},
        {"price_usd": "price_usd"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "quotes behind backslashes": (
        "mysql.csv",
        '"date","symbol","name","price_usd"\n"2024-01-01","BTC","the \\"coin\\", it is","42000"\n',
        {"escape": "\\"},
        {"name": "name", "price_usd": "price_usd"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "coins beside other things": (
        "assets-usd.csv",
        "Date,SPX,GOLD,OIL,BTC,ETH\n2024-01-01,4700,2060,70,42000,2200\n",
        {"wide": {"columns": "(?P<symbol>BTC|ETH)"}},
        {"symbol": "symbol", "price_usd": "value", "currency": DOLLARS},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "comments, and words for absent": (
        "notes.csv",
        "# exported by hand\n# 2024\ntimestamp,symbol,price_usd,market_cap\n"
        + "".join(f"170406720{number}000,BTC,4200{number},{number * 100 or 'unknown'}\n" for number in range(9)),
        {"comment": "#"},
        {"observed_at": {"path": "timestamp", "type": "epoch_milliseconds"},
         "market_cap_usd": {"path": "market_cap", "null": ["unknown"]}},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "a currency in a column": (
        "currencies.csv",
        "date,coin,price,currency\n2024-01-01,BTC,42000,USD\n2024-01-01,ETH,2200,EUR\n",
        {},
        {"symbol": "coin", "currency": "currency"},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "pairs of one coin": (
        "a.csv",
        "Date,Pair,Close\n2024-01-01,BTC/USD,42000\n2024-01-01,BTC/EUR,38000\n",
        {},
        {"symbol": {"value": "BTC"}, "currency": {"path": "Pair", "accept": ["BTC/USD"]}},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "a ticker of Stooq's": (
        "a.csv",
        "<TICKER>,<PER>,<DATE>,<CLOSE>\nBTCUSD.V,D,20240101,42000\n",
        {},
        {"symbol": {"value": "BTC"}, "currency": {"path": "<TICKER>", "accept": ["BTCUSD.V"]}},
        ("BTC", "2024-01-01 00:00", "42000"),
    ),
    "a header of several rows": (
        "yf.csv",
        "Price,Close,High,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD\nDate,,,\n2024-01-01,44167.33,44175.43,18426978443\n",
        {"skip_lines": 3, "columns": ["Date", "Close", "High", "Volume"]},
        {"price_usd": "Close", "observed_at": "Date", "symbol": {"value": "BTC"}, "currency": DOLLARS},
        ("BTC", "2024-01-01 00:00", "44167.33"),
    ),
    "a currency's sign in a name": (
        "cotações.csv",
        "Data;Criptomoeda;Preço (US$);Preço (R$)\n31/12/2023 23:59;BTC;42.265,19;200.000,00\n",
        {"decimal": ","},
        {"price_usd": "Preço (US$)", "symbol": "Criptomoeda",
         "observed_at": {"path": "Data", "format": "%d/%m/%Y %H:%M"}},
        ("BTC", "2023-12-31 23:59", "42265.19"),
    ),
    "microseconds without a header": (
        "ETHUSD-1d.csv",
        "1735689600000000,93.6,95.1,92.8,94.5,10,1735775999999999,97,15,5,47,0\n"
        "1735776000000000,94.5,97.8,94.3,96.9,21,1735862399999999,21,27,11,10,0\n",
        {},
        {"observed_at": {"path": "close_time", "type": "epoch_microseconds"}, "price_usd": "close"},
        ("ETH", "2025-01-01 23:59", "94.5"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXPORTS)
def test_guess_reads_an_export(kind: str, tmp_path: Path) -> None:
    """Every miniature gives the map that a person would write, and with it the right quotes."""
    name, content, files, fields, quote = EXPORTS[kind]
    found = look(write(tmp_path, name, content))
    assert {key: found.map["files"].get(key) for key in files} == files
    assert {key: found.fields.get(key) for key in fields} == fields
    assert found.quotes[0] == quote


FORMS = {
    "UTF-16 with a mark": "date\tsymbol\tprice_usd\n2024-01-01\tBTC\t42000\n".encode("utf-16"),
    "UTF-16 without one": "date\tsymbol\tprice_usd\n2024-01-01\tBTC\t42000\n".encode("utf-16-be"),
    "UTF-8 with a mark": b"\xef\xbb\xbfdate|symbol|price_usd\r\n2024-01-01|BTC|42000",
    "gzip": gzip.compress(b"date,symbol,price_usd\n2024-01-01,BTC,42000\n"),
    "carriage returns": b"date,symbol,price_usd\r2024-01-01,BTC,42000\r",
    "a header in one cell": b'"date,symbol,price_usd"\n2024-01-01,BTC,42000\n',
    "rows in one cell": b'"date,symbol,price_usd"\n"2024-01-01,BTC,42000"\n',
    "a hint for spreadsheets": b"sep=;\ndate;symbol;price_usd\n2024-01-01;BTC;42000\n",
    "one more cell": b"date,symbol,price_usd\n2024-01-01,BTC,42000,\n2024-01-02,BTC,43000,\n",
    "lines, another header": b"---,---,---\ndate,symbol,price_usd\n2024-01-01,BTC,42000\n\ndate,symbol,price_usd\n",
    "a title": b"Prices of my coins\n\ndate,symbol,price_usd\n2024-01-01,BTC,42000\n",
    "quoted line ends": b'date,symbol,note,price_usd\n2024-01-01,BTC,"a\nb",42000\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_guess_reads_a_form_of_file(form: str, tmp_path: Path) -> None:
    """However it is written, what is in it is the same."""
    found = look(write(tmp_path, "export.csv", FORMS[form]))
    assert found.undecided == {}
    assert found.quotes[0] == ("BTC", "2024-01-01 00:00", "42000")
    assert found.trial is not None
    assert found.trial.rejected == 0


# Name and text of a file in which something speaks of another currency than the dollar -> a part of what is asked.
OTHER_CURRENCIES = [
    ("btc_usd_eur.csv", "date,price\n2024-01-01,5\n", "the name of the file says EUR and USD"),
    ("btc-usd-to-eur-2025.csv", "date,price\n2024-01-01,5\n", "says EUR and USD"),
    ("BTCUSD_converted_to_EUR.csv", "date,price\n2024-01-01,5\n", "says EUR and USD"),
    ("btc_usd_cad_prices.csv", "date,price\n2024-01-01,5\n", "says CAD and USD"),
    ("usd-coin.csv", "date,symbol,price\n2024-01-01,USDC,0.9\n", "is not said"),
    ("BTC-USD.csv", "Preise in Euro\ndate,price\n2024-01-01,5\n", "the line 'Preise in Euro' says EUR and USD"),
    ("BTC.csv", "Currency: GBP\ndate,price_usd\n2024-01-01,5\n", "US dollars, the line 'Currency: GBP'"),
    ("BTC.csv", "# in CHF\ndate,price\n2024-01-01,$5\n", "says CHF"),
    ("BTC-EUR.csv", "date,price_usd\n2024-01-01,5\n", "the name of the file says EUR"),
    ("BTC-USD.csv", "date,Preis in Euro\n2024-01-01,5\n", "prices are in EUR"),
    ("BTC-USD.csv", "date,Preis (Euro),Kurs in Euro\n2024-01-01,5,5\n", "prices are in EUR"),
    ("BTC-USD.csv", "date,a,b\n2024-01-01,5,6\n", "with price_usd"),
    ("a.csv", "date,pair,Close EUR\n2024-01-01,BTC/USD,5\n", "no US dollars but EUR"),
    ("a.csv", "date,symbol,Price BTC\n2024-01-01,ETH,0.03\n", "prices are in BTC"),
    ("prices_eur.csv", "date,BTC-USD,ETH-USD\n2024-01-01,5,6\n", "prices are in EUR"),
    ("usd-btc.csv", "date,price\n2024-01-01,0.00002\n", "the name of the file says BTC and USD"),
    ("ETHBTC.csv", "date,price\n2024-01-01,0.05\n", "prices are in BTC, the name of the file says so"),
    ("ETH_in_BTC.csv", "date,price\n2024-01-01,0.05\n", "prices are in BTC"),
    ("a.csv", "date,symbol,price\n2024-01-01,ETHBTC,0.05\n", "the price is in BTC"),
    ("EUR/BTC.csv", "date,price\n2024-01-01,5\n", "prices are in EUR, the folder 'EUR' says so"),
    ("BTCUSDT.csv", "date,price\n2024-01-01,5\n", '{ value = "USD", accept = ["USDT"] } takes it for US dollars'),
    ("BTC.csv", "date,price_usdt\n2024-01-01,5\n", '{ value = "USD", accept = ["USDT"] } takes it for US dollars'),
    ("a.csv", "date,symbol,price,Fee Currency\n2024-01-01,BTC,5,EUR\n", "'Fee Currency' says EUR"),
    ("a.csv", "date,symbol,Price USD,Fiat\n2024-01-01,BTC,5,USD\n2024-01-02,BTC,5,EUR\n", "'Fiat' EUR, USD"),
    ("a.csv", "date,symbol,price\n2024-01-01,BTC,5 kr\n", "no US dollars but 5 kr"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), OTHER_CURRENCIES)
def test_guess_asks_for_the_currency_when_another_is_named(name: str, content: str, said: str, tmp_path: Path) -> None:
    """In a file's name, a line above the header, a column's name, a value: dollars are what nothing contradicts."""
    assert said in look(write(tmp_path, name, content)).undecided["currency"]


UNDECIDED = {
    "the order of day and month": ("date,symbol,price_usd\n03/04/2024,BTC,65000\n", "observed_at", "03 April 2024"),
    "and so it is with points": ("date;symbol;price_usd\n03.04.2024;BTC;65000\n", "observed_at", "04 March 2024"),
    "a year of two digits": ("date,symbol,price_usd\n20/12/24,BTC,65000\n", "observed_at", "day and month"),
    "prices of three decimals": (
        "date,symbol,price_usd\n2024-01-01,BTC,41.100\n2024-01-02,BTC,41.101\n",
        "decimal",
        "41.100 may be",
    ),
    "thousands or decimals": ('date,symbol,price_usd\n2024-01-01,BTC,"1,234"\n', "decimal", "1,234"),
    "the currency": ("date,symbol,price\n2024-01-01,BTC,65000\n", "currency", "US dollars"),
    "another currency": ("date,symbol,price_eur\n2024-01-01,BTC,65000\n", "currency", "EUR"),
    "its sign": ("date,symbol,price\n2024-01-01,BTC,€65000.10\n", "currency", "€65000.10"),
    "a coin near the dollar": ("date,symbol,close\n2024-01-01,BTCUSDT,65000\n", "currency", 'accept = ["BTCUSDT"]'),
    "the symbol": ("date,price_usd\n2024-01-01,65000\n", "symbol", '{ value = "BTC" }'),
    "a symbol in quotes": ("date,symbol,price_usd\n2024-01-01,\u201cBTC\u201d,6\n", "symbol", "quotes or hidden signs"),
    "symbols of two tables": (
        "Symbol: BTC\ndate,price_usd\n2024-01-01,42000\n2024-01-02,42001\n2024-01-03,42002\nSymbol: ETH\n"
        "date,price_usd\n2024-01-01,2200\n",
        "symbol",
        "say BTC, ETH: split it",
    ),
    "several pairs": ("date,pair,close\n2024-01-01,BTC/USD,6\n2024-01-01,ETH/USD,2\n", "symbol", "split the file"),
    "the time": ("symbol,price_usd\nBTC,65000\n", "observed_at", "no column holds times"),
    "a ruined time": ("time;symbol;price_usd\n1,77746E+12;BTC;6\n", "observed_at", "spreadsheet"),
    "a month in Finnish": ("date,symbol,price_usd\n24 toukokuu 2024,BTC,6\n", "observed_at", "'toukokuu'"),
    "a zone that is none": ("Date (EST),symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "observed_at", "'est'"),
    "a zone that only clocks show": (
        "time,symbol,price_usd\n2024-10-25 02:00,BTC,6\n2024-10-26 02:00,BTC,6\n2024-10-27 01:00,BTC,6\n"
        "2024-10-28 01:00,BTC,6\n",
        "observed_at",
        "a day apart at 02:00 and 01:00",
    ),
    "a header of another table": (
        "date,symbol,price_usd\n2024-01-01,BTC,6\n2024-01-02,BTC,6\n2024-01-03,BTC,6\n"
        "date,symbol,volume,price_usd\n2024-01-04,ETH,900,6\n2024-01-05,ETH,900,6\n2024-01-06,ETH,900,6\n",
        "glob",
        "below another header, 'date,symbol,volume,price_usd' in line 5, rows are rejected",
    ),
    "thousands below no name": (
        "date,symbol,price_usd,\n2024-01-01,BTC,42,001\n2024-01-02,BTC,42,002\n",
        "glob",
        "'001' stands below no name",
    ),
    "thousands in more cells than names": (
        "#,Name,Symbol,Price,Market Cap\n1,One,C1,$40,000.00,$1.5B\n2,Two,C2,$41,000.00,$1.5B\n",
        "glob",
        "5 names stand above rows of 6 cells ('#,Name,Symbol,Price,Market Cap')",
    ),
    "a price below zero": ("date,symbol,close\n2024-01-01,BTC,6\n2024-01-02,BTC,-1\n", "price_usd", "'-1' stands in"),
    "a price that is no number": ("date,symbol,close\n2024-01-01,BTC,Rs. 5\n", "price_usd", "holds 'Rs. 5', no number"),
    "times in two units": (
        "time,symbol,price_usd\n1704067200000,BTC,6\n1735689600000000,BTC,6\n",
        "observed_at",
        "in units that differ",
    ),
    "another currency than dollars": (
        "# in EUR and USD\nDate,Symbol,Close\n2024-01-01,BTC,6\n",
        "currency",
        '{ value = "USD", accept = ["EUR"] }',
    ),
    "columns with the names of coins": (
        "Date,Bitcoin (USD),Ethereum (USD)\n2024-01-01,42000,2200\n",
        "price_usd",
        'as "Bitcoin (USD)" with symbol = { value = "BTC" }',
    ),
    "a price in two columns": ("Date,Price,Symbol,Price\n2024-01-01,5,BTC,6\n", "price_usd", '"Price", "Price_4"'),
    "the price": ("date,symbol,a,b\n2024-01-01,BTC,65000,66000\n", "price_usd", '"a", "b"'),
    "one of two prices": ("date,symbol,price usd,price_usd\n2024-01-01,BTC,6,7\n", "price_usd", "which of the columns"),
    "prices of 1000": ("date,symbol,Price USD per 1000\n2024-01-01,BTC,42.1\n", "price_usd", '"Price USD per 1000"'),
    "no price of now": ("date,symbol,Price target USD\n2024-01-01,BTC,9\n", "price_usd", '"Price target USD"'),
    "a date of another thing": ("symbol,Listed on,price_usd\nBTC,2013-01-01,6\n", "observed_at", '"Listed on" may say'),
    "a sign that another column proves": (
        "date;symbol;Price USD;Volume\n2024-01-01;BTC;101.125;1.234.501,5\n2024-01-02;BTC;102.125;1.234.501,5\n",
        "decimal",
        "101.125 may be either",
    ),
    "trades without a header": ("1381095255,122.0,0.1\n1381179030,123.61,0.1\n", "price_usd", "column_2"),
}


@pytest.mark.parametrize("what", UNDECIDED)
def test_guess_leaves_undecided(what: str, tmp_path: Path) -> None:
    """What may be wrong is not guessed: the map says what to fill in, and is refused, by file and key, until then."""
    text, key, said = UNDECIDED[what]
    path = write(tmp_path, "export.csv", text)
    assert said in look(path).undecided[key]
    (tmp_path / "my.toml").write_text(document.write(draft.run([path])), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        source_file.load(tmp_path / "my.toml")
    assert any(f'{key}: "?" stands for what is still to be filled in' in line for line in refused.value.problems)


def test_guess_names_columns_anew_when_two_have_the_same_name(tmp_path: Path) -> None:
    """No map can tell them apart by a header that does not."""
    files = look(write(tmp_path, "a.csv", "Date,Price,Symbol,Price\n2024-01-01,5,BTC,6\n")).map["files"]
    assert (files["skip_lines"], files["columns"]) == (1, ["Date", "Price", "Symbol", "Price_4"])


@pytest.mark.parametrize(
    ("name", "encoding", "said"),
    [
        ("Z\u0142oty", "cp1250", "Z\u0142oty in cp1250"),
        (
            "\u0411\u0438\u0442\u043a\u043e\u0438\u043d",
            "cp1251",
            "\u0411\u0438\u0442\u043a\u043e\u0438\u043d in cp1251",
        ),
        ("\u6bd4\u7279\u5e01", "gb18030", "in gb18030"),
        ("Pe\u00f1a", "cp1252", "Pe\u00f1a in cp1252, Pe\u0144a in cp1250"),
        ("Cl\u00f4ture", "mac-roman", "Cl\u00f4ture in mac-roman"),
        ("Clôture", "cp1252", None),
    ],
)
def test_guess_asks_for_the_encoding_when_words_come_out_wrong(
    name: str, encoding: str, said: str | None, tmp_path: Path
) -> None:
    """Names in another code page than that of western Europe are not stored garbled."""
    text = f"date,symbol,name,price_usd\n2024-01-01,BTC,{name},5\n"
    path = write(tmp_path, "a.csv", text, encoding=encoding)
    found = look(path).undecided.get("encoding")
    assert found is None if said is None else said in str(found)
    said_so = draft.run([path], encoding)
    assert (said_so.undecided, f'encoding = "{encoding}"' in document.write(said_so)) == ([], True)


def test_guess_refuses_an_encoding_that_files_cannot_be_read_in(tmp_path: Path) -> None:
    """And names what was wrong."""
    with pytest.raises(SliceError, match="--encoding: 'rot13'"):
        draft.run([write(tmp_path, "a.csv", "date,symbol,price_usd\n2024-01-01,BTC,6\n")], "rot13")


NIGHT = "".join(f"2024-10-27 0{hour}:00,BTC,6\n" for hour in (0, 1, 2, 2, 3, 4, 5))
SPRING = "".join(f"31.03.2024;0{hour}:00;BTC;6\n" for hour in (0, 1, 3, 4, 5))
# Rows of times, below their header -> what of observed_at is asked, None for nothing: the last are in no doubt.
TIMES = [
    ("Datum Uhrzeit (MEZ),symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "'mez'"),
    ("date_est,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "nothing says whose clocks"),
    ("Time UTC+1,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "'UTC+1'"),
    ("# all times CET\ndate,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "'cet'"),
    ("date,symbol,price_usd\n" + NIGHT, "27 October 2024 02:00 comes twice"),
    ("Datum;Uhrzeit;symbol;price_usd\n" + SPRING, "31 March 2024 02:00 is left out"),
    ("date,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "nothing says whose clocks"),
    ("date,symbol,price_usd\n25/01/2024,BTC,6\n01/26/2024,BTC,6\n", "25/01/2024 and 01/26/2024 are not in the same"),
    ("date,symbol,price_usd\n11/01/2024,BTC,6\n12/01/2024,BTC,6\n01/13/2024,BTC,6\n", "01/13/2024 and 11/01"),
    ("date,symbol,price_usd\n2024-13-41,BTC,6\n", "'date' holds no times that can be read, but '2024-13-41'"),
    ("Date,Time,symbol,price_usd\n2024-01-01,10-30,BTC,6\n", 'stands in "Time", as in { template = "{Date} {Time}" }'),
    ("Date,Hour,symbol,price_usd\n2024-01-01,10,BTC,6\n", 'the time of day stands in "Hour"'),
    ("date,symbol,price_usd\n2024-01-01T10:00Z,BTC,6\n2024-01-02T10:00,BTC,7\n", "a day apart at 10:00"),
    ("# written 2024-02-01 10:00 UTC\ndate,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", "nothing says whose clocks"),
    ("# times are UTC\ndate,symbol,price_usd\n2024-01-01 09:30,BTC,6\n", None),
    ("date,symbol,price_usd\n2024-01-01 00:00:00,BTC,6\n2024-01-02 00:00:00,BTC,6\n", None),
    ("date;symbol;price_usd\n1. Jan. 2024;BTC;6\n2. Mai 2024;BTC;6\n", None),
    ("fecha,symbol,price_usd\n24 de mayo de 2024,BTC,6\n", None),
]


@pytest.mark.parametrize(("content", "asked"), TIMES)
def test_guess_asks_for_a_time_that_could_be_two(content: str, asked: str | None, tmp_path: Path) -> None:
    """Local clocks are not taken for those of UTC, and dates that contradict each other for none of both."""
    found = look(write(tmp_path, "times.csv", content)).undecided.get("observed_at")
    assert found is None if asked is None else asked in str(found)


def test_guess_takes_a_column_of_times_for_one_when_a_few_rows_are_none(tmp_path: Path) -> None:
    """A footer is a rejection, and no reason to date all rows alike."""
    rows = "".join(f"2024-01-{day:02},BTC,6\n" for day in range(1, 20))
    path = write(tmp_path, "a.csv", f"Date,symbol,price_usd\n{rows}Total,,114\nSource: somebody,,\n")
    found = look(path)
    assert (found.fields["observed_at"], found.undecided) == ("Date", {})
    assert "'Total', 'Source: somebody' are no times: rejected" in document.write(draft.run([path]))
    assert found.trial is not None
    assert (found.trial.quotes, found.trial.rejected) == (19, 2)


def test_guess_takes_no_currency_for_dollars(tmp_path: Path) -> None:
    """A file in euros has no first quotes to show: they would be wrong."""
    assert look(write(tmp_path, "BTC_EUR.csv", "date,price\n2024-01-01,40000\n")).trial is None


def test_guess_proposes_what_is_not_sure_as_a_comment(tmp_path: Path) -> None:
    """A volume may count coins: it is not loaded before a person says so."""
    path = write(tmp_path, "BTC-USD.csv", "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-01,1,2,1,2,2,900\n")
    assert "volume_24h_usd" not in look(path).fields
    assert '# volume_24h_usd = "Volume"' in document.write(draft.run([path]))


ROWS = [f"2024-01-{day:02},BTC,42000,{{}}" for day in range(1, 11)]
# A column beside the price, and its cells -> what its field is in the map, None for a comment or nothing.
OPTIONAL = [
    ("Market Value USD", "45000", "market_cap_usd", None),
    ("Market Cap", "1820000000 EUR", "market_cap_usd", None),
    ("Market Cap (EUR)", "1820000000", "market_cap_usd", None),
    ("Volume 24h", "333 BTC", "volume_24h_usd", None),
    ("Market Cap USD", '"1,101 B"', "market_cap_usd", None),
    ("Market Cap", "1820000000", "market_cap_usd", "Market Cap"),
    ("Market Cap (millions)", "1820", "market_cap_usd", {"path": "Market Cap (millions)", "scale": "1000000"}),
    ("Rank", "0", "rank", None),
]


@pytest.mark.parametrize(("column", "cell", "field", "expected"), OPTIONAL)
def test_guess_maps_a_number_that_a_quote_does_not_need_only_when_it_is_one(
    column: str, cell: str, field: str, expected: object, tmp_path: Path
) -> None:
    """In doubt it is a comment: it must not cost a file its quotes, nor be another thing than its name says."""
    content = "\n".join(["date,symbol,price_usd," + column, *(row.format(cell) for row in ROWS)])
    found = look(write(tmp_path, "a.csv", content))
    assert (found.fields.get(field), found.undecided, len(found.quotes)) == (expected, {}, 10)


def test_guess_takes_a_zero_among_billions_for_unknown(tmp_path: Path) -> None:
    """No coin with a price is worth nothing."""
    cells = ["0.0", *["1820000000.5"] * 9]
    rows = [row.format(cell) for row, cell in zip(ROWS, cells, strict=True)]
    found = look(write(tmp_path, "a.csv", "\n".join(["date,symbol,price_usd,market_cap", *rows])))
    assert found.fields["market_cap_usd"] == {"path": "market_cap", "zero_is_null": True}


CONTRADICTIONS = [
    ("date,symbol,price_usd\n2024-01-01,BTC,5\n2024-01-01,BTC,6\n", "duplicates", "2 records contradict each other"),
    ("date,symbol,price,currency\n2024-01-01,BTC,5,EUR\n", "currency", "no record gives a quote"),
    ("date,symbol,price_usd\n2024-01-01,BTC,0\n", "price_usd", "rejected as price_not_positive"),
]


@pytest.mark.parametrize(("content", "key", "said"), CONTRADICTIONS)
def test_guess_asks_when_its_own_quotes_contradict_it(content: str, key: str, said: str, tmp_path: Path) -> None:
    """A map that gives nothing, or the same moment twice, is not finished."""
    assert said in look(write(tmp_path, "a.csv", content)).undecided[key]


@pytest.mark.parametrize(
    ("name", "symbol", "currency"),
    [
        ("btc-usd-max.csv", "BTC", "usd"),
        ("XBTUSD_1440.csv", "XBT", "usd"),
        ("XXBTZEUR.csv", "XBT", "eur"),
        ("usd-btc.csv", "", ""),
        ("USD-BTC.csv", "", ""),
        ("USDC_ETH.csv", "", ""),
        ("USDC-EUR.csv", "USDC", "eur"),
        ("wrapped-btc-usd.csv", "", "usd"),
        ("PRICES-USD.csv", "", "usd"),
        ("BTCUSDT-1h-2024-01.csv", "BTC", "usdt"),
        ("1INCHUSDT.csv", "1INCH", "usdt"),
        ("BITSTAMP_BTCUSD, 1D.csv", "BTC", "usd"),
        ("APE-EUR (1).csv", "APE", "eur"),
        ("export_BTC_2024.csv.gz", "BTC", ""),
        ("DATA_FINAL.csv", "", ""),
        ("BTC_vs_ETH.csv", "", "eth"),
        ("my_try.csv", "", ""),
    ],
)
def test_file_name_says_a_symbol_only_where_it_is_plain(name: str, symbol: str, currency: str) -> None:
    """A known coin by itself, or a pair; any other word in capitals may be anything."""
    found = pairs.file_name(Path(name))
    assert (found.symbol, found.currency) == (symbol, currency)


def test_guess_keeps_rows_of_another_pair_out(tmp_path: Path) -> None:
    """The symbol is said once for the whole file, so a row of another pair must not come in under it."""
    path = write(tmp_path, "pairs.csv", "date,pair,close\n2024-01-01,BTC/USD,42000\n")
    text = document.write(draft.run([path]))
    path.write_text(path.read_text() + "2024-01-02,ETH/USD,2200\n")
    found = trial.run(source_file.parse(text, name="a.toml", folder=tmp_path), path, first=5)
    assert [(each.symbol, f"{each.quote.price_usd:f}") for each in found.first if each.quote] == [("BTC", "42000")]
    assert [code for code, _ in found.reasons] == ["wrong_currency"]


def test_guess_makes_one_map_for_files_that_agree(tmp_path: Path) -> None:
    """Their names tell the symbols apart, and the glob names no other file."""
    paths = [write(tmp_path, f"{name}_usd_2024.csv", f"date,close\n2024-01-01,{price}\n")
             for name, price in (("btc", 42000), ("eth", 2200))]  # fmt: skip
    write(tmp_path, "other.csv", "a,b\n")
    found = look(*paths)
    assert found.undecided == {}
    assert found.quotes == [("btc", "2024-01-01 00:00", "42000")]
    assert sorted(Path(found.map["files"]["glob"]).parent.glob(Path(found.map["files"]["glob"]).name)) == sorted(paths)


def test_guess_makes_one_map_for_headers_in_any_letter_case(tmp_path: Path) -> None:
    """It reads them all."""
    paths = [write(tmp_path, f"{head[:4]}.csv", f"{head}\n2024-01-01,BTC,6\n")
             for head in ("Date,Symbol,Price USD", "DATE,SYMBOL,PRICE USD")]  # fmt: skip
    source = source_file.parse(document.write(draft.run(paths)), name="a.toml", folder=tmp_path)
    assert [trial.run(source, path, first=1).quotes for path in paths] == [1, 1]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [(("BTC-USD", "ETH-USD", "BTC-EUR"), "(?P<symbol>BTC|ETH)[^A-Za-z0-9]?(?P<currency>(?i:eur|usd))"),
     (("BTC_in_usd", "BTC_in_eur"), "(?<![A-Za-z0-9])(?P<currency>(?i:eur|usd))")],
)  # fmt: skip
def test_guess_finds_each_file_s_currency_in_its_name(names: Sequence[str], pattern: str, tmp_path: Path) -> None:
    """Files in euros beside those in dollars are read, and rejected."""
    paths = [write(tmp_path, f"{name}.csv", "date,close\n2024-01-01,5\n") for name in names]
    found = look(*paths)
    assert pattern in found.map["files"]["name_pattern"]
    assert (found.fields["currency"], found.undecided) == ("currency", {})
    assert len(found.quotes) == 1
    source = source_file.parse(document.write(draft.run(paths)), name="a.toml", folder=tmp_path)
    assert list(trial.run(source, paths[-1], first=1).reasons) == [("wrong_currency", "currency")]


@pytest.mark.parametrize(("name", "other"), [("BTC-USD", "ETH-USD"), ("btc-usd", "eth-usd"), ("XXBTZUSD", "XETHZUSD")])
def test_guess_of_one_file_keeps_others_out_when_its_name_says_the_symbol(
    name: str, other: str, tmp_path: Path
) -> None:
    """However wide a person makes the glob, ether's prices do not become bitcoin's."""
    path, more = (write(tmp_path, f"{each}.csv", "date,close\n2024-01-01,5\n") for each in (name, other))
    source = source_file.parse(document.write(draft.run([path])), name="a.toml", folder=tmp_path)
    assert trial.run(source, path, first=1).quotes == 1
    assert "name_pattern does not match" in str(trial.run(source, more, first=1).error)


def test_guess_refuses_files_whose_names_do_not_tell_their_currencies_apart(tmp_path: Path) -> None:
    """One constant would be wrong for some of them."""
    paths = [write(tmp_path, f"{name}.csv", "date,close\n2024-01-01,5\n") for name in ("btc_euros", "eth_usd")]
    with pytest.raises(SliceError, match="which of them is in EUR, USD no pattern tells"):
        draft.run(paths)


def test_guess_says_in_what_files_differ(tmp_path: Path) -> None:
    """One map could not read them; each that is not like the first is named."""
    texts = {"a": "date,close\n2024-01-01,1\n", "b": "day,close\n2024-01-01,1\n", "c": "date;close\n2024-01-01;1\n"}
    paths = [write(tmp_path, f"{name}.csv", text) for name, text in texts.items()]
    with pytest.raises(SliceError) as refused:
        draft.run(paths)
    assert "b.csv has columns ['day', 'close'], a.csv has ['date', 'close']" in refused.value.message
    assert "c.csv has the delimiter ';', a.csv has ','" in refused.value.message


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"PK\x03\x04 and so on", "Excel"), (b"a,b\n\x00\x00\x01", "no text"), (b"words\n", "columns"),
     (b" <!doctype html><p>a,b", "a web page"), (b'[{"price": 1, "date": 2}]', "JSON"),
     (b"\x1f\x8bnot gzip", "decompressed")],
)  # fmt: skip
def test_guess_says_why_a_file_is_none(content: bytes, said: str, tmp_path: Path) -> None:
    """One clear sentence with the file's name."""
    with pytest.raises(SliceError, match=rf"export.csv: .*{said}"):
        draft.run([write(tmp_path, "export.csv", content)])


def test_guess_samples_the_whole_of_a_large_file(tmp_path: Path) -> None:
    """What proves day-first may stand far behind the beginning, of which alone a bounded part is read."""
    early = "".join(f"{day:02}/01/2024 00:00,BTC,42000\n" for day in range(1, 13)) * 2000
    path = write(tmp_path, "long.csv", "date,symbol,price_usd\n" + early + "13/01/2024 00:00,BTC,42000\n" * 9_000)
    assert look(path).fields["observed_at"] == {"path": "date", "format": "%d/%m/%Y %H:%M"}
