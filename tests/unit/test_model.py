"""The values that layers pass on: what can go wrong in them is a field forgotten in a sum."""

from attrs import asdict, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from kasparro.model import RunStatus, Trigger
from kasparro.tallies import Counts, Traffic


def tallies(kind):
    """Values of `kind` with a number in every field."""
    return st.builds(kind, **{name: st.integers(0, 10**12) for name in fields_dict(kind)})


@given(tallies(Counts), tallies(Counts))
def test_counts_add_field_by_field_when_summed(one, other):
    """No count is lost, whatever is added to the class later."""
    assert asdict(one.plus(other)) == {name: asdict(one)[name] + asdict(other)[name] for name in fields_dict(Counts)}


@given(tallies(Traffic), tallies(Traffic))
def test_traffic_adds_field_by_field_when_summed(one, other):
    """No count is lost, whatever is added to the class later."""
    assert asdict(one.plus(other)) == {name: asdict(one)[name] + asdict(other)[name] for name in fields_dict(Traffic)}


def test_words_of_the_schema_are_those_of_the_model_when_compared():
    """The CHECK constraints of runs know exactly these words."""
    assert set(RunStatus) == {
        "queued", "running", "succeeded", "partial", "failed", "interrupted", "crashed", "deferred",
    }  # fmt: skip
    assert set(Trigger) == {"schedule", "api", "cli", "cron", "demo", "replay", "backfill"}
