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

from kasparro.etl.field_rules import UNDECIDED
from kasparro.etl.guess import dates, patterns, vocabulary
from kasparro.etl.guess.cells import Column
from kasparro.etl.guess.dates import Times
from kasparro.etl.guess.keys import Choice, Entry, Keys, nulls, quoted, text, undecided

# Zones that people name without saying which hours they mean, summer or winter, or whose.
_VAGUE_ZONES = frozenset({
    "mez", "mesz", "cet", "cest", "hnec", "haec", "hec", "oez", "oesz", "wez", "wesz", "eet", "eest", "wet", "west",
    "bst", "ist", "msk", "est", "edt", "et", "cst", "cdt", "mst", "mdt", "pst", "pdt", "akst", "hst", "brt", "art",
    "clt", "cot", "jst", "kst", "sgt", "hkt", "pht", "wib", "gst", "pkt", "sast", "aest", "aedt", "acst", "awst",
    "nzst", "nzdt", "local", "lokal", "locale", "lokale", "ortszeit", "localtime", "zone",
})  # fmt: skip
# Those that are words as well: they count only in capitals.
_WORDS = frozenset({"et", "est", "ist", "art", "west", "wet", "cot", "zone"})
# Names of columns with a time of day.
_DAYTIMES = frozenset({
    "time", "time utc", "hour", "hour utc", "zeit", "uhrzeit", "stunde", "hora", "heure", "ora", "tijd", "uur", "czas",
})  # fmt: skip
# What a date is called that is not the one of a price.
_OTHER_DATES = frozenset({
    "launch", "launched", "genesis", "listed", "listing", "added", "ath", "atl", "expiry", "expiration", "expires",
    "maturity", "birth", "born", "founded", "inception", "issued", "purchase", "purchased", "buy", "bought", "acquired",
    "settlement", "delivery", "halving", "joined", "birthday", "first",
})  # fmt: skip
_REGIONS = ("Europe/", "America/", "Asia/", "Africa/", "Australia/", "Pacific/", "Atlantic/")
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
# Rows of which the step between them is judged.
_JUDGED = 5000
# Times of day that stand for a day.
_DAYS_ENDS = ("00:00", "23:59")


def time(columns: Sequence[Column], notes: Sequence[str], *, closing: bool) -> Choice:
    """The column of times, or a date and a time in two; the end of a candle where the price is that of its end.

    `notes` are lines above the header: they may name the time zone.
    """
    others = [each for each in columns if each.times is not None and _OTHER_DATES & {*vocabulary.words(each.name)}]
    columns = [each for each in columns if each not in others]
    found = [
        each for each in columns if each.times is not None and (each.score("observed_at") or _rises(each, columns))
    ]
    if not found and others:
        hint = f'{text(others[0].name)} if its prices are of then, else {{ value = "2024-05-31" }}, one moment for all'
        return undecided("observed_at", f"{quoted(others)} may say when something else was: {hint}")
    if not found:
        named = max(columns, key=lambda each: each.score("observed_at"), default=None)
        if named is not None and named.score("observed_at") and named.texts:
            return undecided("observed_at", f"{named.name!r} holds no times that can be read, but {named.texts[0]!r}")
        return undecided(
            "observed_at", 'no column holds times; one moment for all rows is said with { value = "2024-05-31" }'
        )

    def fitness(each: Column) -> tuple[bool, int, int]:
        times = each.times or Times()
        words = vocabulary.words(each.name)
        late = 20 if closing and {"close", "end"} & set(words) else 0
        return not times.problem, each.score("observed_at") + late - (25 if times.choices else 0), -each.number

    best = max(found, key=fitness)
    times = best.times or Times()
    if times.problem:
        return undecided("observed_at", f"{best.name!r} cannot be read: {times.problem}")
    if times.clock or times.type:
        return _dated((best,), times, notes)
    clocks = [each for each in columns if each is not best and _is_daytime(each)]
    if len(clocks) == 1 and clocks[0].kind == "clock":
        return _dated((best, clocks[0]), times, notes)
    if clocks:
        template = text(f"{{{best.name}}} {{{clocks[0].name}}}")
        return undecided(
            "observed_at", f"the time of day stands in {quoted(clocks)}, as in {{ template = {template} }}"
        )
    return _dated((best,), times, notes)


def _is_daytime(column: Column) -> bool:
    """Whether a column has a time of day, written so or called so."""
    called = " ".join(vocabulary.words(column.name)) in _DAYTIMES
    return column.kind == "clock" or (called and bool(column.texts))


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


def _dated(columns: tuple[Column, ...], times: Times, notes: Sequence[str]) -> Choice:
    """The entry of a time, with its formats and its zone."""
    keys: Keys = {"path": columns[0].name, **nulls(columns[0])}
    why, todo = times.proof, ""
    formats = list(times.formats)
    if len(columns) > 1:
        keys = {"template": " ".join(f"{{{each.name}}}" for each in columns)}
        clocks = patterns.of_clocks(columns[1].texts)
        if formats or "%p" in clocks[0] or any(len(cell.partition(":")[0]) < 2 for cell in columns[1].texts):
            formats = [f"{each} {clock}" for each in formats or ["%Y-%m-%d"] for clock in clocks]
        why = "a date and a time of day in two columns"
    if times.type:
        keys["type"] = times.type
    elif times.choices:
        keys["format"], todo = UNDECIDED, _either(columns[0], times)
    elif len(formats) == 1:
        keys["format"] = formats[0]
    elif formats:
        keys["formats"] = formats
    zone, said, vague = _zone(columns, times, notes)
    if zone:
        keys["timezone"] = zone
    if zone == UNDECIDED:
        zoned = f'the time zone, such as timezone = "Europe/Berlin" or "UTC": {vague}'
        todo = "; ".join(filter(None, (todo, zoned)))
    odd = columns[0].odd
    rejected = (
        f"{', '.join(map(repr, odd[:3]))} {'is no time' if len(odd) == 1 else 'are no times'}: rejected" if odd else ""
    )
    why = "; ".join(filter(None, (why, said, rejected)))
    entry = Entry(key="observed_at", value="", why=why, todo=todo)
    return Choice(entry=entry, columns=columns, keys=keys)


def _either(column: Column, times: Times) -> str:
    """Both readings of a date that has two."""
    readings = [f"{dates.show(found)} with format = {text(formats[0])}" for _, formats in times.choices
                for sample in [_telling(column, times)] if (found := dates.read(sample, formats))]  # fmt: skip
    return f"the order of day and month: {_telling(column, times)!r} is {', or '.join(readings)}"


def _telling(column: Column, times: Times) -> str:
    """A text that the orders read as different days, where there is one."""
    for sample in column.distinct:
        if len({dates.read(sample, formats) for _, formats in times.choices}) > 1:
            return sample
    return column.distinct[0]


def _zone(columns: Sequence[Column], times: Times, notes: Sequence[str]) -> tuple[str, str, str]:
    """The time zone to declare, a reason or remark, and why a zone is not clear."""
    if times.zoned:
        return "", "", ""
    if times.foreign_zone:
        return UNDECIDED, "", f"{times.foreign_zone!r} is no name of one"
    clocked = times.clock or len(columns) > 1
    names = [each.name for each in columns]
    words = {word for name in names for word in vocabulary.words(name)} - _WORDS | _capitals(names)
    offset = re.search(r"(?i)\b(?:utc|gmt) ?[-+\u2212] ?[0-9]+", " ".join((*names, *notes)))
    if vague := offset[0] if offset else min(_VAGUE_ZONES & (words | _capitals(notes)), default=""):
        return UNDECIDED, "", f"{vague!r} is no name of one"
    # When a file was written, in UTC, says nothing of the times in it.
    if {"utc", "gmt"} & (words | _capitals([note for note in notes if not re.search("[0-9]", note)])):
        return "", "in UTC, as the column's name or a line above says", ""
    plain = " ".join(word for name in names for word in vocabulary.words(name))
    zones = {zone for city, zone in _cities() if re.search(rf"\b{city}\b", plain)}
    zones |= set(re.findall(r"[A-Z]\w+/[A-Z]\w+", " ".join((*names, *notes)))) & available_timezones()
    if len(zones) == 1:
        return min(zones), f"in {min(zones)}, as the column's name or a line above says", ""
    if not clocked:
        return "", "days, taken as days of UTC; another one is said with timezone", ""
    moments = _moments(columns, times)
    if moments and all(f"{each:%H:%M}" in _DAYS_ENDS for each in moments):
        return "", "days, taken as days of UTC; another one is said with timezone", ""
    return UNDECIDED, "", _hours(moments) or _changed(moments) or "nothing says whose clocks these times are of"


def _capitals(texts: Sequence[str]) -> set[str]:
    return {word.casefold() for word in re.findall(r"\b[A-Z]{2,4}\b", " ".join(texts))}


@cache
def _cities() -> tuple[tuple[str, str], ...]:
    return tuple((zone.rpartition("/")[2].replace("_", " ").casefold(), zone) for zone in sorted(available_timezones())
                 if zone.startswith(_REGIONS) and zone.count("/") == 1)  # fmt: skip


def _hours(moments: Sequence[datetime]) -> str:
    """The times of day of rows that are a day apart."""
    hours = Counter(f"{each:%H:%M}" for each in moments)
    common = [hour for hour, count in hours.most_common(2) if count * 5 > len(moments)]
    if not _is_daily(moments) or not common:
        return ""
    return f"rows are a day apart at {' and '.join(common)}, as clocks somewhere show it"


def _changed(moments: Sequence[datetime]) -> str:
    """The hour of a Sunday that comes twice as often as others, or not at all: clocks were set back or forward."""
    rows = Counter(moments)
    usual = sorted(rows.values())[len(rows) // 2] if rows else 1
    times = sorted(rows)
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    if not steps or (step := steps[len(steps) // 2]) > _HOUR:
        return ""
    for earlier, later in pairwise(times):
        if _at_night(earlier) and rows[earlier] == 2 * usual:
            return f"{earlier:%d %B %Y %H:%M} comes twice, as where clocks are set back"
        if _at_night(later) and later - earlier == step + _HOUR:
            return f"{later - _HOUR:%d %B %Y %H:%M} is left out, as where clocks are set forward"
    return ""


def _at_night(moment: datetime) -> bool:
    """Whether clocks are changed at such times somewhere."""
    return moment.isoweekday() == 7 and moment.hour < 5 and moment.month in (3, 4, 9, 10, 11)


def is_daily(choice: Choice) -> bool:
    """Whether a row stands for a day."""
    if len(choice.columns) != 1 or choice.columns[0].times is None:
        return False
    return _is_daily(_moments(choice.columns, choice.columns[0].times))


def _moments(columns: Sequence[Column], times: Times) -> list[datetime]:
    """The moments of the first rows, with the time of day of a second column."""
    found = []
    clocks = columns[1].texts if len(columns) > 1 else ()
    for number, written in enumerate(columns[0].texts[:_JUDGED]):
        moment = dates.moment(written, times)
        if moment is not None and number < len(clocks):
            hour, minute = map(int, re.findall("[0-9]+", clocks[number])[:2])
            hour = hour % 12 + 12 * ("P" in clocks[number].upper()) if clocks[number][-1:].isalpha() else hour
            moment = moment.replace(hour=hour % 24, minute=minute % 60)
        found += [moment.replace(tzinfo=None)] if moment is not None else []
    return found


def _is_daily(moments: Sequence[datetime]) -> bool:
    days = list(dict.fromkeys(moments))
    steps = sorted(abs(later - earlier) for earlier, later in pairwise(days))
    return bool(steps) and steps[len(steps) // 2] == _DAY


def of_file_name(date: str) -> tuple[Choice, str]:
    """The time of a file whose name has the only date, and the pattern that finds it there."""
    pattern = re.sub("[0-9]+", lambda run: f"[0-9]{{{len(run[0])}}}", re.escape(date).replace(r"\-", "-"))
    sign = next((sign for sign in "-_." if sign in date), "")
    keys: Keys = {"path": "date"}
    if sign not in ("-", ""):
        keys["format"] = f"%Y{sign}%m{sign}%d"
    entry = Entry(key="observed_at", value="", why=f"{date} in the name of the file: no column says when")
    return Choice(entry=entry, keys=keys), f"(?P<date>{pattern})"
