"""Times as people write them: which moment each is, and which could be two."""

from datetime import UTC, datetime, timedelta

import pytest

from kasparro.etl import time_text, values
from kasparro.etl.source import FieldMap
from kasparro.etl.values import BadValueError


def read(text, *formats, timezone="", fold=""):
    """The moment that this text is, in UTC, or the code of its rejection."""
    spec = FieldMap(paths=("at",), type="time", formats=formats, timezone=timezone, fold=fold)
    try:
        found = time_text.converter(spec)(text)
    except BadValueError as bad:
        return bad.code
    assert found.tzinfo is UTC
    return found.isoformat().removesuffix("+00:00")


@pytest.mark.parametrize(
    ("text", "formats", "expected"),
    [
        ("24.05.2026", ["%d.%m.%Y"], "2026-05-24T00:00:00"),
        (" 4.5.2026 ", ["%d.%m.%Y"], "2026-05-04T00:00:00"),
        ("Sep 01, 2022", ["%b %d, %Y"], "2022-09-01T00:00:00"),
        ("1 September 2022", ["%d %B %Y"], "2022-09-01T00:00:00"),
        ("1. Jan. 2025", ["%d. %b %Y"], "2025-01-01T00:00:00"),
        ("05.Dez.2025", ["%d.%b.%Y"], "2025-12-05T00:00:00"),
        ("5. MÄRZ 2025", ["%d. %B %Y"], "2025-03-05T00:00:00"),
        ("12 févr. 2025", ["%d %b %Y"], "2025-02-12T00:00:00"),
        ("3 de setembro de 2025", ["%d de %B de %Y"], "2025-09-03T00:00:00"),
        ("3 października 2024", ["%d %B %Y"], "2024-10-03T00:00:00"),
        ("3 listopad 2024 x", ["%d %B %Y"], "not_a_time"),
        ("3 toukokuuta 2024", ["%d %B %Y"], "not_a_time"),
        ("03/04/2026", ["%d/%m/%Y"], "2026-04-03T00:00:00"),
        ("03/04/2026", ["%m/%d/%Y"], "2026-03-04T00:00:00"),
        ("3/4/26 1:05 PM", ["%m/%d/%y %I:%M %p"], "2026-03-04T13:05:00"),
        ("2023-08-02 10:26:18 +0200 CEST", ["%Y-%m-%d %H:%M:%S %z CEST"], "2023-08-02T08:26:18"),
        ("24.05.2026 10:30", ["%d.%m.%Y", "%d.%m.%Y %H:%M"], "2026-05-24T10:30:00"),
        ("31/02/2026", ["%d/%m/%Y"], "not_a_time"),
        ("13/13/2026", ["%d/%m/%Y"], "not_a_time"),
        ("2026-05-24", ["%d.%m.%Y"], "not_a_time"),
        ("1,77746E+12", ["%d.%m.%Y"], "precision_lost"),
        ("20240115 0130", ["%Y%m%d %H%M"], "2024-01-15T01:30:00"),
        ("20240115 130", ["%Y%m%d %H%M"], "precision_lost"),
        ("20240115 13000", ["%Y%m%d %H%M%S"], "precision_lost"),
        ("01112024", ["%d%m%Y"], "2024-11-01T00:00:00"),
        ("1112024", ["%d%m%Y"], "precision_lost"),
        ("1112024", ["%m%d%Y", "%d.%m.%Y"], "precision_lost"),
        ("240501", ["%y%m%d"], "2024-05-01T00:00:00"),
        ("50101", ["%y%m%d"], "precision_lost"),
        ("2024032", ["%Y%j"], "2024-02-01T00:00:00"),
        ("202432", ["%Y%j"], "precision_lost"),
        ("5.1.2024 130", ["%d.%m.%Y %H%M"], "precision_lost"),
        ("5.1.2024 0130 +0100", ["%d.%m.%Y %H%M %z"], "2024-01-05T00:30:00"),
        ("5 Jan 2024 100000.5", ["%d %b %Y %H%M%S.%f"], "2024-01-05T10:00:00.500000"),
        ("20240105T100000500PM", ["%Y%m%dT%I%M%S%f%p"], "2024-01-05T22:00:00.500000"),
        ("24.05.1926", ["%d.%m.%Y"], "out_of_range"),
        ("01.01.0001 +2359", ["%d.%m.%Y %z"], "out_of_range"),
    ],
)
def test_time_is_read_as_its_format_says_when_it_is_declared(text, formats, expected):
    """Day first or month first, as the map says, and no other."""
    assert read(text, *formats) == expected


@pytest.mark.parametrize(
    "text", ["24.05.2026", "03/04/2026", "Sep 01, 2022", "1690971978", "1690971978000", "2012123112345"]
)
def test_time_is_rejected_when_its_format_is_not_declared(text):
    """Only ISO 8601 needs no declaration: nothing else says which part is the day."""
    assert read(text) == "not_a_time"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15 12:00", "2026-01-15T11:00:00"),
        ("2026-07-15 12:00", "2026-07-15T10:00:00"),
        ("2026-07-15", "2026-07-14T22:00:00"),
        ("2026-07-15T12:00:00Z", "2026-07-15T12:00:00"),
        ("2026-07-15 12:00:00 UTC", "2026-07-15T12:00:00"),
        ("2026-07-15T12:00:00-05:00", "2026-07-15T17:00:00"),
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59"),
        ("2026-03-29 02:00", "not_a_time"),
        ("2026-03-29 02:59:59", "not_a_time"),
        ("2026-03-29 03:00", "2026-03-29T01:00:00"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59"),
        ("2026-10-25 02:00", "ambiguous_time"),
        ("2026-10-25 02:59:59", "ambiguous_time"),
        ("2026-10-25 03:00", "2026-10-25T02:00:00"),
    ],
)
def test_time_without_zone_is_in_the_declared_one_when_there_is_one(text, expected):
    """With the summer time of its day; an hour that came twice, or never, is a rejection."""
    assert read(text, timezone="Europe/Berlin") == expected


@pytest.mark.parametrize(("fold", "expected"), [("earlier", "2026-10-25T00:30:00"), ("later", "2026-10-25T01:30:00")])
def test_hour_that_came_twice_is_one_of_them_when_the_map_says_which(fold, expected):
    """For daily files that are written in that hour."""
    assert read("2026-10-25 02:30", timezone="Europe/Berlin", fold=fold) == expected
    assert read("2026-03-29 02:30", timezone="Europe/Berlin", fold=fold) == "not_a_time"


@pytest.mark.parametrize(
    ("found", "code"),
    [("1,77746E+12", "precision_lost"), ("1.77746E+12", "precision_lost"), ("1e12", "precision_lost")],
)
def test_epoch_is_rejected_when_its_last_digits_are_gone(found, code):
    """Six digits of thirteen may be another day: they are not guessed."""
    with pytest.raises(BadValueError) as caught:
        values.epoch(found, unit=timedelta(milliseconds=1))
    assert caught.value.code == code


def test_epoch_is_read_when_scientific_notation_lost_nothing():
    """All digits are there, however they are written."""
    assert values.epoch("1,767355200000E+12", unit=timedelta(milliseconds=1)) == datetime(2026, 1, 2, 12, tzinfo=UTC)
