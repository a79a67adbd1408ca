"""What `kasparro drift accept` and `reject` say of a decision."""

from typing import Any

import pytest

from kasparro.commands import drift


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, "accepted", "its field map must say where else price_usd is, and without that no record gives a quote"),
        (
            {"details": {"fields": ["rank"]}},
            "accepted",
            "mine has no 'price' any more: its field map must say",
        ),
        ({"details": {}}, "accepted", "mine's field 'price' is usually what it is now"),
        ({"kind": "null_jump"}, "accepted", "mine's field 'price' is usually what it is now"),
        ({}, "rejected", "mine's field 'price' is usually what it was before"),
        ({"kind": "renamed", "renamed_to": "cost"}, "accepted", "mine is read with 'cost' where there is no 'price'"),
        ({"kind": "renamed", "renamed_to": "cost"}, "rejected", "mine is no longer read with 'cost' for 'price'"),
        (
            {"details": {"rescaled": True}},
            "accepted",
            "wrong: kasparro drift reject 7, then kasparro replay --source mine",
        ),
        (
            {"details": {"rescaled": True}},
            "rejected",
            "quotes that were made of it go with kasparro replay --source mine",
        ),
        (
            {"details": {"rescaled": True, "let_in": True}},
            "accepted",
            "come in with kasparro replay --source mine, and",
        ),
        ({"details": {"rescaled": True, "fields": ["external_id"]}}, "accepted", "old ids are superseded until"),
        ({"details": {"rescaled": True, "fields": ["external_id"]}}, "rejected", "new ids are superseded until"),
    ],
)
def test_decision_says_what_follows_from_it(changes: dict[str, Any], status: str, said: str) -> None:
    """Above all that a quote field has no source any more; and when the source runs again."""
    given = {"id": "7", "source": "mine", "kind": "missing", "path": "price", "renamed_to": None}
    given |= {"details": {"fields": ["price_usd"]}} | changes
    told = drift.said(given, status, is_due=False)
    assert told.startswith(f"drift 7 is {status}: mine")
    assert said in told
    assert drift.said(given, status, is_due=True).endswith(". mine is due at once")


def test_list_shows_by_what_values_changed() -> None:
    """`type_changed` alone says nothing of a hundredfold; JSON that is read for a table has no floats."""
    given = dict.fromkeys(("id", "source", "slice", "path", "renamed_to", *drift._KEYS)) | {"kind": "type_changed"}
    for details, shown in (
        ({"rescaled": True, "factor": "100.0", "example": "c9 1.07 -> 107"}, "x100: c9 1.07 -> 107"),
        ({"rescaled": True, "factor": None, "example": "c0 a, A -> B, b"}, "c0 a, A -> B, b"),
        ({}, None),
    ):
        row = dict(zip(drift._HEADERS, drift._row({**given, "details": details}), strict=True))
        assert row["values"] == shown
