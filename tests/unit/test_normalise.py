"""From a record to a quote or a rejection: the field map, and that nothing ever raises."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import normalise, schedule
from kasparro.etl.readers import json_text
from kasparro.etl.source import FIELD_TYPES, FieldMap, Files, Http, Kind, Source
from kasparro.model import Quote, Record, Rejection

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
GOOD = {
    "id": "btc-bitcoin", "symbol": "BTC", "name": "Bitcoin", "at": "2026-01-02T12:00:00Z", "price": Decimal("67000.5"),
    "cap": Decimal("1.3e12"), "volume": Decimal("2.5e10"), "change": Decimal("-1.5"), "rank": Decimal(1),
    "supply": Decimal(19_000_000),
}  # fmt: skip
PATHS = dict(zip(FIELD_TYPES, GOOD, strict=True))
# Any JSON value, numbers as the reader gives them.
JSON = st.recursive(
    st.none() | st.booleans() | st.text(st.characters()) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.builds(lambda digits, power: Decimal(f"{digits}e{power}"), st.integers(), st.integers(-(10**6), 10**6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def source(*, kind=Kind.JSON_API, expected=(), **fields):
    """A source whose map is PATHS, with these fields changed."""
    maps = {name: FieldMap(paths=(path,), type=FIELD_TYPES[name]) for name, path in PATHS.items()}
    for name, spec in fields.items():
        maps[name] = evolve(spec, type=spec.type or FIELD_TYPES[name])
    return Source(
        name="shop", kind=kind, schedule=schedule.parse("every 5m"), expected=frozenset(expected), fields=maps,
        http=Http(url="http://x", path="/") if kind is Kind.JSON_API else None,
        files=Files(glob="/x/*.csv") if kind is Kind.CSV_FILES else None,
    )  # fmt: skip


def record(**changes):
    """The good record with these fields changed; None takes one away."""
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return Record(fields=fields, payload=json.dumps(fields, default=str))


def run(given_record, *, constants=None, **options):
    """What normalising this record gives."""
    return normalise.compile_source(source(**options))(given_record, constants or {})


def test_good_record_gives_a_quote_when_everything_is_there():
    """Every field arrives, exact."""
    found = run(record())
    assert (found.external_id, found.symbol, found.name) == ("btc-bitcoin", "BTC", "Bitcoin")
    assert found.rejection is None
    assert found.quote == Quote(
        observed_at=NOON, price_usd=Decimal("67000.5"), market_cap_usd=Decimal("1.3e12"),
        volume_24h_usd=Decimal("2.5e10"), change_24h_pct=Decimal("-1.5"), rank=1,
        circulating_supply=Decimal(19_000_000),
    )  # fmt: skip


def test_optional_fields_are_absent_when_the_record_lacks_them():
    """Only what a quote must have is missed."""
    found = run(record(cap=None, volume=None, change=None, rank=None, supply=None))
    assert found.quote == Quote(observed_at=NOON, price_usd=Decimal("67000.5"))


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"id": None}, "external_id_missing", "external_id"),
        ({"symbol": ""}, "symbol_missing", "symbol"),
        ({"symbol": " \t"}, "symbol_missing", "symbol"),
        ({"name": None}, "name_missing", "name"),
        ({"at": None}, "observed_at_missing", "observed_at"),
        ({"price": None}, "price_missing", "price_usd"),
        ({"price": ""}, "price_missing", "price_usd"),
        ({"price": Decimal(0)}, "price_not_positive", "price_usd"),
        ({"price": "dear"}, "not_a_number", "price_usd"),
        ({"price": "NaN"}, "not_a_number", "price_usd"),
        ({"price": Decimal("1e31")}, "out_of_range", "price_usd"),
        ({"at": "soon"}, "not_a_time", "observed_at"),
        ({"rank": Decimal("1.5")}, "not_an_integer", "rank"),
        ({"cap": Decimal(-1)}, "out_of_range", "market_cap_usd"),
        ({"symbol": True}, "not_text", "symbol"),
        ({"name": "a\x00b"}, "bad_text", "name"),
        ({"id": "\ud800"}, "bad_text", "external_id"),
        ({"name": "x" * 301}, "too_long", "name"),
    ],
)
def test_rejection_names_code_and_field_when_a_record_is_bad(changes, code, field):
    """One reason, the first one found; the record and its hash are kept."""
    found = run(record(**changes))
    assert found.quote is None
    assert (found.rejection.stage, found.rejection.code, found.rejection.field) == ("normalise", code, field)
    assert len(found.content_hash) == 32


def test_rejected_record_is_still_somebodys_when_its_id_can_be_read():
    """An expected rejection is counted per listing, so the id matters."""
    assert run(record(price=None)).external_id == "btc-bitcoin"
    assert run(record(symbol=None)).external_id == "btc-bitcoin"
    assert run(record(id=None)).external_id is None


@pytest.mark.parametrize(("code", "expected"), [("price_missing", True), ("symbol_missing", False)])
def test_rejection_is_expected_when_the_source_names_its_code(code, expected):
    """Coins without a price are normal for some upstreams."""
    assert run(record(price=None), expected=[code]).rejection.expected is expected


@pytest.mark.parametrize(("codes", "expected"), [(["ragged_row"], True), (["bad_csv"], False)])
def test_defect_of_the_reader_is_expected_when_the_source_names_its_code(codes, expected):
    """Whoever found a record bad, the source says what is normal."""
    defect = Rejection(stage="read", code="ragged_row", field=None, message="has 3 cells")
    found = run(Record(fields={}, payload="{}", defect=defect), expected=codes)
    assert (found.rejection.code, found.rejection.expected) == ("ragged_row", expected)


def test_first_path_with_a_value_counts_when_there_are_alternatives():
    """Absent, blank and null words are no values."""
    spec = FieldMap(paths=("a", "b", "price"), null=("n/a", "-"))
    assert run(record(a="N/A ", b=" "), price_usd=spec).quote.price_usd == Decimal("67000.5")
    assert run(record(a="-", b="7"), price_usd=spec).quote.price_usd == 7


@pytest.mark.parametrize("zero", [Decimal(0), Decimal("0.000"), Decimal("-0"), "0", " 0.00 ", "0e5"])
def test_zero_is_absent_when_the_map_says_so(zero):
    """For CoinPaprika a zero market value means that it is unknown."""
    unknown = FieldMap(paths=("cap",), zero_is_null=True)
    assert run(record(cap=zero), market_cap_usd=unknown).quote.market_cap_usd is None
    assert run(record(cap=zero)).quote.market_cap_usd == 0


@pytest.mark.parametrize("cap", [Decimal("1e-30"), "0.1"])
def test_small_number_is_kept_when_zeros_are_absent(cap):
    """Only zero is zero."""
    found = run(record(cap=cap), market_cap_usd=FieldMap(paths=("cap",), zero_is_null=True))
    assert found.quote.market_cap_usd == Decimal(cap)


def test_nested_path_is_followed_when_the_source_is_json():
    """Whatever stands on the way, it is absent or found."""
    spec = FieldMap(paths=("quotes.USD.price",))
    assert run(record(quotes={"USD": {"price": Decimal(5)}}), price_usd=spec).quote.price_usd == 5
    for odd in (None, [], "x", {"USD": None}, {"USD": []}, {"USD": {"price": None}}, Decimal(1), True):
        assert run(record(quotes=odd), price_usd=spec).rejection.code == "price_missing"


def test_dotted_column_is_one_name_when_the_source_is_files():
    """CSV headers may hold dots."""
    spec = FieldMap(paths=("Vol.",))
    found = run(record(**{"Vol.": "12"}), kind=Kind.CSV_FILES, volume_24h_usd=spec)
    assert found.quote.volume_24h_usd == 12


def test_constants_and_templates_fill_in_when_the_map_has_them():
    """{symbol} and {name} are the normalised ones, other names are paths."""
    found = run(
        record(symbol=None, name=" Bitcoin "),
        symbol=FieldMap(value="BTC"),
        external_id=FieldMap(template="{symbol}/{name}/{rank}"),
    )
    assert (found.symbol, found.external_id) == ("BTC", "BTC/Bitcoin/1")


def test_template_gives_nothing_when_a_part_of_it_is_missing():
    """Half an id would be somebody else's."""
    found = run(record(rank=None), external_id=FieldMap(template="{symbol}/{rank}"))
    assert found.rejection.code == "external_id_missing"


def test_scale_is_exact_when_a_column_is_in_millions():
    """No float, no rounding."""
    found = run(record(cap=Decimal("1.1234567890123456789")), market_cap_usd=FieldMap(paths=("cap",), scale="1e6"))
    assert found.quote.market_cap_usd == Decimal("1123456.7890123456789")


@pytest.mark.parametrize(
    ("kind", "found"), [("epoch_seconds", Decimal(1767355200)), ("epoch_milliseconds", "1767355200000")]
)
def test_epoch_is_read_when_the_map_says_its_unit(kind, found):
    """Seconds or milliseconds since 1970."""
    assert run(record(at=found), observed_at=FieldMap(paths=("at",), type=kind)).quote.observed_at == NOON


def test_hash_covers_payload_id_and_constants_when_they_differ():
    """Each of them alone makes another record."""
    base = run(record())
    again = run(record())
    other_payload = run(record(extra="x"))
    other_id = run(record(), external_id=FieldMap(template="x-{symbol}"))
    other_constants = run(record(), constants={"symbol": "BTC"})
    other_value = run(record(), constants={"symbol": "ETH"})
    hashes = [each.content_hash for each in (base, other_payload, other_id, other_constants, other_value)]
    assert again.content_hash == base.content_hash
    assert len(set(hashes)) == len(hashes)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_record_gives_a_quote_or_a_rejection_when_fields_hold_any_json(changes):
    """Never an exception, never both, never neither; what it says can be stored."""
    spec = FieldMap(paths=("rank", "cap"), null=("x",), zero_is_null=True, scale="1e-6")
    found = run(record(**changes), market_cap_usd=spec, external_id=FieldMap(template="{symbol}:{id}"))
    assert (found.quote is None) != (found.rejection is None)
    for text in filter(None, (found.external_id, found.symbol, found.name)):
        assert "\x00" not in text
        text.encode()
    if found.rejection:
        assert found.rejection.message.isascii()
        # It stands behind the field's name wherever it is shown.
        assert (found.rejection.field or "-") not in found.rejection.message.split(",")[0]


@pytest.mark.parametrize("shape", ["[", '{"a":'])
@pytest.mark.parametrize("field", ["price", "symbol", "at"])
def test_record_is_rejected_when_a_field_is_nested_deeply(shape, field):
    """Whatever depth can be read can be normalised."""
    close = {"[": "]", '{"a":': "}"}[shape]
    normaliser = normalise.compile_source(source())
    rejected = 0
    for depth in range(1, 1200, 7):
        fields = json.dumps({**{key: str(value) for key, value in GOOD.items()}, field: "#"})
        text = "[" + fields.replace('"#"', shape * depth + "1" + close * depth) + "]"
        try:
            (nested,) = json_text.records(text, "")
        except json_text.FetchError:
            continue
        rejected += normaliser(nested, {}).rejection is not None
    assert rejected > 100
