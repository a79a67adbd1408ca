"""How are times written? ISO 8601, a count since 1970, or a format; day-first or month-first only where it is proven.

Every text is read with the formats that patterns puts together, as a run would read it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from attrs import evolve, frozen

from kasparro.etl import time_text, values
from kasparro.etl.guess import patterns
from kasparro.etl.values import BadValueError

_NAMED = re.compile(r"[^\W\d_]{3,}")
# Digits of a count since 1970 in this century -> a map's type.
_EPOCHS = {10: "epoch_seconds", 13: "epoch_milliseconds", 16: "epoch_microseconds"}
# What a spreadsheet makes of an epoch.
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{1,2}")
# What a reader takes besides, such as 2024/1/5, is written down as a format: a clock in another column may follow.
_WHOLE_DATE = re.compile("[0-9]{4}(-?)[0-9]{2}\\1[0-9]{2}")
# Days since 1899 as spreadsheets count them, from 2009 to 2064.
_SERIAL = range(39_800, 60_000)
# Texts of which it is judged whether they go one way.
_JUDGED = 2000
# Shapes that one column's texts may have: with and without a fraction, one digit or two.
_MAX_SHAPES = 12


@frozen(kw_only=True)
class Times:
    """How a column's times are written.

    `type` is a map's type, '' for ISO 8601 and formats; `formats` are a map's, none for ISO 8601. With `choices`, order
    -> formats, every order fits every text: it is not decided. `problem` says why a map cannot read them.
    `zoned`: they say in which zone they are; `clock`: they have a time of day; `foreign_zone` is one that is not read.
    """

    type: str = ""
    formats: tuple[str, ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problem: str = ""
    proof: str = ""
    zoned: bool = False
    clock: bool = True
    foreign_zone: str = ""
    first: datetime | None = None


def find(texts: Sequence[str]) -> Times | None:
    """How these texts are written as times, None when they are none."""
    distinct = list(dict.fromkeys(text.strip() for text in texts))
    if not distinct:
        return None
    if all(_SHORTENED.fullmatch(text) for text in distinct[:50]) and all("e+1" in text.lower() for text in distinct):
        return Times(problem=f"{distinct[0]} has lost its last digits to a spreadsheet: export the file anew")
    if all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) for text in distinct) and len(distinct[0]) != 8:
        return _epoch(distinct)
    if len(distinct[0]) < 6:
        return None
    if all(map(_is_iso, distinct)):
        zoned = all(re.search(r"(Z|UTC|GMT|[-+][0-9]{2}:?[0-9]{2})$", text[8:]) for text in distinct)
        return Times(zoned=zoned, clock=any(":" in text for text in distinct), first=values.iso(distinct[0]))
    return _formats(distinct)


def most(texts: Sequence[str]) -> tuple[Times | None, tuple[str, ...]]:
    """How most of a column's texts, row by row, are written as times; and the few that are none, such as footers."""
    distinct = tuple(dict.fromkeys(texts))
    times = find(distinct)
    if times is not None and not times.problem:
        return times, ()
    rows, shapes = Counter(texts), Counter(map(_shape, texts))
    for fits in (_is_iso, lambda text: shapes[_shape(text)] > _few(len(texts))):
        kept = [text for text in distinct if fits(text)]
        odd = tuple(text for text in distinct if not fits(text))
        if sum(rows[text] for text in odd) > _few(len(texts)):
            continue
        found = find(kept)
        if found is not None and not found.problem:
            return found, odd
    return times, ()


def _few(rows: int) -> int:
    """Rows of so many that may be none of the table's: two, where there are as many others, or one in fifty."""
    return max(min(2, rows // 2), rows // 50)


def is_clock(texts: Sequence[str]) -> bool:
    """Whether these texts are times of day alone."""
    return bool(patterns.of_clocks(texts))


def show(moment: datetime) -> str:
    """A date for people who may read numbers either way."""
    return moment.strftime("%d %B %Y")


def read(text: str, formats: Iterable[str]) -> datetime | None:
    """The moment that the first fitting format reads, None when there is none."""
    return time_text.read(text.strip(), formats)


def moment(text: str, times: Times) -> datetime | None:
    """What one of the texts means, as far as it is decided; without a zone of its own as it is written."""
    if times.type:
        return values.epoch(text, unit=values.EPOCH_UNITS[times.type])
    if times.choices or times.problem:
        return None
    return read(text, times.formats) if times.formats else values.iso(text)


def _epoch(texts: Sequence[str]) -> Times | None:
    digits = {len(text.partition(".")[0]) for text in texts}
    if digits == {5} and all(int(text.partition(".")[0]) in _SERIAL for text in texts):
        return Times(problem=f"{texts[0]} counts days as spreadsheets do, which is not read: format them as dates")
    if digits == {19}:
        return Times(problem=f"{texts[0]} counts nanoseconds since 1970, which is not read")
    if len(digits) > 1 and digits <= _EPOCHS.keys():
        counts = " and ".join(
            min(text for text in texts if len(text.partition(".")[0]) == size) for size in sorted(digits)
        )
        return Times(problem=f"{counts} count in units that differ: a map for the files of each, or mend the file")
    if len(digits) != 1 or (word := _EPOCHS.get(digits.pop())) is None:
        return None
    try:
        moments = [values.epoch(text, unit=values.EPOCH_UNITS[word]) for text in texts]
    except BadValueError:
        return None
    return Times(type=word, zoned=True, first=moments[0], proof=f"{texts[0]} is {moments[0]:%Y-%m-%d %H:%M} UTC")


def _is_iso(text: str) -> bool:
    if not _WHOLE_DATE.match(text):
        return False
    try:
        moment = values.iso(text)
        values.in_range(moment if moment.tzinfo else moment.replace(tzinfo=UTC), text)
    except BadValueError:
        return False
    return True


def _formats(texts: Sequence[str]) -> Times | None:
    """The formats that read every text; several choices where more than one order of day and month does."""
    shapes: dict[str, list[str]] = {}
    for text in texts:
        shapes.setdefault(_shape(text), []).append(text)
    if len(shapes) > _MAX_SHAPES:
        return None
    fitting = []
    for members in shapes.values():
        written = patterns.candidates(members[0])
        orders = {order: used for order, formats in written if (used := _used(members, formats))}
        if not orders:
            return _mixed(members) or _unread(members[0])
        fitting.append(orders)
    # What one text proves is so for the others of its column.
    proven = {order for orders in fitting if len(orders) == 1 for order in orders}
    if {"day first", "month first"} <= proven or (len(proven) == 1 and _jumps(texts, proven)):
        return _mixed(texts)
    fitting = [{order: orders[order] for order in orders if order in proven} or orders for orders in fitting]
    clocks = [match for text in texts if (match := patterns.CLOCK.search(text))]
    word = next((match["word"].strip() for match in clocks if match["word"]), "")
    known = word in ("", "UTC", "GMT")
    times = Times(
        zoned=bool(clocks) and all(match["zone"] or (match["word"] and known) for match in clocks),
        clock=bool(clocks) or any(patterns.HOUR.search(text) for text in texts),
        foreign_zone="" if known or any(match["zone"] for match in clocks) else word,
    )
    wanted = max(fitting, key=len)
    if len(wanted) > 1:
        return evolve(times, choices=tuple((order, _join(fitting, order)) for order in wanted))
    chosen = _join(fitting, next(iter(wanted)))
    proof = next((f"{text} proves {order}" for orders in fitting for order in orders for text in texts
                  if _proves(text, order)), "")  # fmt: skip
    return evolve(times, formats=chosen, first=read(texts[0], chosen), proof=proof)


def _readings(text: str) -> dict[str, datetime]:
    """What a text is by every order that fits it."""
    found = ((order, read(text, formats)) for order, formats in patterns.candidates(text))
    return {order: moment.replace(tzinfo=None) for order, moment in found if moment is not None}


def _jumps(texts: Sequence[str], proven: set[str]) -> bool:
    """Whether times jump to and fro in the order that some prove, and would not if all others were in another one.

    So are columns of which a spreadsheet understood only a part.
    """
    chosen, mixed = [], []
    for text in texts[:_JUDGED]:
        found = _readings(text)
        own = [moment for order, moment in found.items() if order in proven]
        others = [moment for order, moment in found.items() if order not in proven]
        chosen += own[:1]
        mixed += (others or own)[:1]
    return not _goes_one_way(chosen) and _goes_one_way(mixed)


def _goes_one_way(moments: Sequence[datetime]) -> bool:
    return list(moments) in (sorted(moments), sorted(moments, reverse=True))


def _mixed(texts: Sequence[str]) -> Times | None:
    """The contradiction of texts of which some are day first, others month first; None where there is no such one."""
    days = next((text for text in texts if list(_readings(text)) == ["day first"]), "")
    months = next((text for text in texts if list(_readings(text)) == ["month first"]), "")
    either = next((text for text in texts if len(_readings(text)) > 1), "")
    if not all(map(_readings, texts)) or not (days or months) or not ((days and months) or either):
        return None
    one, other = (days, months) if days and months else (days or months, either)
    return Times(problem=f"{one} and {other} are not in the same order of day and month: export the file anew")


def _shape(text: str) -> str:
    """What a text looks like: the same for texts that one format reads."""
    text = re.sub(r"(?<=:[0-9]{2})\.[0-9]+", ".f", text)
    return re.sub(r"[0-9]+", lambda run: "9" * max(len(run[0]), 2), re.sub(r"[^\W\d_]+", "a", text))


def _used(texts: Sequence[str], formats: Sequence[str]) -> tuple[str, ...]:
    """The formats that are needed to read all of them; none where one cannot be read."""
    used: dict[str, None] = {}
    for text in texts:
        fitting = next((each for each in (*used, *formats) if read(text, (each,)) is not None), None)
        if fitting is None:
            return ()
        used[fitting] = None
    return tuple(used)


def _join(fitting: Sequence[dict[str, tuple[str, ...]]], order: str) -> tuple[str, ...]:
    """All formats there are, with this order where there is a choice."""
    chosen = (orders.get(order, next(iter(orders.values()))) for orders in fitting)
    return tuple(dict.fromkeys(each for formats in chosen for each in formats))


def _proves(text: str, order: str) -> bool:
    """Whether a number that is too large for a month stands where only this order has a day."""
    numbers = re.findall(r"[0-9]+", text)
    at = {"day first": 0, "month first": 1}.get(order)
    return at is not None and len(numbers) > at and len(numbers[at]) < 3 and int(numbers[at]) > 12


def _unread(text: str) -> Times | None:
    """Why a text that looks like a date cannot be read; None for one that does not."""
    if not re.search(r"[0-9]", text) or len(text) > 40:
        return None
    if re.fullmatch(r"[0-9]{4}[-/.][0-9]{1,2}", text):
        return Times(problem=f"{text} has no day")
    if re.search(r"[0-9]{1,2}[-/. ]", text) and (word := _NAMED.search(text)) and re.search("[0-9]{4}", text):
        return Times(problem=f"the month in {text!r} is not read: {word[0]!r} is none of the names that are known")
    return None
