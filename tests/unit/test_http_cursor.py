"""Cursors: what comes back is what was given, or nothing."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.http import cursor

QUERY = cursor.scope("/data", {"source": ("csv",)})
CURSOR = cursor.encode(["2024-01-01T00:00:00+00:00", 7], QUERY)


def refused(text: str, query: str = QUERY, shape: tuple[type, ...] = (str, int)) -> None:
    with pytest.raises(ValueError, match="not a cursor of this query"):
        cursor.decode(text, query, shape)


@given(st.text(), st.integers(0, cursor.MAX_BIGINT))
def test_position_survives(text: str, number: int) -> None:
    """What a page ended with is where the next begins."""
    assert cursor.decode(cursor.encode([text, number], QUERY), QUERY, (str, int)) == [text, number]


def test_cursor_of_another_query_is_refused() -> None:
    """A position means nothing among other rows."""
    refused(CURSOR, cursor.scope("/data", {"source": ("coingecko",)}))
    refused(CURSOR, cursor.scope("/runs", {"source": ("csv",)}))


@pytest.mark.parametrize("place", range(len(CURSOR)))
def test_cursor_with_any_character_changed_is_refused(place: int) -> None:
    """An altered cursor is noticed wherever it was altered."""
    other = "B" if CURSOR[place] == "A" else "A"
    refused(CURSOR[:place] + other + CURSOR[place + 1 :])


@given(st.text(max_size=300))
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing but a cursor of ours is one."""
    refused(text)


@pytest.mark.parametrize(
    "payload", [b"", b"[" * 5000, b"{}", b"[1]", b"[1,2]", b'["x",-1]', b'["x",9223372036854775808]']
)
def test_forged_cursor_of_another_shape_is_refused(payload: bytes) -> None:
    """The digest has no secret, so what is inside is checked as well."""
    digest = hashlib.blake2b(payload + b"\x00" + QUERY.encode(), digest_size=9, person=b"cursor").digest()
    refused(base64.urlsafe_b64encode(digest + payload).decode().rstrip("="))
