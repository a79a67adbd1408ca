"""Verdicts: what is found odd about a run, and what is not."""

import math
import random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kasparro import model
from kasparro.etl import anomaly, seen
from kasparro.etl.anomaly import MIN_HISTORY, Case, Past
from kasparro.model import Anomaly, Reading

# What a quiet source measures at every run.
QUIET = {
    "records": 2000.0, "inserted": 1500.0, "rejected_share": 0.02, "duration_seconds": 1.2, "pages": 4.0,
    "gap_seconds": 300.0, "data_age_seconds": 90.0, "null_share_rank": 0.1, "null_share_market_cap_usd": 0.3,
    "new_listings": 1.0, "vanished_listings": 2.0, "price_move_pct": 0.2,
}  # fmt: skip
# Metrics whose noise is as that of counts; the others have floors that no such noise reaches.
NOISY = [
    "records", "inserted", "duration_seconds", "price_move_pct", "new_listings", "vanished_listings", "rejected_share",
    "null_share_rank", "null_share_market_cap_usd", "null_share_volume_24h_usd", "null_share_change_24h_pct",
    "null_share_circulating_supply",
]  # fmt: skip


def case(reading: Reading = Reading.FULL, **measures: float | None) -> Case:
    """A quiet run, but for these measures; None leaves one out."""
    measured = {name: value for name, value in {**QUIET, **measures}.items() if value is not None}
    return Case(reading=reading, measures=measured, min_records=1, freshness_seconds=None, details={})


def test_api_can_be_asked_for_every_metric() -> None:
    """Those that history judges, and those of the hard rules."""
    judged = {*anomaly._METRICS, *map(anomaly.null_share, seen.OPTIONAL_FIELDS), "pages", "data_age_seconds"}
    assert set(model.JUDGED_METRICS) == judged


def past(*, flagged: bool = False, **measures: float) -> Past:
    """A quiet run of before, but for these measures."""
    return Past(measures={**QUIET, **measures}, flagged=flagged)


def found(run: Case, history: Any = None) -> dict[str, str]:
    """Metric and severity of the verdicts on a run, after twenty quiet ones."""
    return {each.metric: each.severity for each in anomaly.judge(run, [past()] * 20 if history is None else history)}


def test_nothing_is_found_when_a_run_is_like_those_before() -> None:
    """Nor when it differs by a record, a coin or a tenth of a second."""
    assert found(case()) == {}
    assert found(case(records=1999, new_listings=3, vanished_listings=0, duration_seconds=1.3)) == {}


@pytest.mark.parametrize(
    ("metric", "value", "severity"),
    [
        ("records", 1000, "alert"), ("records", 0, "alert"), ("records", 1600, "warn"), ("records", 4000, "alert"),
        ("inserted", 0, "alert"), ("inserted", 1210, "warn"), ("inserted", 2000, None),
        ("rejected_share", 0.5, "alert"), ("rejected_share", 0.0, None), ("null_share_rank", 0.9, "alert"),
        ("null_share_rank", 0.0, None), ("duration_seconds", 9, "alert"), ("duration_seconds", 4.0, "warn"),
        ("duration_seconds", 0.1, None), ("new_listings", 400, "alert"), ("vanished_listings", 1000, "alert"),
        ("vanished_listings", 0, None), ("price_move_pct", 9900, "alert"), ("price_move_pct", 1.5, None),
        ("price_move_pct", 0, None),
    ],
)  # fmt: skip
def test_metric_is_judged_in_the_directions_that_hurt(metric: str, value: float, severity: str | None) -> None:
    """Fewer nulls, a faster run or a quiet market are no anomaly."""
    assert found(case(**{metric: value})) == ({metric: severity} if severity else {})


def test_verdict_says_what_was_expected_and_how_far_off_it_is() -> None:
    """In numbers, and in words for a person."""
    (verdict,) = anomaly.judge(case(records=1000), [past()] * 20)
    assert verdict == Anomaly(
        metric="records",
        rule="history",
        severity="alert",
        value=1000,
        expected=2000,
        score=-13.85,
        message="records: 1,000, usually about 2,000 (score -13.9 over 20 runs)",
    )


@pytest.mark.parametrize(("runs", "verdicts"), [(MIN_HISTORY - 1, {}), (MIN_HISTORY, {"records": "alert"})])
def test_history_says_nothing_when_it_is_too_short(runs: int, verdicts: dict[str, str]) -> None:
    """A few runs are no habit."""
    assert found(case(records=500), [past()] * runs) == verdicts


def test_flagged_runs_do_not_count_as_history() -> None:
    """Six odd runs in between move nothing."""
    odd = [past(flagged=True, records=1000)] * 3
    assert found(case(records=1000), [*odd, past(), *odd, *[past()] * 8]) == {"records": "alert"}
    assert found(case(records=1000), [past()] * 6 + [past(flagged=True)] * 6) == {}


def test_level_that_lasts_is_the_new_norm() -> None:
    """After seven flagged runs in a row the old level is forgotten, also when clean runs have followed."""
    level = [past(flagged=True, records=1000)] * MIN_HISTORY
    for since in (0, 1, 5, 20):
        history = [past(records=1000)] * since + level + [past()] * 30
        assert found(case(records=1000), history) == {}
        assert found(case(records=2000), history) == {"records": "alert"}


@pytest.mark.parametrize("reading", [Reading.NOTHING, Reading.FIRST, Reading.REST])
def test_run_is_compared_with_none_when_it_read_something_else(reading: Reading) -> None:
    """The first read, what an interrupted run left over, and a read of nothing have no like."""
    assert found(case(reading, records=10, rejected_share=0.9, duration_seconds=500)) == {}


def test_tail_of_files_is_judged_by_what_does_not_depend_on_its_length() -> None:
    """More lines than usual are the writer's business; fewer than ever, or worse ones, are odd."""
    assert found(case(Reading.TAIL, records=90_000, duration_seconds=500, inserted=0, vanished_listings=900)) == {}
    assert found(case(Reading.TAIL, records=500)) == {"records": "alert"}
    assert found(case(Reading.TAIL, rejected_share=0.9)) == {"rejected_share": "alert"}


def test_share_of_few_records_is_not_odd_by_chance() -> None:
    """One null among five records is no jump."""
    few = [past(records=5, rejected_share=0.0)] * 20
    assert found(case(Reading.TAIL, records=5, rejected_share=0.2), few) == {}
    assert found(case(rejected_share=0.2)) == {"rejected_share": "alert"}


@pytest.mark.parametrize(
    ("gap_seconds", "judged"), [(300, True), (160, True), (10, False), (7000, False), (None, False)]
)
def test_what_depends_on_time_is_judged_when_the_time_was_usual(gap_seconds: float | None, judged: bool) -> None:
    """A run by hand a moment after another one finds nothing new, one after an outage moved prices."""
    run = case(inserted=0, price_move_pct=80, gap_seconds=gap_seconds)
    assert set(found(run)) == ({"inserted", "price_move_pct"} if judged else set())


def test_prices_that_doubled_are_told_when_there_is_nothing_to_compare_with() -> None:
    """After an outage, or of a source that is new; a market that moves so all the time is judged by its history."""
    for moved, severity in ((99, None), (100, "warn"), (800, "warn")):
        expected = {"price_move_pct": severity} if severity else {}
        assert found(case(price_move_pct=moved, gap_seconds=7000)) == expected
        assert found(case(price_move_pct=moved), [past()] * 3) == expected
    assert found(case(price_move_pct=120), [past(price_move_pct=110)] * 20) == {}


@pytest.mark.parametrize(
    ("reading", "records", "broken"),
    [
        (Reading.FULL, 99, True), (Reading.FIRST, 0, True), (Reading.FULL, 100, False), (Reading.NOTHING, 0, False),
        (Reading.TAIL, 0, False), (Reading.REST, 3, False),
    ],
)  # fmt: skip
def test_too_few_records_are_an_alert_when_all_were_read(reading: Reading, records: int, broken: bool) -> None:
    """Without any history; what is unchanged or the rest of something may be empty."""
    run = evolve(case(reading, records=records), min_records=100)
    verdicts = anomaly.judge(run, [])
    assert [(each.metric, each.rule, each.severity) for each in verdicts] == (
        [("records", "min_records", "alert")] if broken else []
    )


@pytest.mark.parametrize("reading", list(Reading))
def test_old_data_are_an_alert_whatever_was_read(reading: Reading) -> None:
    """An upstream that says 'not modified' for a day is stale as well."""
    run = evolve(case(reading, data_age_seconds=1801), freshness_seconds=1800)
    assert [each.rule for each in anomaly.judge(run, [])] == ["freshness"]
    assert anomaly.judge(evolve(run, freshness_seconds=1801), []) == []
    assert anomaly.judge(evolve(run, freshness_seconds=None), []) == []


def test_read_that_broke_off_is_an_alert_of_its_pages() -> None:
    """One page of four is missed; one of seventy may be gone."""
    assert found(case(pages=3)) == {"pages": "alert"}
    assert found(case(pages=69), [past(pages=70)] * 20) == {}
    assert found(case(pages=3), [past(pages=4)] * (MIN_HISTORY - 1)) == {}


@pytest.mark.parametrize(
    ("whole", "unchanged", "known", "interrupted", "reading"),
    [
        (True, False, True, False, Reading.FULL), (True, False, True, True, Reading.FULL),
        (True, True, True, False, Reading.NOTHING), (True, False, False, True, Reading.FIRST),
        (False, False, False, False, Reading.FIRST), (False, False, True, False, Reading.TAIL),
        (False, False, True, True, Reading.REST), (False, True, True, True, Reading.NOTHING),
    ],
)  # fmt: skip
def test_read_is_called_by_how_much_of_its_source_it_is(
    whole: bool, unchanged: bool, known: bool, interrupted: bool, reading: Reading
) -> None:
    """A live list is always read from its start; only files leave a rest."""
    assert anomaly.read_as(whole=whole, unchanged=unchanged, known=known, interrupted=interrupted) is reading


MEASURES = st.dictionaries(
    st.sampled_from([*QUIET, "null_share_x", "unknown"]),
    st.one_of(st.just(0.0), st.floats(), st.floats(min_value=0, max_value=1e300), st.integers(0, 10**15)),
)


@given(
    run=st.builds(
        Case,
        reading=st.sampled_from(Reading),
        measures=MEASURES,
        min_records=st.integers(0, 10**9),
        freshness_seconds=st.none() | st.integers(1, 10**9),
        details=st.just({}),
    ),
    history=st.lists(st.builds(Past, measures=MEASURES, flagged=st.booleans()), max_size=40),
)
def test_judging_never_fails_whatever_was_measured(run: Case, history: list[Past]) -> None:
    """Zeros, huge and missing values, NaN: verdicts have finite numbers, and one a metric and rule."""
    verdicts = anomaly.judge(run, history)
    numbers = [value for each in verdicts for value in (each.value, each.expected, each.score or 0.0)]
    assert all(math.isfinite(number) for number in numbers)
    assert len({(each.metric, each.rule) for each in verdicts}) == len(verdicts)


@given(records=st.integers(0, 10**9), runs=st.integers(MIN_HISTORY, 40))
def test_constant_history_and_one_record_more_is_no_anomaly(records: int, runs: int) -> None:
    """However many or few there usually are."""
    history = [Past(measures={"records": records}, flagged=False)] * runs
    for value in (records, records + 1, max(records - 1, 0)):
        run = Case(reading=Reading.FULL, measures={"records": value}, min_records=0, freshness_seconds=None, details={})
        assert anomaly.judge(run, history) == []


def noise(draw: random.Random) -> dict[str, float]:
    """What a run may measure: 10 % of noise around 2000, and prices that moved by some 20 %."""
    measures = {name: 2000 * math.exp(draw.gauss(0, 0.1)) for name in NOISY}
    return measures | {"price_move_pct": measures["price_move_pct"] / 100, "gap_seconds": 300.0}


def simulate(runs: int, trials: int, *, spike: bool = False) -> tuple[float, float]:
    """Shares of trials with a halved number of records caught, and with a false alarm of any severity.

    Twelve metrics have independent noise of 10 % around 2000, more than any real source's; seeded.
    """
    draw = random.Random(7)

    caught = flags = 0
    for _ in range(trials):
        history = [Past(measures=noise(draw), flagged=False) for _ in range(runs)]
        if spike:
            odd = history[-2].measures
            history[-2] = Past(measures={name: value * 10 for name, value in odd.items()}, flagged=False)
        clean = Case(reading=Reading.FULL, measures=noise(draw), min_records=1, freshness_seconds=None, details={})
        flags += bool(anomaly.judge(clean, history))
        halved = evolve(clean, measures={"records": clean.measures["records"] / 2})
        caught += any(each.metric == "records" for each in anomaly.judge(halved, history))
    return caught / trials, flags / trials


@pytest.mark.parametrize(("runs", "trials", "spike"), [(7, 4000, False), (7, 4000, True), (20, 1000, True)])
def test_halved_read_is_caught_and_noise_is_not_in_a_seeded_simulation(runs: int, trials: int, spike: bool) -> None:
    """After an old tenfold spike as well: at least 95 % caught, less than 2 % of clean runs with any verdict."""
    caught, flags = simulate(runs, trials, spike=spike)
    assert caught >= 0.95
    assert flags < 0.02


def test_feedback_does_not_grow_when_flagged_runs_are_left_out() -> None:
    """A thousand clean runs in a row, each judged by those before it that were not flagged: flags stay rare."""
    draw = random.Random(11)
    history: list[Past] = []
    severities: list[str] = []
    for _ in range(1000):
        measures = noise(draw)
        run = Case(reading=Reading.FULL, measures=measures, min_records=1, freshness_seconds=None, details={})
        verdicts = anomaly.judge(run, history[:100])
        severities += [max(each.severity for each in verdicts)] if verdicts else []
        history.insert(0, Past(measures=measures, flagged=bool(verdicts)))
    assert len(severities) < 20
