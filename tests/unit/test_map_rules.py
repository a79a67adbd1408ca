"""The keys of [files] and [fields] that say how files are written: what they come to, and which make no sense."""

import pytest

from kasparro.errors import ConfigError
from kasparro.etl import file_rules, source_file
from kasparro.etl.source import NULL_WORDS, Duplicates, FieldMap, Files, Wide

TOML = """
name = "archive"
kind = "csv_files"
schedule = "0 3 * * *"
[files]
glob = "/archives/*.csv"
#files
[fields]
symbol = "symbol"
name = "name"
observed_at = "date"
price_usd = "close"
#fields
"""
TIME, PRICE, SYMBOL = 'observed_at = "date"', 'price_usd = "close"', 'symbol = "symbol"'


@pytest.fixture
def load(tmp_path):
    """Loads a source from text, as the file bad.toml."""

    def load_text(text):
        path = tmp_path / "bad.toml"
        path.write_text(text, encoding="utf-8")
        return source_file.load(path)

    return load_text


def test_files_have_defaults_when_a_map_says_only_the_glob(load):
    """Encoding and delimiter are found, contradictions are rejected, and plain numbers are the only ones."""
    assert load(TOML).files == Files(glob="/archives/*.csv", null=NULL_WORDS, duplicates=Duplicates.REJECT)


def test_every_key_of_files_arrives_when_a_map_has_it(load):
    """As it stands there."""
    keys = """
        encoding = "cp1252"
        delimiter = "|"
        comment = "#"
        skip_lines = 1
        columns = ["date", "close"]
        name_pattern = "(?P<symbol>[A-Z]+)"
        null = ["?"]
        decimal = ","
        duplicates = "last"
        wide = { columns = "(?P<currency>[a-z]{3})", value = "close" }
    """
    assert load(TOML.replace("#files", keys)).files == Files(
        glob="/archives/*.csv", encoding="cp1252", delimiter="|", comment="#", skip_lines=1, columns=("date", "close"),
        name_pattern="(?P<symbol>[A-Z]+)", null=("?",), decimal=",", duplicates=Duplicates.LAST,
        wide=Wide(columns="(?P<currency>[a-z]{3})", value="close"),
    )  # fmt: skip


def test_every_key_of_a_field_arrives_when_a_map_has_it(load):
    """One format is a list of one; the currency is no quote field and yet may be mapped."""
    changed = TOML.replace(
        TIME, 'observed_at = { template = "{day} {hour}", format = "%d.%m.%Y %H:%M", timezone = "Europe/Berlin", '
        'fold = "later" }'
    ).replace("#fields", 'currency = { path = "unit", value = "USD", accept = ["2781"] }')  # fmt: skip
    fields = load(changed).fields
    assert fields["observed_at"] == FieldMap(
        template="{day} {hour}", formats=("%d.%m.%Y %H:%M",), timezone="Europe/Berlin", fold="later", type="time"
    )
    assert fields["currency"] == FieldMap(paths=("unit",), value="USD", accept=("2781",), type="currency")


def times(keys):
    return TIME, f'observed_at = {{ path = "date", {keys} }}'


MISTAKES = [
    ("#files", 'encoding = "utf-7"', "files.encoding: must be utf-16, utf-16-le, utf-16-be, or one in which"),
    ("#files", 'delimiter = ";;"', "files.delimiter: must be one character"),
    ("#files", "delimiter = '\"'", "files.delimiter: must be one character"),
    ("#files", 'escape = "xy"', "files.escape: must be one character such as"),
    ("#files", 'comment = " "', "files.comment: must not begin"),
    ("#files", 'comment = ""', "files.comment: must not be empty"),
    ("#files", "columns = []", "files.columns: must not be empty"),
    ("#files", "max_record_bytes = 99999999999", "files.max_record_bytes: must be from 1024"),
    ("#files", "skip_lines = -1", "files.skip_lines: must be from 0"),
    ("#files", 'columns = ["a", "a"]', "files.columns: must be names, each once"),
    ("#files", 'name_pattern = "("', "files.name_pattern: is no regular expression"),
    ("#files", 'name_pattern = "a"', "files.name_pattern: needs a named group"),
    ("#files", 'wide = { columns = "[a-z]+" }', "files.wide.columns: needs a named group"),
    ("#files", 'wide = { columns = "(?P<a>b)", value = "" }', "files.wide.value: must be a name"),
    ("#files", 'decimal = "."\nnull = "x"', "files.null: must be an array of texts"),
    ("#files", 'decimal = ";"', 'files.decimal: must be "." or ","'),
    ("#files", 'duplicates = "first"', "files.duplicates: must be one of reject, last"),
    (PRICE, 'price_usd = "close_eur"', "fields.price_usd.path: 'close_eur' names another currency"),
    (PRICE, 'price_usd = "price_usdt"', "fields.price_usd.path: 'price_usdt' names another currency"),
    (PRICE, 'price_usd = "Kurs SEK"', "fields.price_usd.path: 'Kurs SEK' names another currency"),
    (PRICE, 'price_usd = "price_try"', "fields.price_usd.path: 'price_try' names another currency"),
    (PRICE, 'price_usd = "Close (₺)"', "fields.price_usd.path: 'Close (₺)' names another currency"),
    (PRICE, 'price_usd = "Close (€)"', "fields.price_usd.path: 'Close (€)' names another currency"),
    (PRICE, 'price_usd = { path = "close", decimal = "x" }', "fields.price_usd.decimal: must be"),
    (PRICE, 'price_usd = { path = "close", accept = ["a"] }', "fields.price_usd.accept: only currency"),
    (PRICE, 'price_usd = { path = "close", format = "%Y-%m-%d" }', "fields.price_usd.formats: only times"),
    (SYMBOL, 'symbol = { path = "symbol", decimal = "," }', "fields.symbol.decimal: only number fields"),
    (*times('timezone = "Mars/Olympus"'), "fields.observed_at.timezone: there is no time zone"),
    (*times('timezone = "../../etc/passwd"'), "fields.observed_at.timezone: there is no time zone"),
    (*times('timezone = "UTC", fold = "both"'), "fields.observed_at.fold: must be earlier or later"),
    (*times('fold = "later"'), "fields.observed_at.fold: means nothing without timezone"),
    (*times('type = "epoch_seconds", timezone = "UTC"'), "fields.observed_at.timezone: only times that are no epochs"),
    (*times('format = "%Y-%m"'), "fields.observed_at.formats: '%Y-%m' must have a year and a day"),
    (*times('format = "%d.%m.%Y %I:%M"'), "fields.observed_at.formats: '%d.%m.%Y %I:%M' must have its hours"),
    (*times('format = "%d.%m.%Y %Z"'), "fields.observed_at.formats: '%d.%m.%Y %Z' has %Z"),
    (*times('format = "%d.%m.%Y %"'), "fields.observed_at.formats: '%d.%m.%Y %' has %"),
    (*times('format = "%c"'), "fields.observed_at.formats: '%c' has %c"),
    (*times('formats = "%d.%m.%Y"'), "fields.observed_at.formats: must be an array of texts"),
]


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[each[2][:70] for each in MISTAKES])
def test_mistake_is_named_by_its_key_when_a_map_is_loaded(load, old, new, line):
    """One mistake is one line."""
    with pytest.raises(ConfigError) as caught:
        load(TOML.replace(old, new, 1))
    assert [problem.removeprefix("bad.toml: ")[: len(line)] for problem in caught.value.problems] == [line]


def test_formats_are_refused_when_they_read_one_text_as_two_days(load):
    """Day first and month first cannot both be meant; a date with and without a time can."""
    both = times('formats = ["%d/%m/%Y", "%m/%d/%Y"]')
    with pytest.raises(ConfigError, match="read the same text as different times"):
        load(TOML.replace(*both))
    fine = times('formats = ["%d/%m/%Y", "%d/%m/%Y %H:%M", "%Y-%m-%d"]')
    assert len(load(TOML.replace(*fine)).fields["observed_at"].formats) == 3


def test_column_of_another_currency_is_taken_when_the_map_says_that_it_is_in_dollars(load):
    """In so many words: a constant alone may be one that was filled in for another column."""
    constant = TOML.replace(PRICE, 'price_usd = "eur_close"\ncurrency = { value = "USD" }')
    with pytest.raises(ConfigError, match="'eur_close' names another currency"):
        load(constant)
    assert load(constant.replace('"USD"', '"USD", accept = ["EUR"]'))


@pytest.mark.parametrize(
    ("change", "same"),
    [('decimal = ","', True), ('null = ["x"]', True), ('delimiter = ";"', False), ('duplicates = "last"', False),
     ("skip_lines = 1", False), ('wide = { columns = "(?P<a>.)" }', False)],
)  # fmt: skip
def test_files_are_read_in_another_way_when_their_records_would_be_others(load, change, same):
    """Values can be normalised anew from what is kept; records can only be read anew."""
    found = load(TOML.replace("#files", change)).files.reading
    assert (found == load(TOML).files.reading) is same


ENCODINGS = (
    "utf-8 ascii latin-1 cp1250 cp1251 iso8859-2 koi8-r mac-roman shift_jis gbk gb18030 big5 euc_kr euc_jp utf-16-le"
)
OTHERS = "utf-7 utf-32 utf-16-xe cp037 hz iso2022_jp unicode_escape raw_unicode_escape punycode idna base64 rot13 x"


def test_encoding_is_taken_when_ascii_stands_for_itself_in_it():
    """Line ends above all: a file is split into lines before it is decoded."""
    assert [name for name in ENCODINGS.split() if not file_rules.is_encoding(name)] == []
    assert [name for name in OTHERS.split() if file_rules.is_encoding(name)] == []
