"""Numbers as people write them: which number each is, and which are none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import number_text, values
from kasparro.etl.values import BadValueError


def read(text, decimal=".", unit="usd"):
    """The number that this text is, or the code of its rejection."""
    try:
        return values.number(number_text.converter(decimal, unit=unit)(text))
    except BadValueError as bad:
        return bad.code


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("19,995.7", ".", "19995.7"),
        ("1,234,567", ".", "1234567"),
        ("1,23,456.78", ".", "123456.78"),
        ("12,34,56,789", ".", "123456789"),
        ("1.8 Bio.", ".", "1.8e12"),
        ("1'234'567.89", ".", "1234567.89"),
        ("1 234 567.8", ".", "1234567.8"),
        (" 12.50 ", ".", "12.50"),
        (".5", ".", "0.5"),
        ("5.", ".", "5"),
        ("40004,0369", ",", "40004.0369"),
        ("76.761,5", ",", "76761.5"),
        ("1.234", ",", "1234"),
        ("1\u00a0234,5", ",", "1234.5"),
        ("1\u202f234\u202f567,5", ",", "1234567.5"),
        ("1\u2009234,5", ",", "1234.5"),
        ("1\u2019234,5", ",", "1234.5"),
        ("1,5E-5", ",", "0.000015"),
        ("1.0446734414054427e-05", ".", "0.000010446734414054427"),
        ("287.86K", ".", "287860"),
        ("46,88K", ",", "46880"),
        ("1.2 b", ".", "1200000000"),
        ("3,4 Mrd.", ",", "3400000000"),
        ("2T", ".", "2000000000000"),
        ("$1,234.50", ".", "1234.50"),
        ("US$ 1.2M", ".", "1200000"),
        ("1.234,50 $", ",", "1234.50"),
        ("1.5 bn USD", ".", "1500000000"),
        ("-$5", ".", "-5"),
        ("\u22125", ".", "-5"),
        ("(1,234.5)", ".", "-1234.5"),
    ],
)
def test_number_is_exact_when_it_is_written_for_people(text, decimal, expected):
    """To the last digit, through no float."""
    assert read(text, decimal) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1,5", "."), ("0,123", "."), ("12,34", "."), ("1,234,56", "."), ("123,45,678", "."), ("1 23,456", "."),
        ("1,234 567", "."), ("1.234.567", "."),
        ("1.5", ","), ("40004.037", ","), ("1.23.456", ","), ("--5", "."), ("(-5)", "."), ("5-", "."), ("", "."),
        (".", "."), ("$", "."), ("1e5K", "."), ("5 K M", "."), ("5E", "."), ("12 %", "."), ("5 apples", "."),
        ("\u0663", "."), ("1" * 151, "."), ("( 5", "."), ("5)", "."), ("1e99999999999999999999", "."),
    ],
)  # fmt: skip
def test_number_is_rejected_when_its_signs_stand_where_they_make_no_sense(text, decimal):
    """A sign that does not group thousands is no decimal sign either."""
    assert read(text, decimal) == "not_a_number"


@pytest.mark.parametrize(
    "text", ["5 €", "€5", "£ 1,234.5", "EUR 5", "5 eur", "R$ 5", "HK$5", "C$5", "1.2M EUR", "5 BTC", "5 USDT"]
)
def test_price_is_rejected_when_another_currency_stands_beside_it(text):
    """It is never taken for dollars."""
    assert read(text) == "wrong_currency"


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("-0.24%", "pct", Decimal("-0.24")),
        ("1.27 %", "pct", Decimal("1.27")),
        ("5 %", "supply", "not_a_number"),
        ("$5", "supply", "not_a_number"),
        ("5 BTC", "supply", "not_a_number"),
        ("1.5M$", "rank", "not_a_number"),
        ("$5", "pct", "not_a_number"),
    ],
)
def test_unit_is_understood_when_it_is_that_of_the_field(text, unit, expected):
    """Per cent of a change, dollars of a price, nothing of the others."""
    assert read(text, unit=unit) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
def test_number_comes_back_when_it_was_written_in_either_way(number):
    """What is written with thousands signs is read as what it was."""
    english = f"{number:,}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert read(english) == read(german, ",") == number


@given(st.text(st.sampled_from("0123456789.,' $€%KMe+-()\u00a0x"), max_size=160), st.sampled_from(".,"))
def test_text_is_a_number_or_a_rejection_when_it_is_any(text, decimal):
    """Nothing else is raised, and it ends."""
    found = read(text, decimal)
    assert isinstance(found, Decimal) or found in {"not_a_number", "wrong_currency", "out_of_range"}
