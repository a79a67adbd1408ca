"""From the text of an answer to records: exact slices, exact numbers, and one error for everything else."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.errors import FetchError
from kasparro.etl.readers import json_text

SMALL = (
    '{"status": {"x": [1, {"y": "}"}]}, "data" : {"rows":[ {"a": 1.50, "b": "]"} , {"c":[]}\n] , "n": 2}, "end": "]}"}'
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def read(text, path=""):
    """All records of an answer."""
    return list(json_text.records(text, path))


def payloads(text, path=""):
    """The texts of all records of an answer."""
    return [each.payload for each in read(text, path)]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[]", "", []),
        (" [ ] \n", "", []),
        ('[{"a": 1},{"b":2}]', "", ['{"a": 1}', '{"b":2}']),
        ('\t[\r\n{ "a" : 1 }\n,\t{}]', "", ['{ "a" : 1 }', "{}"]),
        (SMALL, "data.rows", ['{"a": 1.50, "b": "]"}', '{"c":[]}']),
        ('{"a":[{"x":1}],"a":[{"x":2}]}', "a", ['{"x":1}']),
        ('{"":[{}]}', "", None),
    ],
)
def test_payload_is_the_record_as_it_came_when_cut_out(text, path, expected):
    """Not one byte is written anew: spaces, order and spelling of numbers stay."""
    if expected is None:
        with pytest.raises(FetchError):
            read(text, path)
    else:
        assert payloads(text, path) == expected


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_records_are_those_of_the_answer_when_it_is_any_json(items, indent, ascii_only):
    """Each payload is a part of the text and says what the item says."""
    text = json.dumps({"x": {"rows": items}, "y": 1}, indent=indent, ensure_ascii=ascii_only)
    found = read(text, "x.rows")
    assert [json.loads(each.payload) for each in found] == items
    assert all(each.payload in text for each in found)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.10", Decimal("1.10")),
        ("0.1", Decimal("0.1")),
        ("1e-30", Decimal("1e-30")),
        ("1E400", Decimal("1E400")),
        (f"{'1' * 30}.{'2' * 30}", Decimal(f"{'1' * 30}.{'2' * 30}")),
        ("9" * 5000, Decimal("9" * 5000)),
        ("-0", Decimal("-0")),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)  # fmt: skip
def test_number_is_exact_when_read(written, expected):
    """A Decimal with every digit; what is no number is read as its text."""
    (found,) = read(f'[{{"a":{written}}}]')
    assert repr(found.fields["a"]) == repr(expected)


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('[{"a":NaN}]', '{"a":"NaN"}'),
        ('[{"a":[Infinity,-Infinity],"NaN":"NaN"}]', '{"a":["Infinity","-Infinity"],"NaN":"NaN"}'),
        (r'[{"a":NaN,"b":"say \"NaN\" \\","c":NaN}]', r'{"a":"NaN","b":"say \"NaN\" \\","c":"NaN"}'),
        ('[{"a":"NaN"}]', '{"a":"NaN"}'),
        ("[NaN]", '"NaN"'),
    ],
)
def test_payload_is_valid_json_when_the_upstream_sends_constants(text, payload):
    """Postgres refuses NaN and Infinity as numbers; nothing else of the record changes."""
    (found,) = read(text)
    assert found.payload == payload
    json.loads(found.payload, parse_constant=pytest.fail)


def test_later_record_keeps_its_text_when_an_earlier_one_has_constants():
    """A constant in one record says nothing about the next."""
    assert payloads('[{"a":NaN},{"b":"Infinity"}]') == ['{"a":"NaN"}', '{"b":"Infinity"}']


def test_last_one_counts_when_a_record_has_a_key_twice():
    """The payload keeps both."""
    (found,) = read('[{"a":1,"a":2}]')
    assert (found.fields["a"], found.payload) == (2, '{"a":1,"a":2}')


@pytest.mark.parametrize("item", ["1", '"x"', "null", "true", "[]", "[{}]"])
def test_record_is_a_defect_when_it_is_no_object(item):
    """It is kept as it came and rejected; the others go on."""
    found = read(f'[{item},{{"a":1}}]')
    assert found[0].payload == item
    assert (found[0].defect.stage, found[0].defect.code) == ("read", "not_an_object")
    assert found[1].defect is None


@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800", r"\udc00\ud800", r"\\u0000", "\U0001f430"])
def test_payload_keeps_the_escape_when_it_is_no_character(escape):
    """What Postgres' json stores need not be storable as text."""
    assert payloads(f'[{{"a":"{escape}"}}]') == [f'{{"a":"{escape}"}}']


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("   ", ""),
        ("<html>", ""),
        ("null", ""),
        ('{"error":"no"}', ""),
        ('{"error":"no"}', "data"),
        ('{"data":null}', "data"),
        ('{"data":{}}', "data"),
        ('{"data":[]}', "data.rows"),
        ("[]", "data"),
        ("[{}] x", ""),
        ("[{}][]", ""),
        ("[{},]", ""),
        ("[,{}]", ""),
        ("[{} {}]", ""),
        ("[{'a':1}]", ""),
        ('[{"a":01}]', ""),
        ('[{"a":1}', ""),
        ('{"data":[{}]', "data"),
        ('{"data":[{}]}}', "data"),
        ('{"data":[{}] "x":1}', "data"),
        ('{"data":[{}],"x":{"y":1}', "data"),
        ('{"a":{"b":[{}]}', "a.b"),
        ('{"a":{"b":[{}]}} {}', "a.b"),
        ('{"data":[{}],}', "data"),
    ],
)
def test_answer_is_an_error_when_it_is_no_json_or_has_no_list(text, path):
    """One error, with its code; retryable, because the next answer may be whole."""
    with pytest.raises(FetchError) as caught:
        read(text, path)
    assert (caught.value.code, caught.value.retryable) == ("bad_answer", True)


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("", "", "no list at its top, but nothing"),
        ("<!DOCTYPE html><p>secret", "", "no list at its top, but HTML or XML"),
        ('{"status": {"key": "secret"}, "data": []}', "", "no list at its top, but an object with 'status', 'data'"),
        ("{}", "", "no list at its top, but an object with nothing in it"),
        ('{"data": "secret"}', "data", "no list at data, but text"),
        ('{"error": "secret"}', "data", "no 'data', but an object with 'error'"),
        ("[1]", "data", "no object with 'data', but a list"),
        ("null", "data", "no object with 'data', but a single value"),
        (json.dumps(dict.fromkeys("abcdefghij")), "", "'g', 'h', ..."),
    ],
)
def test_error_says_what_stands_where_no_list_does(text, path, found):
    """Never a value: an upstream may repeat the key that it was sent."""
    with pytest.raises(FetchError) as caught:
        read(text, path)
    assert caught.value.message.endswith(found)


@pytest.mark.parametrize("path", ["data.rows", "data", "status.x", ""])
def test_answer_is_an_error_when_it_breaks_off_anywhere(path):
    """Whatever character is the last, it is a FetchError and nothing else."""
    text = SMALL if path else '[{"a": 1.5e-3, "b": [true, null, "\\u00e4"]}, {"c": -12}]'
    for length in range(len(text)):
        with pytest.raises(FetchError):
            read(text[:length], path)


@given(st.text(st.sampled_from('{}[]",:\\ a1-.eE\n\x00ä')), st.sampled_from(["", "a", "a.a"]))
def test_answer_gives_records_or_one_error_when_it_is_any_text(text, path):
    """Never another exception; and what has records is JSON as Python reads it."""
    with contextlib.suppress(FetchError):
        read(text, path)
        json.loads(text)


@pytest.mark.parametrize("shape", ["[", '{"a":'])
def test_answer_is_an_error_when_it_is_nested_too_deeply(shape):
    """A stack of a hundred thousand brackets is no answer."""
    with pytest.raises(FetchError, match="nested too deeply"):
        read("[" + shape * 100_000)
    with pytest.raises(FetchError, match="nested too deeply"):
        read('{"x":' + shape * 100_000, "data")
