"""What moment did a person write? In a declared format and time zone; what could be two moments is none.

When clocks are set back an hour comes twice, when they are set forward one is left out: a time in the first is
rejected unless the map says which is meant (`fold`), a time in the second always.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from kasparro.etl import values
from kasparro.etl.field_map import FieldMap
from kasparro.etl.values import BadValueError


def converter(spec: FieldMap) -> Callable[[Any], datetime]:
    """The function that reads times as this field writes them. It raises BadValueError."""
    parse = partial(_strptime, formats=spec.formats) if spec.formats else values.iso
    if not spec.formats and not spec.timezone:
        return values.time
    return partial(_moment, parse=parse, zone=ZoneInfo(spec.timezone) if spec.timezone else UTC, fold=spec.fold)


def _moment(found: Any, *, parse: Callable[[Any], datetime], zone: tzinfo, fold: str) -> datetime:
    written = parse(found)
    try:
        return values.in_range((_localise(written, zone, fold, found) if written.tzinfo is None else written)
                               .astimezone(UTC), found)  # fmt: skip
    except OverflowError:
        raise BadValueError("out_of_range", f"must be a time since 2000, got {values.show(found)}") from None


def _localise(written: datetime, zone: tzinfo, fold: str, found: Any) -> datetime:
    earlier, later = written.replace(tzinfo=zone, fold=0), written.replace(tzinfo=zone, fold=1)
    before, after = earlier.utcoffset(), later.utcoffset()
    if before == after or before is None or after is None:
        return earlier
    if before < after:
        raise BadValueError("not_a_time", f"clocks in {zone} left this time out, got {values.show(found)}")
    if not fold:
        raise BadValueError(
            "ambiguous_time", f"this time came twice in {zone}; fold says which is meant, got {values.show(found)}"
        )
    return earlier if fold == "earlier" else later


def _strptime(found: Any, *, formats: Sequence[str]) -> datetime:
    text = found.strip() if isinstance(found, str) else ""
    for each in formats:
        try:
            return datetime.strptime(text, each)  # noqa: DTZ007 - the caller knows its zone
        except ValueError:
            continue
    raise values.not_a_time(found, f"must be a time written as {' or '.join(formats)}")
