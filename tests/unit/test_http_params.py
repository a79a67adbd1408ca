"""Query parameters: what is understood, and what is refused with its name."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from kasparro.http import params
from kasparro.http.errors import Problem

PARSERS = {"limit": params.LIMIT, "source": params.sources(["a", "b"]), "q": params.text}


def parse(query: str) -> params.Query:
    return params.parse(testing.create_req(query_string=query), PARSERS)


def refused(query: str) -> dict[str | None, str]:
    with pytest.raises(Problem) as caught:
        parse(query)
    assert caught.value.status == 400
    return {field.name: field.message for field in caught.value.fields}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T12:00:00Z", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31t12:00:00z", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31 12:00:00.5Z", datetime(2024, 1, 31, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2024-01-31T12:00:00.123456789Z", datetime(2024, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2024-01-31T12:00:00+02:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T12:00:00 02:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T12:00:00-05:30", datetime(2024, 1, 31, 17, 30, tzinfo=UTC)),
    ],
)
def test_moment_understands(text: str, expected: datetime) -> None:
    """Dates, RFC 3339, and a plus sign that arrived as a space."""
    assert params.moment(text) == expected


@pytest.mark.parametrize(
    "text",
    ["2024", "2024-13-01", "2024-02-30", "2024-01-31T12:00:00", "2024-01-31T25:00:00Z", "0000-01-01",
     "\u0662\u0660\u0662\u0664-01-01", "now", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "2024-01-31T12:00:00+24:00"],
)  # fmt: skip
def test_moment_refuses(text: str) -> None:
    """A time without an offset means a different moment to everybody."""
    with pytest.raises(ValueError, match="RFC 3339"):
        params.moment(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e41", "1e99", "9" * 61, "1_0", "0x1", "", " 1", "\u0661"])
def test_price_refuses(text: str) -> None:
    """Only what a price can be, written in ASCII digits."""
    with pytest.raises(ValueError, match="from 0 to 1e40"):
        params.price(text)


@pytest.mark.parametrize("text", ["0", "1e-30", "0.000000000000000000000000000001", "1E40", "123456789.123456789"])
def test_price_is_exact(text: str) -> None:
    """No digit is lost to a float."""
    assert params.price(text) == Decimal(text)


def test_parse_reports_everything_wrong_together() -> None:
    """One answer names all mistakes, so that one correction mends them."""
    assert refused("limit=x&bogus=1&source=&q=1&q=2").keys() == {"limit", "bogus", "source", "q"}


def test_parse_lists_the_valid_parameters() -> None:
    """The error says what there is instead."""
    with pytest.raises(Problem, match="limit, source, q"):
        parse("sort=price")


@pytest.mark.parametrize("text", ["0", "1001", "-1", "+5", "1.0", "1e2", "%D9%A5", "99999999999999999999"])
def test_limit_refuses(text: str) -> None:
    """A page has 1 to 1000 rows."""
    assert refused(f"limit={text}").keys() == {"limit"}


@pytest.mark.parametrize("text", ["a,,b", ",", "a,", "c", "A", "a,c", "%00", "%20"])
def test_source_refuses(text: str) -> None:
    """Sources are named exactly."""
    assert refused(f"source={text}").keys() == {"source"}


def test_source_takes_several_in_any_order() -> None:
    """What is meant counts, not how it is written."""
    assert parse("source=b,%20a,b").values["source"] == ("a", "b")


@pytest.mark.parametrize(
    ("query", "name"),
    [("q=%ff", "q"), ("q=%ed%a0%80", "q"), ("%ff=1", None), ("&".join(f"p{n}=1" for n in range(65)), None)],
)
def test_parse_refuses_what_is_no_utf_8_or_too_much(query: str, name: str | None) -> None:
    """Bytes that are no text, and queries that only cost time."""
    assert refused(query).keys() == {name}


def test_parse_takes_raw_utf_8() -> None:
    """curl sends what was typed."""
    assert parse("q=é".encode().decode("latin-1")).values["q"] == "é"


def test_next_link_keeps_the_filters() -> None:
    """The link is the same query behind the page that was shown."""
    link = parse("q=a%20b%26c&limit=5").next_link("/assets", "xyz")
    assert link == '</assets?q=a%20b%26c&limit=5&cursor=xyz>; rel="next"'


@given(st.text(max_size=200))
def test_parse_gives_values_or_a_problem(query: str) -> None:
    """No query string is anything else."""
    req = testing.create_req(query_string="&" + query.encode("utf-8", "replace").decode("latin-1"))
    try:
        found = params.parse(req, PARSERS).values.keys()
    except Problem as problem:
        found = PARSERS.keys() if problem.status == 400 and problem.fields else {"neither"}
    assert found <= PARSERS.keys()
