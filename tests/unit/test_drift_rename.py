"""Which field is one that was renamed? A labelled corpus, and the rules of assignment."""

import random
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from drift_cases import CASES, Case

from kasparro.etl import drift, field_map, names, profile, rename, usual
from kasparro.fields import DriftKind, Rename
from kasparro.model import Record

COINS = 200


def numbers(low: float, high: float, digits: int = 4) -> Callable[[random.Random], Decimal]:
    """Numbers from 10 ** low to 10 ** high."""
    return lambda luck: round(Decimal(10 ** luck.uniform(low, high)), digits)


def words(shortest: int, longest: int) -> Callable[[random.Random], str]:
    return lambda luck: "".join(luck.choices("abcdefghiklmnoprstuv", k=luck.randint(shortest, longest)))


SERIES: dict[str, Callable[[random.Random], Any]] = {
    "price": numbers(-3, 4),
    "high": numbers(-2.98, 4.02),
    "small": numbers(-9, -1, 14),
    "cents": numbers(-1, 6),
    "euros": lambda luck: SERIES["price"](luck) * Decimal("0.93"),
    "sevenfold": lambda luck: SERIES["price"](luck) * 7,
    "tenfold": lambda luck: SERIES["price"](luck) * 10,
    "cap": numbers(6, 12, 0),
    "thousandths": numbers(3, 9, 0),
    "volume": numbers(4, 10),
    "supply": numbers(6, 11, 0),
    "rank": lambda luck: Decimal(luck.randint(1, 300)),
    "percent": lambda luck: round(Decimal(luck.gauss(0, 5)), 3),
    "symbol": words(3, 5),
    "name": words(5, 14),
    "id": words(6, 18),
    "time": lambda luck: f"2026-01-{luck.randint(10, 28)}T{luck.randint(10, 23)}:05:00.000Z",
    "url": lambda luck: f"https://example.org/{luck.randint(1000, 9999)}/large/coin.png",
    "list": lambda luck: [luck.randint(1, 9)],
}


def usual_of(series: str, seed: int) -> usual.Usual:
    """A field with values of a series; the values of another seed are those of another day."""
    luck = random.Random(f"{series} {seed}")
    records = [Record(fields={"x": SERIES[series](luck)}, payload="") for _ in range(COINS)]
    found = profile.look(records, nested=True)
    return usual.of(found.fields["x"], found.records)


def records_of(name: str, series: str, seed: int, *, nested: bool) -> list[Record]:
    """Records with such a field, in an object for every dot of its name or with a name that has dots, and another."""
    luck = random.Random(f"{series} {seed}")
    outer, leaf = (name.split(".")[:-1], name.split(".")[-1]) if nested else ([], name)
    records = []
    for number in range(COINS):
        fields: dict[str, Any] = {leaf: SERIES[series](luck)}
        for each in reversed(outer):
            fields = {each: fields}
        records.append(Record(fields={"checksum": f"{number:08x}"} | fields, payload=""))
    return records


def judge(case: Case, *, nested: bool) -> drift.Difference | None:
    """The rename that is found where records have the old field before and the new one now."""
    before, after = (
        profile.look(records_of(name, series, seed, nested=nested), nested=True)
        for name, series, seed in ((case.old, case.before, 1), (case.new, case.after, 2))
    )
    path = case.old if nested else field_map.escaped(case.old)
    found = drift.differences(drift.learn({}, before, drift.Rules()), after, drift.Rules())
    return next((each for each in found if (each.path, each.kind) == (path, DriftKind.RENAMED)), None)


def test_corpus_has_renames_and_decoys_enough() -> None:
    """A precision of few decoys would say little."""
    assert sum(case.is_rename for case in CASES) >= 80
    assert sum(not case.is_rename for case in CASES) >= 50
    assert len({(case.old, case.new, case.after) for case in CASES}) == len(CASES)


def test_certain_renames_are_all_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Precision is 1.0 where nobody is asked; how many are found that way, and how many at all, is printed."""
    dotted = [case for case in CASES if "." in case.old + case.new]
    found = [(case, judge(case, nested=True)) for case in CASES] + [
        (each, judge(each, nested=False)) for each in dotted
    ]
    certain = [case for case, rename in found if rename is not None and rename.certain]
    likely = [case for case, rename in found if rename is not None]
    true = sum(case.is_rename for case, _ in found)
    assert [case for case in certain if not case.is_rename] == []
    recall, offered = len(certain) / true, sum(case.is_rename for case in likely) / true
    with capsys.disabled():
        sys.stdout.write(
            f"\nrenames: {len(found)} cases, precision 1.000, recall {recall:.3f} without asking, {offered:.3f} with; "
            f"{len(likely) - sum(case.is_rename for case in likely)} decoys proposed\n"
        )
    assert recall >= 0.85
    assert offered >= 0.95


def test_swapped_columns_are_not_mapped() -> None:
    """Two fields that changed names and places: each new name fits one old field, and its values the other."""
    vanished = {"price": usual_of("price", 1), "market_cap": usual_of("cap", 1)}
    appeared = {"priceUsd": usual_of("cap", 2), "marketCapUsd": usual_of("price", 2)}
    assert [pair for pair in rename.pairs(vanished, appeared) if pair.certain] == []


def test_rename_is_not_certain_when_another_field_comes_near() -> None:
    """Two that say the same cannot both be right."""
    vanished = {"current_price": usual_of("price", 1)}
    appeared = {"price": usual_of("price", 2), "last_price": usual_of("price", 3)}
    (pair,) = rename.pairs(vanished, appeared)
    assert (pair.certain, pair.confidence >= rename.CERTAIN) == (False, True)


def test_many_renames_at_once_are_assigned_one_to_one() -> None:
    """A whole list may go from one way of writing to another."""
    series = {
        "current_price": "price",
        "market_cap": "cap",
        "total_volume": "volume",
        "high_24h": "high",
        "name": "name",
    }
    vanished = {old: usual_of(each, 1) for old, each in series.items()}
    written = {old: old.title().replace("_", "") for old in series}
    appeared = {written[old]: usual_of(each, 2) for old, each in series.items()}
    found = rename.pairs(vanished, appeared)
    assert {pair.rename.path: pair.rename.renamed_to for pair in found} == written
    assert all(pair.certain for pair in found)


def test_excluded_rename_is_not_found_again() -> None:
    """What a person said is none, is none."""
    vanished, appeared = {"price": usual_of("price", 1)}, {"price_usd": usual_of("price", 2)}
    excluded = {Rename(path="price", renamed_to="price_usd")}
    assert rename.pairs(vanished, appeared, excluded=excluded) == []


@pytest.mark.parametrize("name", ["", ".", "...", "☃", "a.b.", "24h", "___", "last", "Ünïcode", "\u0000", "9" * 400])
def test_likeness_takes_any_name(name: str) -> None:
    """Upstreams may call a field anything; it is always like itself."""
    assert names.likeness(name, name) == names.SAME
    assert 0 <= names.likeness(name, "price") <= names.SAME
