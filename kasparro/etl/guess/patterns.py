"""In which formats may a text be written as a time? Put together of what it looks like, by orders of day and month."""

import re
from collections.abc import Iterable, Iterator

CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2}):[0-9]{2}(?P<second>:[0-9]{2}(?P<fraction>\.[0-9]{1,6})?)?(?P<noon>\s?[AaPp]\.?[Mm]\.?)?"
    r"(?P<lead>\s(?:UTC|GMT)(?=[-+]))?(?P<zone>\s?[-+][0-9]{2}:?[0-9]{2}|Z)?(?P<word>\s(?:UTC|GMT|[A-Z]{3,4}))?"
)
# An hour alone, as in 2017-08-17 04-AM.
HOUR = re.compile(r"(?<= )[0-9]{1,2}(?P<s>[- ]?)[AP]M$")
_WEEKDAY = re.compile(r"(?P<day>[A-Za-z]{3,9})(?=,? )")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# A month's name; a point behind it may only shorten it, and is read with and without.
_NAME = r"[^\W\d_]{3,12}\.?"
# Shapes of a date -> its formats by order. {s} is the sign between its parts.
_DATES: tuple[tuple[re.Pattern[str], dict[str, tuple[str, ...]]], ...] = (
    (re.compile(r"[0-9]{4}(?P<s>[-/. ])[0-9]{1,2}(?P=s)[0-9]{1,2}"), {"year first": ("%Y{s}%m{s}%d",)}),
    (
        re.compile("[0-9]{4}(?P<y>\u5e74|\ub144 ?)[0-9]{1,2}(?P<m>\u6708|\uc6d4 ?)[0-9]{1,2}(?P<d>\u65e5|\uc77c)"),
        {"year first": ("%Y{y}%m{m}%d{d}",)},
    ),
    (
        re.compile(r"[0-9]{1,2}(?P<s>[-/. ])[0-9]{1,2}(?P=s)[0-9]{4}"),
        {"day first": ("%d{s}%m{s}%Y",), "month first": ("%m{s}%d{s}%Y",)},
    ),
    (
        re.compile(r"[0-9]{1,2}(?P<s>[-/. ])[0-9]{1,2}(?P=s)[0-9]{2}"),
        {"day first": ("%d{s}%m{s}%y",), "month first": ("%m{s}%d{s}%y",), "year first": ("%y{s}%m{s}%d",)},
    ),
    (re.compile(r"[0-9]{8}"), {"year first": ("%Y%m%d",), "day first": ("%d%m%Y",), "month first": ("%m%d%Y",)}),
    (
        re.compile(rf"{_NAME}(?P<s>[-/ ])[0-9]{{1,2}}(?P<c>,?)(?P<t>[-/ ])[0-9]{{4}}"),
        {"named month": ("%b{s}%d{c}{t}%Y",)},
    ),
    (
        re.compile(rf"[0-9]{{1,2}}(?P<s>[-/. ]\s?|\.? de ){_NAME}(?P<c>,?)(?P<t>[-/. ]| de )[0-9]{{4}}"),
        {"named month": ("%d{s}%b{c}{t}%Y",)},
    ),
    (
        re.compile(rf"[0-9]{{1,2}}(?P<s>[-/. ]){_NAME}(?P<c>,?)(?P<t>[-/. '])[0-9]{{2}}"),
        {"named month": ("%d{s}%b{c}{t}%y",)},
    ),
)


def candidates(text: str) -> Iterator[tuple[str, list[str]]]:
    """Orders and the formats in which a text may be written, judged by its looks."""
    clock = CLOCK.search(text)
    if clock is None and (hour := HOUR.search(text)):
        for order, formats in candidates(text[: hour.start()].rstrip()):
            yield order, [f"{each} %I{hour['s']}%p" for each in formats]
        return
    before, after, clocked = (text, "", "") if clock is None else (
        text[: clock.start()], text[clock.end() :], _clock_format(clock)
    )  # fmt: skip
    weekday = ""
    if (match := _WEEKDAY.match(before)) and match["day"].casefold()[:3] in {name[:3] for name in _WEEKDAYS}:
        weekday = "%A" if match["day"].casefold() in _WEEKDAYS else "%a"
        before = before[match.end() :]
    if re.search("[0-9]", before) and re.search("[0-9]", after):
        return
    dated = before if re.search("[0-9]", before) else after
    for shape, orders in _DATES:
        found = shape.search(dated)
        if found is None or re.search("[0-9]", dated[: found.start()] + dated[found.end() :]):
            continue
        for order, shapes in orders.items():
            written = [
                _escape(dated[: found.start()]) + each.format(**found.groupdict()) + _escape(dated[found.end() :])
                for each in shapes
            ]
            if dated is before:
                yield order, [f"{weekday}{each}{clocked}{_escape(after)}" for each in written]
            else:
                yield order, [f"{weekday}{_escape(before)}{clocked}{each}" for each in written]
        return


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def of_clocks(texts: Iterable[str]) -> list[str]:
    """The formats of times of day alone, without a zone; none where one of the texts is something else."""
    clocks = [CLOCK.fullmatch(text.strip()) for text in dict.fromkeys(texts)]
    found = [
        _clock_format(clock) for clock in clocks if clock and not (clock["lead"] or clock["zone"] or clock["word"])
    ]
    return list(dict.fromkeys(found)) if len(found) == len(clocks) else []


def _clock_format(clock: re.Match[str]) -> str:
    noon = clock["noon"] or ""
    text = ("%I" if noon else "%H") + ":%M"
    if clock["second"]:
        text += ":%S"
    if clock["fraction"]:
        text += ".%f"
    if noon:
        text += ("\u0020" if noon[0].isspace() else "") + "%p"
    text += clock["lead"] or ""
    if clock["zone"]:
        text += (" " if clock["zone"][0].isspace() else "") + "%z"
    return text + (clock["word"] or "")
