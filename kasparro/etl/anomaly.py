"""Is this run like those before it? Pure decisions: what a run is measured by, and the verdicts on it.

The judge is the source's own history: a modified z-score on log1p of the value, with the median absolute deviation and
a floor below which no difference counts (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993). An old spike
moves neither median nor MAD by much, and is left out of a short history. Hard rules come beside it. A verdict changes
nothing about its run.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum

from attrs import evolve, frozen

from kasparro.model import Anomaly, Reading

# Runs that a run is compared with: at least so many, or nothing is said; at most so many, or old habits count.
MIN_HISTORY = 7
MAX_HISTORY = 30
# Scores of the severities. In seeded simulations with 10 % noise and 7 to 30 runs before it, a halved number of records
# scores above the first in 96 % and more, after a spike too, and any of twelve metrics of pure noise in less than 2 %.
WARN_SCORE = 3.5
ALERT_SCORE = 6.0
# The share of MAD that is one standard deviation of normal noise; of few values it is less, by this over their number.
_MAD_OF_SIGMA = 0.6745
_SMALL = 0.45
# The MAD of few values is often much too small. So what is not `first` is measured by this share of the deviations too,
# which an odd run among seven does not reach, by how many standard deviations that is, and widened by this over
# their number: all metrics together then raise few false alarms.
_MOST = 0.8
_MOST_OF_SIGMA = 1.2816
_WIDENING = 14.0
# Times the usual time since the run before: outside, what depends on that time is not compared.
_USUAL_GAP = (0.5, 2.0)
# The share of the usual number of pages below which a read was broken off: a list of 70 pages may lose one.
_FEWEST_PAGES = 0.9


class Unit(Enum):
    """What a metric counts; decides how much of a difference is noise."""

    RECORDS = "records"
    EVENTS = "events"
    SHARE = "share"
    SECONDS = "seconds"
    PERCENT = "percent"


@frozen(kw_only=True)
class Metric:
    """How a metric is judged: in which directions, of which reads, and whether it depends on the time between runs.

    `first`: what the source is run for; that it is less is judged without the caution that many metrics demand. From
    `limit` on it is odd where there is no history to compare with.
    """

    unit: Unit
    low: bool = False
    high: bool = True
    of_tails: bool = False
    by_gap: bool = False
    first: bool = False
    limit: float = math.inf


_NULL_SHARE = "null_share_"
_METRICS = {
    "records": Metric(unit=Unit.RECORDS, low=True, of_tails=True, first=True),
    "inserted": Metric(unit=Unit.EVENTS, low=True, high=False, by_gap=True),
    "rejected_share": Metric(unit=Unit.SHARE, of_tails=True),
    "duration_seconds": Metric(unit=Unit.SECONDS),
    "new_listings": Metric(unit=Unit.EVENTS, of_tails=True),
    "vanished_listings": Metric(unit=Unit.EVENTS),
    # Twice as much, or half as much, at the median: even after a long sleep of the service somebody should look.
    "price_move_pct": Metric(unit=Unit.PERCENT, by_gap=True, limit=100.0),
}
_NULL_METRIC = Metric(unit=Unit.SHARE, of_tails=True)


@frozen(kw_only=True)
class Past:
    """A run of before: what it measured, and whether anything was found about it."""

    measures: Mapping[str, float]
    flagged: bool


@frozen(kw_only=True)
class Case:
    """A run to be judged, and what its source demands. `details` says more about a metric than its number."""

    reading: Reading
    measures: Mapping[str, float]
    min_records: int
    freshness_seconds: int | None
    details: Mapping[str, str]


def read_as(*, whole: bool, unchanged: bool, known: bool, interrupted: bool) -> Reading:
    """What to call a read. `whole`: the source always gives all it has; `known`: it had been read before.

    `unchanged`: nothing was new; `interrupted`: the run before did not get to its end.
    """
    if unchanged:
        return Reading.NOTHING
    if not known:
        return Reading.FIRST
    if whole:
        return Reading.FULL
    return Reading.REST if interrupted else Reading.TAIL


def judge(case: Case, history: Sequence[Past]) -> list[Anomaly]:
    """The verdicts on a run; `history` are the runs that read alike with the same settings, newest first."""
    case = evolve(case, measures=_usable(case.measures))
    past = [evolve(each, measures=_usable(each.measures)) for each in _baseline(history)]
    found = [*_hard_rules(case, past)]
    broken = {verdict.metric for verdict in found}
    if case.reading in (Reading.FULL, Reading.TAIL):
        for name in case.measures:
            metric = _NULL_METRIC if name.startswith(_NULL_SHARE) else _METRICS.get(name)
            if metric is None or name in broken or (case.reading is Reading.TAIL and not metric.of_tails):
                continue
            verdict = _compare(case, name, metric, [each for each in past if name in each.measures])
            found += [verdict] if verdict is not None else []
    return found


def null_share(field: str) -> str:
    """The metric that is the share of quotes without this field."""
    return f"{_NULL_SHARE}{field}"


def _usable(measures: Mapping[str, float]) -> dict[str, float]:
    """Those with a value: a clock that was set back must not end a run in an error."""
    return {name: float(value) for name, value in measures.items() if 0 <= value < math.inf}


def _baseline(history: Sequence[Past]) -> list[Past]:
    """The runs to compare with: those that nothing was found about.

    A level that lasts is the new norm: of MIN_HISTORY flagged runs in a row all count, and what was before does not.
    """
    kept: list[Past] = []
    streak: list[Past] = []
    for past in history:
        if not past.flagged:
            streak = []
            kept.append(past)
            continue
        streak.append(past)
        if len(streak) == MIN_HISTORY:
            kept += streak
            break
    return kept[:MAX_HISTORY]


def _compare(case: Case, name: str, metric: Metric, past: Sequence[Past]) -> Anomaly | None:
    """The verdict of history on one metric."""
    if metric.by_gap:
        past = _alike_in_time(case, past)
    if len(past) < MIN_HISTORY:
        return _beyond_limit(name, case.measures[name], metric)
    value, known = case.measures[name], [each.measures[name] for each in past]
    score, expected = _score(value, known, metric, size=case.measures.get("records", 0.0))
    # How many lines a file gets is its writer's business: only fewer than ever are odd.
    high = metric.high and not (case.reading is Reading.TAIL and metric.low)
    if abs(score) < WARN_SCORE or not (high if score > 0 else metric.low):
        return None
    detail = case.details.get(name, "")
    return Anomaly(
        metric=name,
        rule="history",
        severity="alert" if abs(score) >= ALERT_SCORE else "warn",
        value=round(value, 6),
        expected=round(expected, 6),
        score=round(score, 2),
        message=f"{name}: {_show(value, metric.unit)}, usually about {_show(expected, metric.unit)} "
        f"(score {score:.1f} over {len(known)} runs){detail}",
    )


def _beyond_limit(name: str, value: float, metric: Metric) -> Anomaly | None:
    if value < metric.limit:
        return None
    shown = f"{name}: {_show(value, metric.unit)}, {_show(metric.limit, metric.unit)} are odd whatever was before"
    return evolve(_broken(name, "price_move", value, metric.limit, shown), severity="warn")


def _score(value: float, known: Sequence[float], metric: Metric, *, size: float) -> tuple[float, float]:
    """The modified z-score of a value, and the value expected."""
    logs = [math.log1p(each) for each in known]
    middle = statistics.median(logs)
    farthest = max(logs, key=lambda each: abs(each - middle))
    others = list(logs)
    others.remove(farthest)
    # A spike of a time when history was too short to judge it: by the others it would have been flagged.
    difference, sigma = _compare_logs(farthest, others, metric, size=size, cautious=not metric.first)
    if abs(difference) >= ALERT_SCORE * sigma:
        logs = others
    middle = statistics.median(logs)
    cautious = not metric.first or math.log1p(value) > middle
    difference, sigma = _compare_logs(math.log1p(value), logs, metric, size=size, cautious=cautious)
    return difference / sigma, math.expm1(middle)


def _compare_logs(
    log: float, logs: Sequence[float], metric: Metric, *, size: float, cautious: bool
) -> tuple[float, float]:
    """How far a value is from the middle of others, and how far it may be: one standard deviation."""
    middle = statistics.median(logs)
    away = sorted(abs(each - middle) for each in logs)
    sigma = statistics.median(away) / _MAD_OF_SIGMA * (1 + _SMALL / len(away))
    if cautious:
        most = away[math.ceil(_MOST * len(away)) - 1] / _MOST_OF_SIGMA
        sigma = max(sigma, most) * (1 + _WIDENING / len(away))
    return log - middle, max(sigma, _FLOORS[metric.unit](math.expm1(middle), size))


def _share_floor(expected: float, size: float) -> float:
    """The noise of drawing a share from `size` records, one of them for and one against it assumed beforehand."""
    share = (min(expected, 1.0) * size + 1) / (size + 2)
    return max(0.01, math.sqrt(share * (1 - share) / (size + 2)))


# What is no difference, on the scale of log1p: 5 %, or one record; for what comes by chance, what chance alone does
# (Poisson); 1 point of a share; of seconds a fifth, and of price moves a third, of 1 plus them: a run of 1 s may take
# 3 s before it is worth a warning, and the median price move 2.5 % instead of 0.2 %.
_FLOORS: Mapping[Unit, Callable[[float, float], float]] = {
    Unit.RECORDS: lambda expected, _: max(0.05, 1 / (1 + expected)),
    Unit.EVENTS: lambda expected, _: max(0.05, 1 / math.sqrt(1 + expected)),
    Unit.SHARE: _share_floor,
    Unit.SECONDS: lambda *_: 0.2,
    Unit.PERCENT: lambda *_: 0.3,
}


def _alike_in_time(case: Case, past: Sequence[Past]) -> list[Past]:
    """The runs whose time since the run before was usual; none when this run's was not."""
    gaps = [each.measures["gap_seconds"] for each in past if "gap_seconds" in each.measures]
    if not gaps or "gap_seconds" not in case.measures:
        return []
    usual = statistics.median(gaps)
    low, high = (usual * times for times in _USUAL_GAP)
    if not low <= case.measures["gap_seconds"] <= high:
        return []
    return [each for each in past if low <= each.measures.get("gap_seconds", -1.0) <= high]


def _hard_rules(case: Case, past: Sequence[Past]) -> Iterator[Anomaly]:
    records, pages = case.measures.get("records"), case.measures.get("pages")
    if records is not None and case.reading in (Reading.FULL, Reading.FIRST) and records < case.min_records:
        message = f"records: {records:,.0f}, at least {case.min_records:,} are demanded (min_records)"
        yield _broken("records", "min_records", records, case.min_records, message)
    age, limit = case.measures.get("data_age_seconds"), case.freshness_seconds
    if age is not None and limit is not None and age > limit:
        message = f"data_age_seconds: the newest data are {age:,.0f} s old, {limit:,} s are allowed (freshness_seconds)"
        yield _broken("data_age_seconds", "freshness", age, limit, message)
    known = [each.measures["pages"] for each in past if "pages" in each.measures]
    if pages is not None and case.reading is Reading.FULL and len(known) >= MIN_HISTORY:
        usual = statistics.median(known)
        if pages < _FEWEST_PAGES * usual:
            message = f"pages: the read ended after {pages:,.0f} of usually {usual:,.0f}{case.details.get('pages', '')}"
            yield _broken("pages", "partial_pages", pages, usual, message)


def _broken(metric: str, rule: str, value: float, expected: float, message: str) -> Anomaly:
    return Anomaly(
        metric=metric,
        rule=rule,
        severity="alert",
        value=round(value, 6),
        expected=round(expected, 6),
        message=message,
    )


def _show(value: float, unit: Unit) -> str:
    if unit is Unit.SHARE:
        return f"{value:.1%}"
    if unit is Unit.SECONDS:
        return f"{value:,.1f} s"
    if unit is Unit.PERCENT:
        return f"{value:,.2f} %"
    return f"{value:,.0f}"
