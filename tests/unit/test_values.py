"""Which values are a text, a number, a price or a time, and what is said about the others."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import values
from kasparro.etl.source import NULL_WORDS
from kasparro.etl.values import BadValueError

SECOND, MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)
# Whatever a JSON answer may hold in a field, as the reader gives it.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.text(st.characters()),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(lambda digits, exponent: Decimal(f"{digits}e{exponent}"), st.integers(), st.integers(-(10**9), 10**9)),
    st.sampled_from(["NaN", "-Infinity", "sNaN", "1e9999999999999999999", "0e-99999", "1_000", "٣", "0x1f", "1,5"]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


def code_of(convert, *args, **kwargs):
    """The code of the rejection that this conversion gives."""
    with pytest.raises(BadValueError) as caught:
        convert(*args, **kwargs)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Decimal("1.50"), "1.50"),
        ("1.50", "1.50"),
        (" 12 ", "12"),
        ("+1", "1"),
        ("-3.2e-5", "-0.000032"),
        (Decimal("1E+5"), "1E+5"),
        ("1e40", "1E+40"),
        (Decimal("1e-100"), "1E-100"),
        ("." + "1" * 149, "0." + "1" * 149),
        ("0", "0"),
    ],
)
def test_number_is_exact_when_it_is_one(found, expected):
    """JSON numbers and texts alike, to the last digit."""
    assert str(values.number(found)) == expected


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ("abc", "not_a_number"),
        ("1,5", "not_a_number"),
        ("1_000", "not_a_number"),
        ("٣", "not_a_number"),
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("-inf", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1" * 151, "not_a_number"),
        (True, "not_a_number"),
        ([], "not_a_number"),
        ({}, "not_a_number"),
        (Decimal("1.1e40"), "out_of_range"),
        (Decimal("-1e41"), "out_of_range"),
        (Decimal("1e-101"), "out_of_range"),
        (Decimal("1e999999"), "out_of_range"),
        (Decimal("0." + "1" * 151), "out_of_range"),
        (Decimal("0." + "1" * 20_000), "out_of_range"),
    ],
)
def test_number_is_rejected_when_it_is_none(found, code):
    """Nothing is guessed: no thousands signs, no words, no absurd lengths."""
    assert code_of(values.number, found) == code


@pytest.mark.parametrize(
    "found",
    [
        "0", "-0", "0e-99999", "0e+99999", "0." + "0" * 140, Decimal("0e-999999999"), Decimal("0." + "0" * 20_000),
        Decimal("1." + "0" * 20_000), Decimal("1." + "0" * 200), Decimal("1E+40"), Decimal("1e-100"),
    ],
)  # fmt: skip
def test_number_can_be_stored_when_it_is_written_oddly(found):
    """Postgres keeps at most 16,383 digits behind the point, zeros included."""
    value = values.number(found)
    assert value == Decimal(found)
    assert -400 <= value.as_tuple().exponent <= 400


def test_negative_number_is_rejected_when_the_field_has_no_sign():
    """A volume below zero is an error of the source, a change below zero is not."""
    assert code_of(values.number, Decimal(-1), signed=False) == "out_of_range"
    assert values.number(Decimal(-1), signed=True) == -1


@pytest.mark.parametrize(
    ("found", "scale", "expected"),
    [
        ("1.1", "1000000", "1100000.0"),
        ("3", "0.01", "0.03"),
        ("0." + "3" * 120, "1e-30", "3." + "3" * 119 + "E-31"),
        ("1" * 30, "1.000000000000000000000000000000000001", "1" * 30 + "." + "0" * 6 + "1" * 30),
    ],
)  # fmt: skip
def test_scale_is_exact_when_it_multiplies(found, scale, expected):
    """Products keep every digit of both factors."""
    assert str(values.number(found, scale=Decimal(scale))) == expected


@pytest.mark.parametrize("found", ["1e-30", "1e30", "0.1", "67000.123456789", Decimal("1.0e-30")])
def test_price_is_accepted_when_it_is_within_bounds(found):
    """Both bounds belong to it."""
    assert values.price(found) == Decimal(str(found))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ("0", "price_not_positive"),
        ("-1", "price_not_positive"),
        (Decimal("0e-5"), "price_not_positive"),
        ("9.99e-31", "out_of_range"),
        ("1.0000001e30", "out_of_range"),
        ("free", "not_a_number"),
        (None, "not_a_number"),
    ],
)
def test_price_is_rejected_when_it_is_no_price(found, code):
    """Zero and below are not prices; what is beyond the bounds is a mistake."""
    assert code_of(values.price, found) == code


def test_price_is_judged_after_scaling_when_there_is_a_scale():
    """A price in units of 1e-8 dollars may be larger than any price."""
    assert values.price("1e35", scale=Decimal("1e-8")) == Decimal("1e27")
    assert code_of(values.price, "1e-25", scale=Decimal("1e-8")) == "out_of_range"


@pytest.mark.parametrize(
    ("found", "expected"), [("1", 1), (Decimal("7"), 7), ("5.0", 5), ("1e3", 1000), (2147483647, None)]
)
def test_integer_is_accepted_when_it_is_whole(found, expected):
    """However it is written; the largest is what the column holds."""
    assert values.integer(Decimal(found) if isinstance(found, int) else found) == (expected or found)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ("1.5", "not_an_integer"),
        (Decimal("1e300"), "not_an_integer"),
        ("0", "out_of_range"),
        ("-1", "out_of_range"),
        (Decimal(2147483648), "out_of_range"),
        ("x", "not_a_number"),
    ],
)
def test_integer_is_rejected_when_it_is_no_rank(found, code):
    """Ranks begin at 1."""
    assert code_of(values.integer, found) == code


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (" Bitcoin ", "Bitcoin"),
        (Decimal(42), "42"),
        (Decimal("1e3"), "1000"),
        (Decimal("5.0"), "5.0"),
        ("🐰", "🐰"),
        ("a\nb", "a\nb"),
    ],
)
def test_text_is_stripped_when_it_is_text(found, expected):
    """Whole numbers count, as ids often are numbers."""
    assert values.text(found, 100) == expected


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Decimal("1.5"), "not_text"),
        (Decimal("1e40"), "not_text"),
        (True, "not_text"),
        ([], "not_text"),
        ("x" * 101, "too_long"),
        ("a\x00b", "bad_text"),
        ("a\ud800", "bad_text"),
        ("ä\x00", "bad_text"),
    ],
)
def test_text_is_rejected_when_it_cannot_be_stored(found, code):
    """NUL and lone surrogates are no characters for Postgres."""
    assert code_of(values.text, found, 100) == code


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05 UTC", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (" 2026-01-02 ", datetime(2026, 1, 2, tzinfo=UTC)),
        ("20260102", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-1-2", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026/1/2 9:30", datetime(2026, 1, 2, 9, 30, tzinfo=UTC)),
        ("2026-01-02Z", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-1-2 UTC", datetime(2026, 1, 2, tzinfo=UTC)),
        ("20260102 UTC", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026/01/02 03:04 GMT", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2025-12-31T24:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026/2/28 24:00+02:00", datetime(2026, 2, 28, 22, tzinfo=UTC)),
        ("20260102T0304", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02T03:04-0500", datetime(2026, 1, 2, 8, 4, tzinfo=UTC)),
    ],
)
def test_time_is_utc_when_it_is_iso(found, expected):
    """Without a zone it is taken as UTC; a date is its midnight."""
    moment = values.time(found)
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ("yesterday", "not_a_time"),
        ("", "not_a_time"),
        (Decimal(1700000000), "not_a_time"),
        ("2026-13-01", "not_a_time"),
        ("2026-02-30", "not_a_time"),
        ("2026-1/2", "not_a_time"),
        ("2026-01-02T24:00:01", "not_a_time"),
        ("2026-01-02T24:01", "not_a_time"),
        ("9999-12-31T24:00", "not_a_time"),
        ("0001-01-01T00:00:00+14:00", "not_a_time"),
        ("2026-01-01\ud800", "not_a_time"),
        ("2026-01-15+02:00", "not_a_time"),
        ("2026-01-15-05:00", "not_a_time"),
        ("20260115-0500", "not_a_time"),
        ("2026-01-15x10:00", "not_a_time"),
        ("20260115101500", "not_a_time"),
        ("2026-W03", "not_a_time"),
        ("2026-W03-1T10:00", "not_a_time"),
        ("2026W031", "not_a_time"),
        ("1999-12-31T23:59:59Z", "out_of_range"),
        ("2100-01-01", "out_of_range"),
        ("9999-12-31", "out_of_range"),
    ],
)
def test_time_is_rejected_when_it_is_none(found, code):
    """Nor when it lies where no price can have been observed."""
    assert code_of(values.time, found) == code


@pytest.mark.parametrize(
    ("found", "unit", "expected"),
    [
        (Decimal("1767323045"), SECOND, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1767323045.123456", SECOND, datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("1767323045001", MILLISECOND, datetime(2026, 1, 2, 3, 4, 5, 1000, tzinfo=UTC)),
    ],
)
def test_epoch_is_exact_when_it_has_a_fraction(found, unit, expected):
    """No float on the way, so no microsecond is lost."""
    assert values.epoch(found, unit=unit) == expected


@pytest.mark.parametrize(
    ("found", "code"),
    [("1e300", "out_of_range"), ("-1", "out_of_range"), ("0", "out_of_range"), ("x", "not_a_number")],
)
def test_epoch_is_rejected_when_it_is_absurd(found, code):
    """Milliseconds in a field of seconds are seen as well."""
    assert code_of(values.epoch, found, unit=SECOND) == code
    assert code_of(values.epoch, Decimal("1767323045001"), unit=SECOND) == "out_of_range"


CONVERTERS = {
    "number": lambda found: values.number(found, scale=Decimal("1e-8")),
    "price": values.price,
    "integer": values.integer,
    "text": lambda found: values.text(found, 300),
    "time": values.time,
    "epoch": lambda found: values.epoch(found, unit=MILLISECOND),
}


@pytest.mark.parametrize("kind", CONVERTERS)
@given(found=ANYTHING)
def test_converter_gives_a_value_or_says_why_not_when_given_anything(kind, found):
    """Never another exception, and a short message that can be stored."""
    message = ""
    try:
        assert CONVERTERS[kind](found) is not None
    except BadValueError as bad:
        message = bad.message
    assert message.isascii()
    assert len(message) < 300


@given(st.text())
def test_is_zero_never_raises_when_given_any_text(found):
    """It is asked about every text of a field whose zeros mean nothing."""
    assert values.is_zero(found) in (True, False)


@pytest.mark.parametrize(
    ("convert", "found", "key"), [(values.number, "$90.000K", "decimal"), (values.time, "01.02.2026", "format")]
)
def test_message_names_the_key_when_a_value_is_written_for_people(convert, found, key):
    """Whoever reads it knows what to say in the map."""
    with pytest.raises(values.BadValueError, match=key):
        convert(found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("N/A", ""), ("null", ""), ("NULL", ""), ("NaN", ""), ("None", ""), ("-", ""), ("#N/A", ""),
        ("NAN", "NAN"), ("nan", "nan"), ("NONE", "NONE"), ("NA", "NA"), ("BTC\u200b", "BTC"),
        ("\ufeff\u202aBTC\u202c", "BTC"), ("\u200b", ""), ("\u200dB\u200dC\u200d", "B\u200dC"),
    ],
)  # fmt: skip
def test_file_key_is_what_names_a_listing_and_nothing_unseen(found, expected):
    """Words for absent name none, but for those that coins are called by."""
    assert values.file_key(found, 10, absent=frozenset(NULL_WORDS)) == expected


def test_file_key_is_what_it_says_when_the_map_has_other_words_for_absent():
    """A list of coins may have one called None."""
    assert values.file_key("None", 10, absent=frozenset({"-"})) == "None"


@pytest.mark.parametrize("found", ['"BTC"', "\u201cBTC\u201d", "'BTC'"])
def test_file_key_is_refused_when_it_stands_in_quotes(found):
    """Else it would be a listing of its own."""
    with pytest.raises(BadValueError, match="must not stand in quotes"):
        values.file_key(found, 10, absent=frozenset())
