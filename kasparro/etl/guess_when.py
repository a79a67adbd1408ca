"""Which column says when? Its format and zone, a date and a time of day in two columns, or the date in a file's name.

A date that could be two days is no guess, and neither is a zone that a word only hints at.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import available_timezones

from kasparro.etl import guess_names, guess_times
from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess_columns import Column
from kasparro.etl.guess_entry import Choice, Entry, Keys, nulls, text, undecided
from kasparro.etl.guess_times import Times

# Zones that names of columns give without saying which hours they mean, summer or winter.
_VAGUE_ZONES = frozenset({
    "est", "edt", "et", "cst", "cdt", "pst", "pdt", "cet", "cest", "ist", "jst", "kst", "brt", "msk", "bst", "aest",
    "local",
})  # fmt: skip
_REGIONS = ("Europe/", "America/", "Asia/", "Africa/", "Australia/", "Pacific/", "Atlantic/")
_DAY = timedelta(days=1)
# Times of which the step between rows is judged.
_JUDGED = 400


def time(columns: Sequence[Column], *, closing: bool) -> Choice:
    """The column of times, or a date and a time in two; the end of a candle where the price is that of its end."""
    found = [
        each for each in columns if each.times is not None and (each.score("observed_at") or _rises(each, columns))
    ]
    if not found:
        return undecided(
            "observed_at", 'no column holds times; one moment for all rows is said with { value = "2024-05-31" }'
        )

    def fitness(each: Column) -> tuple[bool, int, int]:
        times = each.times or Times()
        words = guess_names.words(each.name)
        late = 20 if closing and {"close", "end"} & set(words) else 0
        return not times.problem, each.score("observed_at") + late - (25 if times.choices else 0), -each.number

    best = max(found, key=fitness)
    times = best.times or Times()
    if times.problem:
        return undecided("observed_at", f"{best.name!r} cannot be read: {times.problem}")
    clocks = [each for each in columns if each.kind == "clock"]
    if not times.clock and not times.type and len(clocks) == 1:
        return _dated((best, clocks[0]), times)
    return _dated((best,), times)


def _rises(column: Column, columns: Sequence[Column]) -> bool:
    """Whether a column without a known name holds nothing but times that go one way, and is the only such one."""
    if column.meaning.scores or any(each.score("observed_at") for each in columns if each.times is not None):
        return False
    if column.kind == "number" and column.times is not None and column.times.problem:
        return False
    rows = column.texts[:500]
    if column.times is not None and column.kind == "number" and len(rows) > 1:
        return list(rows) in (sorted(rows), sorted(rows, reverse=True)) and len(set(rows)) > 1
    return True


def _dated(columns: tuple[Column, ...], times: Times) -> Choice:
    """The entry of a time, with its formats and its zone."""
    keys: Keys = {"path": columns[0].name, **nulls(columns[0])}
    why, todo = times.proof, ""
    formats = list(times.formats)
    if len(columns) > 1:
        keys = {"template": " ".join(f"{{{each.name}}}" for each in columns)}
        clock = "%H:%M:%S" if columns[1].texts[0].count(":") == 2 else "%H:%M"
        if formats or any(len(cell.partition(":")[0]) < 2 for cell in columns[1].texts):
            formats = [f"{each} {clock}" for each in formats or ["%Y-%m-%d"]]
        why = "a date and a time of day in two columns"
    if times.type:
        keys["type"] = times.type
    elif times.choices:
        keys["format"], todo = UNDECIDED, _either(columns[0], times)
    elif len(formats) == 1:
        keys["format"] = formats[0]
    elif formats:
        keys["formats"] = formats
    zone, said, vague = _zone(columns, times)
    if zone:
        keys["timezone"] = zone
    if zone == UNDECIDED:
        zoned = f'the time zone, such as timezone = "Europe/Berlin" or "UTC": {vague}'
        todo = "; ".join(filter(None, (todo, zoned)))
    why = "; ".join(filter(None, (why, said)))
    entry = Entry(key="observed_at", value="", why=why, todo=todo)
    return Choice(entry=entry, columns=columns, keys=keys)


def _either(column: Column, times: Times) -> str:
    """Both readings of a date that has two."""
    readings = [f"{guess_times.show(found)} with format = {text(formats[0])}" for _, formats in times.choices
                for sample in [_telling(column, times)] if (found := guess_times.read(sample, formats))]  # fmt: skip
    return f"the order of day and month: {_telling(column, times)!r} is {', or '.join(readings)}"


def _telling(column: Column, times: Times) -> str:
    """A text that the orders read as different days, where there is one."""
    for sample in column.distinct:
        if len({guess_times.read(sample, formats) for _, formats in times.choices}) > 1:
            return sample
    return column.distinct[0]


def _zone(columns: Sequence[Column], times: Times) -> tuple[str, str, str]:
    """The time zone to declare, a reason or remark, and the word for a zone that is not clear."""
    if times.zoned:
        return "", "", ""
    words = [word for column in columns for word in guess_names.words(column.name)]
    if times.foreign_zone:
        return UNDECIDED, "", f"{times.foreign_zone!r} is no name of one"
    if {"utc", "gmt"} & set(words):
        return "", "in UTC, as the column's name says", ""
    named = " ".join(words)
    zones = [zone for city, zone in _cities() if re.search(rf"\b{city}\b", named)]
    if len(zones) == 1:
        return zones[0], f"in {zones[0]}, as the column's name says", ""
    vague = _VAGUE_ZONES & set(words)
    if vague:
        return UNDECIDED, "", f"{min(vague)!r} is no name of one"
    hours = _hours(columns[0], times) if len(columns) == 1 and times.clock else ()
    if hours:
        return UNDECIDED, "", f"rows are a day apart at {' and '.join(hours)}, as clocks somewhere show it"
    what = "without a time zone: taken as UTC" if times.clock else "days, taken as days of UTC"
    return "", f"{what}; another one is said with timezone", ""


@cache
def _cities() -> tuple[tuple[str, str], ...]:
    return tuple((zone.rpartition("/")[2].replace("_", " ").casefold(), zone) for zone in sorted(available_timezones())
                 if zone.startswith(_REGIONS) and zone.count("/") == 1)  # fmt: skip


def _hours(column: Column, times: Times) -> tuple[str, ...]:
    """The times of day of rows that are a day apart, where they are not those of midnight."""
    moments = _moments(column, times)
    hours = Counter(f"{each:%H:%M}" for each in moments)
    common = tuple(hour for hour, count in hours.most_common(2) if count * 5 > len(moments))
    return common if _is_daily(moments) and common and not {"00:00", "23:59"} & set(hours) else ()


def is_daily(choice: Choice) -> bool:
    """Whether a row stands for a day."""
    if len(choice.columns) != 1 or choice.columns[0].times is None:
        return False
    return _is_daily(_moments(choice.columns[0], choice.columns[0].times))


def _moments(column: Column, times: Times) -> list[datetime]:
    moments = (guess_times.moment(each, times) for each in column.distinct[:_JUDGED])
    return [each for each in moments if each is not None]


def _is_daily(moments: Sequence[datetime]) -> bool:
    steps = sorted(abs(later - earlier) for earlier, later in pairwise(moments))
    return bool(steps) and steps[len(steps) // 2] == _DAY


def of_file_name(date: str) -> tuple[Choice, Entry]:
    """The time of a file whose name has the only date, and the pattern that finds it there."""
    pattern = re.sub("[0-9]+", lambda run: f"[0-9]{{{len(run[0])}}}", re.escape(date).replace(r"\-", "-"))
    sign = next((sign for sign in "-_." if sign in date), "")
    keys: Keys = {"path": "date"}
    if sign not in ("-", ""):
        keys["format"] = f"%Y{sign}%m{sign}%d"
    entry = Entry(key="observed_at", value="", why=f"{date} in the name of the file: no column says when")
    return Choice(entry=entry, keys=keys), Entry(key="name_pattern", value=text(f"(?P<date>{pattern})"))
