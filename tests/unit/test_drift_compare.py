"""How do fields differ from what is usual? Rules of the comparison, and that it never fails."""

import json
from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from kasparro.etl import drift, field_map, profile, usual
from kasparro.etl.drift import Difference, Rules
from kasparro.fields import DriftKind, Rename
from kasparro.model import Record, Rejection

NO_RULES = Rules()


def records(count: int = 40, **fields: Any) -> list[Record]:
    """So many records with these fields; a function of the record's number gives its value, None leaves it out."""
    made = []
    for number in range(count):
        values = {name: value(number) if callable(value) else value for name, value in fields.items()}
        made.append(Record(fields={name: value for name, value in values.items() if value is not None}, payload=""))
    return made


def look(*given: Record) -> profile.Profile:
    return profile.look(given, nested=True)


def baseline(**fields: Any) -> dict[str, usual.Usual]:
    return drift.learn({}, look(*records(**fields)), NO_RULES)


def compare(known: dict[str, usual.Usual], *given: Record, rules: Rules = NO_RULES) -> list[tuple[str, DriftKind]]:
    return [(each.path, each.kind) for each in differences(known, *given, rules=rules)]


def differences(known: dict[str, usual.Usual], *given: Record, rules: Rules = NO_RULES) -> list[Difference]:
    return drift.differences(known, look(*given), rules)


def price(number: int) -> Decimal:
    return Decimal(number + 1)


def test_profile_counts_records_nulls_and_types_by_path() -> None:
    """Nested fields have dotted paths; blank text counts as null, and numbers in text are known as such."""
    found = profile.look(
        [
            Record(fields={"q": {"usd": Decimal(1)}, "n": "1,200.5", "t": "2026-01-02T03:04Z", "e": " "}, payload=""),
            Record(fields={"q": {"usd": None}, "n": "x", "t": "02.01.2026", "e": None, "u": "https://x.y"}, payload=""),
        ],
        nested=True,
    )  # fmt: skip
    shape = {path: (each.seen, each.null, dict(each.types)) for path, each in found.fields.items()}
    assert shape == {
        "q": (2, 0, {"object": 2}), "q.usd": (2, 1, {"number": 1}), "n": (2, 0, {"number_text": 1, "text": 1}),
        "t": (2, 0, {"time_text": 2}), "e": (2, 2, {}), "u": (1, 0, {"url_text": 1}),
    }  # fmt: skip


def test_dot_within_a_name_is_no_nesting() -> None:
    """What an upstream spells with dots and what it nests have two paths, and a field map reads either."""
    found = look(Record(fields={"q.usd": "1", "q": {"usd": "2", "a.b": {"c": "3"}}}, payload=""))
    assert set(found.fields) == {"q\\.usd", "q", "q.usd", "q.a\\.b", "q.a\\.b.c"}
    assert [field_map.keys(path)[-1] for path in found.fields] == ["q.usd", "q", "usd", "a.b", "c"]


def test_required_field_without_any_value_is_missing_whether_it_is_there_or_not() -> None:
    """Of no record there is a quote then; any other field may be null."""
    known = baseline(price=lambda number: "" if number % 3 else price(number), cap=price)
    rules = Rules(required=["price"])
    page = look(*records(price="", cap=""))
    assert compare(known, *records(cap=price), rules=rules) == []
    known = baseline(price=lambda number: price(number) if number % 3 else "", cap=price)
    for found in (page, look(*records(cap=""))):
        (gone,) = drift.differences(known, found, rules, page=0)
        assert (gone.path, gone.kind) == ("price", DriftKind.MISSING)


def test_profile_looks_at_an_even_sample_and_at_no_defects() -> None:
    """A page of any size costs the same; a broken record says nothing about fields."""
    many = records(5000, n=lambda number: Decimal(number + 1))
    found = profile.look(many, nested=False)
    assert found.records == found.fields["n"].seen == profile.SAMPLE_RECORDS
    assert found.fields["n"].stats.high == 3.648
    broken = evolve(many[0], defect=Rejection(stage="read", code="bad_csv", field=None, message=""))
    assert profile.look([broken], nested=False) == profile.Profile(records=0, pages=1, fields={})


def test_profile_of_two_pages_is_that_of_both() -> None:
    """Counts add up; what only one page has is kept."""
    one, other = look(*records(10, a=price, b="x")), look(*records(30, a=price, c="y"))
    both = profile.merge(one, other)
    assert (both.records, both.pages) == (40, 2)
    assert {path: each.seen for path, each in both.fields.items()} == {"a": 40, "b": 10, "c": 30}
    assert both.fields["c"].pages[0] is None


def test_fingerprint_changes_with_the_fields_and_not_with_their_values() -> None:
    """Two runs of the same schema have one."""
    one = look(*records(a=price, b="x")).fingerprint
    assert look(*records(a=lambda n: price(n) * 7, b="yz")).fingerprint == one
    assert look(*records(a=price)).fingerprint != one != look(*records(a="text", b="x")).fingerprint


def test_baseline_that_was_kept_is_read_as_it_was() -> None:
    """Through JSON and back."""
    known = baseline(a=price, b="x", c=lambda number: "y" if number % 2 else None)
    assert {path: usual.parse(json.loads(json.dumps(each.as_json()))) for path, each in known.items()} == known


def test_nothing_is_learned_when_nothing_changed() -> None:
    """The baseline is not written by a run that saw the same."""
    known = baseline(a=price, b="x")
    assert drift.learn(known, look(*records(a=price, b="x")), NO_RULES) == {}


def test_field_that_is_gone_for_long_is_forgotten() -> None:
    """A list whose fields are called by ids would leave no room for others."""
    known = baseline(a=price, old="x")
    for _ in range(40):
        learned = drift.learn(known, look(*records(a=price)), NO_RULES)
        known = {path: each for path, each in (known | learned).items() if each is not None}
    assert set(known) == {"a"}


def test_fields_differ_when_they_come_go_and_change_their_type() -> None:
    """One of each kind, and only those."""
    known = baseline(a=price, b="x", c=price, d="z", volume=price)
    changed = records(a=price, c="word", d=lambda number: "" if number % 2 else "z", extra="n")
    assert compare(known, *changed) == [
        ("b", DriftKind.MISSING), ("volume", DriftKind.MISSING), ("extra", DriftKind.ADDED),
        ("c", DriftKind.TYPE_CHANGED), ("d", DriftKind.NULL_JUMP),
    ]  # fmt: skip


def test_field_that_comes_and_goes_raises_nothing() -> None:
    """The baseline knows in which share of the records it is; what a few records have is nothing new."""
    known = baseline(a=price, roi=lambda number: {"times": price(number)} if number % 3 == 0 else None)
    assert compare(known, *records(a=price)) == []
    assert compare(known, *records(a=price, rare=lambda number: "x" if number == 3 else None)) == []


def test_optional_and_mapped_paths_raise_nothing() -> None:
    """What the source's file says may be absent, or is read anyway."""
    known = baseline(a=price, roi=lambda number: {"times": price(number)}, close=price)
    rules = Rules(optional=["roi"], mapped=["cap", "close", "last"], alternatives={"close": ["last"]})
    assert compare(known, *records(a=price, cap=price, last=price), rules=rules) == []


def test_few_records_raise_and_teach_nothing() -> None:
    """An empty or tiny read says nothing about fields."""
    known = baseline(a=price, b="x")
    assert compare(known, *records(drift.MIN_RECORDS - 1, z="1")) == compare(known) == []
    assert drift.learn(known, look(*records(drift.MIN_RECORDS - 1, z="1")), NO_RULES) == {}


def test_required_field_that_few_records_lack_is_missing() -> None:
    """That needs no statistics, unless every hundredth may lack it; what else there is, few do not say."""
    rules = Rules(required=["price", "symbol"], alternatives={"price": ["close"]})
    known = drift.learn({}, look(*records(2, price=price, symbol="x", note="n")), rules)
    assert set(known) == {"price", "symbol"}
    assert compare(known, *records(1, symbol="x", cost=price), rules=rules) == [("price", DriftKind.MISSING)]
    assert compare(known, *records(1, symbol="x", price=price), *records(1, symbol="x"), rules=rules) == []
    assert compare(known, *records(1, symbol="x", close=price), rules=rules) == []
    assert drift.differences(known, look(*records(1, symbol="x")), rules, page=0) == []
    assert compare({"price": evolve(known["price"], share=0.8)}, *records(2, symbol="x"), rules=rules) == []


def test_more_records_than_few_are_usual_from_the_first_on() -> None:
    """Nothing in them is new, and then all of them is known."""
    rules = Rules(required=["price"])
    known = drift.learn({}, look(*records(2, price=price)), rules)
    many = records(price=price, note="n")
    assert compare(known, *many, rules=rules) == []
    assert drift.learn(known, look(*many), rules) == baseline(price=price, note="n")


def test_page_without_a_field_raises_nothing_when_the_field_is_not_in_every_record() -> None:
    """Neighbours are alike in what they lack; of all that was read it is missed."""
    known = baseline(a=price, b=lambda number: "x" if number % 20 else None)
    page = look(*records(a=price))
    assert drift.differences(known, page, NO_RULES, page=0) == []
    assert [each.kind for each in drift.differences(known, page, NO_RULES)] == [DriftKind.MISSING]


def test_rename_in_force_is_seen_however_little_alike_the_values_are() -> None:
    """It is the same drift as before, as long as the name may mean the field."""
    known = baseline(price=price)
    rules = Rules(renamed=[Rename(path="price", renamed_to="price_usd")])
    (found,) = differences(known, *records(price_usd=lambda number: price(number) * 100), rules=rules)
    assert (found.kind, found.renamed_to) == (DriftKind.RENAMED, "price_usd")


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | st.decimals(allow_nan=True, allow_infinity=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), min_size=1, max_size=3)


@settings(max_examples=25)
@given(RECORDS, RECORDS, st.booleans())
def test_any_two_profiles_can_be_compared(one: list[Any], other: list[Any], nested: bool) -> None:
    """Whatever upstreams send: there is a result, it can be kept as JSON, and equal fields do not differ."""
    first, second = (
        profile.look([Record(fields=fields, payload="") for fields in given * drift.MIN_RECORDS], nested=nested)
        for given in (one, other)
    )
    known = drift.learn({}, first, NO_RULES)
    assert drift.differences(known, first, NO_RULES) == []
    for page in (None, 0):
        for each in drift.differences(known, second, NO_RULES, page=page):
            assert 0 <= each.confidence <= 1
    both = profile.merge(first, second)
    json.dumps(
        [both.as_json(), [each.as_json() for each in drift.learn(known, both, NO_RULES).values()]], allow_nan=False
    )
    assert len(both.fingerprint) == 16
