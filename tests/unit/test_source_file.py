"""How a TOML file becomes a source, and what is said about every mistake in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kasparro.errors import ConfigError
from kasparro.etl import normalise, source_file
from kasparro.etl.catalogue import BUILT_IN_FOLDER
from kasparro.etl.source import FieldMap, Kind, Order
from kasparro.fields import DriftKind, Rename
from kasparro.model import Record

API = """
name = "shop"
kind = "json_api"
schedule = "every 5m"
#top
[http]
url = "https://api.example.org/v1"
path = "/prices"
#http
[fields]
external_id = "id"
symbol = "symbol"
name = "name"
observed_at = "at"
price_usd = "price"
#fields
"""
FILES = """
name = "archive"
kind = "csv_files"
schedule = "0 3 * * *"
#top
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
AUTH = '[auth]\nkey = "SHOP_API_KEY"\n'
PAGING = '[paging]\nparam = "page"\nsize_param = "size"\n'


@pytest.fixture
def load(tmp_path):
    """Loads a source from text, as the file bad.toml."""

    def load_text(text):
        path = tmp_path / "bad.toml"
        path.write_text(text, encoding="utf-8")
        return source_file.load(path)

    return load_text


def problems_of(load, text):
    """The lines of the error that loading `text` gives."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(BUILT_IN_FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_built_in_source_loads_when_nothing_is_set(path):
    """Each is named as its file and maps what a quote needs."""
    source = source_file.load(path)
    assert source.name == path.stem
    assert {"external_id", "symbol", "name", "observed_at", "price_usd"} <= set(source.fields)


def test_defaults_are_filled_in_when_a_file_says_only_what_it_must(load):
    """Types of the fields, order, and that it is enabled."""
    source = load(API)
    assert (source.kind, source.order, source.enabled) == (Kind.JSON_API, Order.UNSORTED, True)
    assert source.fields["price_usd"] == FieldMap(paths=("price",), type="number")
    assert source.fields["observed_at"].type == "time"


def test_external_id_is_symbol_and_name_when_a_file_source_maps_none(load):
    """Files rarely have ids of their own."""
    assert load(FILES).fields["external_id"] == FieldMap(template="{symbol}:{name}", type="text")


def test_relative_glob_is_relative_to_the_file_when_loaded(load, tmp_path):
    """A folder of sources can be moved as a whole."""
    assert load(FILES.replace("/archives/", "data/")).files.glob == str(tmp_path / "data/*.csv")


TOP, HTTP, FIELDS = "#top", "#http", "#fields"
MISTAKES = [
    (API, 'kind = "json_api"', 'kind = "xml"', "kind: must be one of json_api, csv_files, got 'xml'"),
    (API, 'name = "shop"', 'name = "My Shop"', "name: must match"),
    (API, 'name = "shop"', 'name = "records"', "name: must match"),
    (API, 'name = "shop"', "name = 5", "name: must be text, got 5"),
    (API, 'name = "shop"', "", "name: required"),
    (API, '"every 5m"', '"sometimes"', "schedule: must be 'every 5m'"),
    (API, '"every 5m"', "5", "schedule: must be 'every 5m'"),
    (API, TOP, 'order = "random"', "order: must be one of sorted, unsorted"),
    (API, TOP, 'enabled = "yes"', "enabled: must be true or false"),
    (API, TOP, "freshness_seconds = 0", "freshness_seconds: must be from 1 to 3153600000"),
    (API, TOP, "freshness_seconds = 99999999999", "freshness_seconds: must be from 1 to 3153600000"),
    (API, TOP, "min_records = 99999999999999999999", "min_records: must be from 0 to 1000000000"),
    (API, TOP, "freshness_seconds = 1.5", "freshness_seconds: must be a whole number"),
    (API, TOP, 'expected = ["nonsense"]', "expected: there is no rejection code 'nonsense'"),
    (API, TOP, 'expected = ["ambiguous_key"]', "expected: there is no rejection code 'ambiguous_key'"),
    (API, TOP, 'expected = "price_missing"', "expected: must be"),
    (API, TOP, "colour = 1", "unknown key colour"),
    (API, HTTP, "colour = 1", "http: unknown key colour"),
    (API, HTTP, 'params = "a=b"', "http.params: "),
    (API, HTTP, "params = { a = 1 }", "http.params.a: must be text, got 1"),
    (API, HTTP, "max_bytes = 0", "http.max_bytes: must be above 0"),
    (API, HTTP, "read_timeout_seconds = -1", "http.read_timeout_seconds: must be above 0"),
    (API, HTTP, "read_timeout_seconds = inf", "http.read_timeout_seconds: "),
    (API, HTTP, "total_timeout_seconds = nan", "http.total_timeout_seconds: "),
    (API, HTTP, "read_timeout_seconds = true", "http.read_timeout_seconds: must be a number"),
    (API, "https://api.example.org/v1", "ftp://x", "http.url: must be an http:// or https:// address"),
    (API, "https://api.example.org/v1", "https://api.example.org/v1/", "http.url: "),
    (API, 'path = "/prices"', 'path = "prices"', "http.path: "),
    (API, 'url = "https://api.example.org/v1"', "", "http.url: required"),
    (API, HTTP, "[files]", "files: "),
    (API, HTTP, AUTH, "auth: give either header, or plans"),
    (API, HTTP, AUTH + 'header = "X"\nurl = "pro.example.org"', "auth.url: "),
    (API, HTTP, AUTH + '[auth.plans.a]\nheader = "X"', "auth.default_plan: must be one of a"),
    (API, HTTP, '[auth]\nkey = "HOME"\nheader = "X"', "auth.key: must name an environment variable"),
    (API, HTTP, PAGING + "size = 0", "paging.size: must be at least 1"),
    (API, HTTP, PAGING + "size = 10\nmax_pages = 0", "paging.max_pages: must be at least 1"),
    (API, HTTP, PAGING + "size = 10\nusual_pages = 0", "paging.usual_pages: "),
    (API, HTTP, "[limits]\nmonthly_requests = -1", "limits.monthly_requests: "),
    (API, 'price_usd = "price"', "", "fields.price_usd: required"),
    (API, 'external_id = "id"', "", "fields.external_id: required"),
    (API, FIELDS, 'volume = "v"', "fields.volume: there is no quote field 'volume'"),
    (API, FIELDS, "rank = 5", "fields.rank: must be a path or a table, got 5"),
    (API, FIELDS, 'rank = { path = "a", paths = ["b"] }', "fields.rank: give path or paths, not both"),
    (API, FIELDS, 'rank = { paths = "rank" }', "fields.rank.paths: must be"),
    (API, FIELDS, 'rank = { path = "rank", null = "n/a" }', "fields.rank.null: must be"),
    (API, 'symbol = "symbol"', 'symbol = { path = "a", template = "{b}" }', "fields.symbol: give exactly one"),
    (API, FIELDS, "rank = {}", "fields.rank: give exactly one of path, paths, value"),
    (API, FIELDS, 'rank = "a..b"', "fields.rank.paths: a path is dotted names"),
    (API, FIELDS, 'rank = { path = "a", type = "number" }', "fields.rank.type: cannot be 'number' (integer)"),
    (API, FIELDS, 'rank = { path = "a", scale = "10" }', "fields.rank.scale: must be a quoted number from"),
    (
        API,
        FIELDS,
        'volume_24h_usd = { path = "a", scale = "-1" }',
        "fields.volume_24h_usd.scale: must be a quoted number from",
    ),
    (
        API,
        FIELDS,
        'volume_24h_usd = { path = "a", scale = "1e999999" }',
        "fields.volume_24h_usd.scale: must be a quoted number from 1e-40 to 1e40",
    ),
    (API, FIELDS, 'volume_24h_usd = { path = "a", scale = 10 }', "fields.volume_24h_usd.scale: must be text, got 10"),
    (API, FIELDS, 'rank = { template = "{a}" }', "fields.rank.template: only text and time fields take a template"),
    (API, 'symbol = "symbol"', 'symbol = { template = "plain" }', "fields.symbol.template: must be text with"),
    (API, 'symbol = "symbol"', 'symbol = { template = "{" }', "fields.symbol.template: must be text with"),
    (API, 'symbol = "symbol"', 'symbol = { template = "{name}" }', "fields.symbol.template: "),
    (API, FIELDS, 'rank = { path = "a", colour = 1 }', "fields.rank: unknown key colour"),
    (FILES, '[files]\nglob = "/archives/*.csv"', "", "files: a csv_files source needs a table [files]"),
    (FILES, "#files", "max_record_bytes = 0", "files.max_record_bytes: "),
    (FILES, "#files", "max_record_bytes = 99999999999", "files.max_record_bytes: must be from 1024 to 67108864"),
    (FILES, "#files", 'wide = "x"', "files.wide: must be a table"),
    (FILES, "#files", '[http]\nurl = "http://x"\npath = "/"', "http: only a json_api source has http"),
    (FILES, "#files", PAGING + "size = 1", "paging: only a json_api source has paging"),
    (FILES, 'symbol = "symbol"', "", "fields.symbol: required"),
]


@pytest.mark.parametrize(("base", "old", "new", "line"), MISTAKES, ids=[each[3][:60] for each in MISTAKES])
def test_mistake_is_named_by_file_and_key_when_a_source_is_loaded(load, base, old, new, line):
    """One mistake is one line: the file, the key and what is wrong with it."""
    assert old in base
    found = problems_of(load, base.replace(old, new, 1))
    assert len(found) == 1
    assert found[0].startswith("bad.toml: ")
    assert line in found[0]


def test_every_mistake_is_named_at_once_when_there_are_several(load):
    """The operator repairs a file in one go."""
    text = (
        API.replace("#top", "freshness_seconds = 0\nmax_rejected_share = 1.5\nmin_records = -1")
        .replace('price_usd = "price"', "")
        .replace('"shop"', '"X"')
    )
    keys = [line.split(": ")[1] for line in problems_of(load, text)]
    assert keys == ["name", "max_rejected_share", "min_records", "fields.price_usd", "freshness_seconds"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "not valid TOML"), (b"\xff\xfe", "not valid TOML"), (b"a = 1\na = 2", "not valid TOML")],
)
def test_file_is_named_when_it_is_no_toml(tmp_path, content, said):
    """One line, no traceback."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        source_file.load(path)
    assert [line[: len("bad.toml: ") + len(said)] for line in caught.value.problems] == [f"bad.toml: {said}"]


def test_file_is_named_when_it_cannot_be_read(tmp_path):
    """A folder called x.toml, or a file that is gone."""
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: No such file"):
        source_file.load(tmp_path / "gone.toml")


def test_fingerprint_is_the_same_in_every_process_when_the_source_is():
    """Python orders sets differently in each process; a fingerprint that follows would always look changed."""
    code = (
        "import sys, pathlib; from kasparro.etl import source_file;"
        "print(source_file.load(pathlib.Path(sys.argv[1])).fingerprint)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(BUILT_IN_FOLDER / "coingecko.toml")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(source_file.__file__).parents[2])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1


def test_fingerprint_changes_when_anything_of_the_source_does(load):
    """A run record says which settings it ran with."""
    changed = API.replace('"price"', '"price_now"')
    assert load(API).fingerprint == load(API).fingerprint != load(changed).fingerprint


PAST = """
[backfill]
path = "/prices/{id}"
from_param = "from"
to_param = "to"
window_days = 30
#past
[backfill.fields]
observed_at = "at"
price_usd = "price"
#past fields
"""


@pytest.mark.parametrize(
    ("mark", "text", "problem"),
    [
        ("#http", '[since]\nparam = ""', "since.param: must name a parameter"),
        ("#http", '[since]\nparam = "after"\nformat = "rfc"', "since.format: must be one of rfc3339, date, epoch_sec"),
        ("#http", '[since]\nparam = "after"\nlookback_seconds = -1', "since.lookback_seconds: must be from 0 to"),
        ("#http", '[since]\nparam = "after"\nlookback = 5', "since: unknown key lookback (known: param, format,"),
        (
            "#http",
            '[since]\nparam = "page"\n' + PAGING + "size = 5",
            "since.param: 'page' is a parameter of [paging] already",
        ),
        ("{id}", "x", "backfill.path: must begin with / and hold {id} once, got '/prices/x'"),
        ("{id}", "{id}/{x}", "backfill.path: must begin with / and hold {id} once, got '/prices/{id}/{x}'"),
        ('to_param = "to"', 'to_param = "from"', "backfill.to_param: from_param and to_param must name two parameters"),
        ("window_days = 30", "window_days = 0", "backfill.window_days: must be from 1 to 3660, got 0"),
        ("window_days = 30", "", "backfill.window_days: required"),
        ("#past\n", "max_records = 0\n", "backfill.max_records: must be at least 1; leave it out for no limit"),
        ("#past\n", 'format = "x"\n', "backfill.format: must be one of rfc3339, date, epoch_seconds, epoch_milli"),
        ("#past\n", 'records = "a"\nseries = { price = "b" }\n', "backfill.series: give either series or records"),
        ("#past\n", 'series = { time = "b" }\n', "backfill.series.time: this name is that of the pairs' first part"),
        ("#past fields", 'name = "x"', "backfill.fields.name: is the listing's own, not to be mapped"),
        ("#past fields", 'rank = { path = "r", scale = "2" }', "backfill.fields.rank.scale: must be a quoted number"),
        ('at = "at"\nprice_usd = "price"\n#past', 'at = "at"\n#past', "backfill.fields.price_usd: required"),
    ],
)
def test_mistake_is_named_when_a_part_of_time_is_asked_for_wrongly(load, mark, text, problem):
    """What [since] and [backfill] must hold, and what makes no sense together."""
    whole = API + PAST
    assert mark in whole
    (line,) = problems_of(load, whole.replace(mark, text, 1))
    assert line.startswith(f"bad.toml: {problem}")


def test_past_is_mapped_with_types_when_a_source_has_a_backfill(load):
    """Like any field map; the default format is Unix seconds."""
    past = load(API + PAST).backfill
    assert past.fields["observed_at"] == FieldMap(paths=("at",), type="time")
    assert (past.format, past.records, past.max_records) == ("epoch_seconds", "", None)


def test_files_have_neither_since_nor_backfill(load):
    """A file is read on from where it was left."""
    text = FILES + '[since]\nparam = "x"\n' + PAST
    lines = problems_of(load, text)
    assert {
        "bad.toml: since: only a json_api source has since",
        "bad.toml: backfill: only a json_api source has backfill",
    } <= {*lines}


def test_drift_policies_are_read_and_have_defaults(load):
    """Without a table renames are mapped, what every quote needs is quarantined, the rest is warned about."""
    usual = load(API).drift
    assert (usual.renamed, usual.added, usual.of(DriftKind.TYPE_CHANGED, required=True)) == ("map", "warn", "warn")
    missing = [usual.of(DriftKind.MISSING, required=required) for required in (True, False)]
    assert missing == ["quarantine", "warn"]
    given = load(API + '[drift]\nmissing = "fail"\nnull_jump = "ignore"\noptional = ["roi"]\n').drift
    assert [given.of(DriftKind.MISSING, required=required) for required in (True, False)] == ["fail", "fail"]
    assert (given.null_jump, given.optional) == ("ignore", ("roi",))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('added = "map"', "drift.added: only a renamed field can be mapped"),
        ('missing = "map"', "drift.missing: only a renamed field can be mapped"),
        ('renamed = "guess"', "drift.renamed: must be one of ignore, warn, map, quarantine, fail, got 'guess'"),
        ("null_jump = true", "drift.null_jump: must be one of"),
        ('optional = "roi"', "drift.optional: must be an array of texts"),
        ('vanished = "warn"', "drift: unknown key vanished"),
    ],
)
def test_wrong_drift_policy_is_named_by_its_key(load, line, problem):
    """What can be said there is listed."""
    with pytest.raises(ConfigError) as caught:
        load(f"{API}[drift]\n{line}\n")
    assert [found for found in caught.value.problems if problem in found], caught.value.problems


def test_rename_in_force_is_read_where_the_old_path_has_no_value(load):
    """By every field that reads the path, in templates too; twice changes nothing."""
    text = API.replace('external_id = "id"', 'external_id = { template = "{id}-{chain.name}" }')
    renames = [Rename(path="id", renamed_to="uid"), Rename(path="price", renamed_to="last")]
    renamed = load(text).renamed(renames)
    assert renamed.fields["external_id"].template == "{id|uid}-{chain.name}"
    assert renamed.fields["price_usd"].paths == ("price", "last")
    assert renamed.renamed(renames) == renamed
    item = normalise.compile_source(renamed)(
        Record(
            fields={"uid": "b", "chain": {"name": "x"}, "symbol": "B", "name": "Bit", "at": "2026-01-02"}, payload=""
        ),
        {},
    )
    assert item.external_id == "b-x"
