"""How does one JSON answer become records, each with its own text as it came?

The text of a record is cut out of the answer, not written anew: what is kept is what the upstream sent, to the last
digit. Numbers are read as Decimal; a number that is none (NaN, Infinity, an absurd exponent) is read as its text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import evolve

from kasparro.errors import FetchError
from kasparro.model import Record, Rejection

# Levels of nesting in one record; those of the known upstreams have four. What is deeper could only do harm.
MAX_DEPTH = 64
_SPACE = re.compile(r"[ \t\n\r]*")
# JSON text or a constant that Python's json reads and Postgres' json type refuses.
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')

# Keys of an object that an error names, and characters of each: a person recognises it by fewer.
_NAMES, _NAME_CHARACTERS = 8, 40
# What stands somewhere, told by its first character.
_SIGNS = {"": "nothing", "<": "HTML or XML", '"': "text", "[": "a list"}


def records(text: str, path: str) -> Iterator[Record]:
    """The items of the list at dotted `path` ('' is the whole answer), in order.

    Raises FetchError when the text is not JSON or has no list there.
    """
    reader = _Reader(text)
    try:
        start = reader.find(tuple(path.split(".")) if path else ())
        yield from reader.items(start, path)
    except (json.JSONDecodeError, IndexError) as ex:
        raise FetchError(f"the answer is not valid JSON: {_where(ex)}", code="bad_answer") from ex
    except RecursionError as ex:
        raise FetchError("the answer is nested too deeply", code="bad_answer") from ex


def joined(text: str, series: Mapping[str, str]) -> list[Record]:
    """Lists of [time, value] pairs, name -> dotted path, as a record a time: {"time": time, name: value, ...}.

    In the order in which times appear; of pairs of one list with one time the last counts. What is no pair is a record
    with a defect. Raises FetchError as `records` does.
    """
    rows: dict[str, dict[str, str]] = {}
    odd: list[Record] = []
    for name, path in series.items():
        for item in records(text, path):
            if item.defect is not None and item.defect.code == "too_deep":
                odd.append(item)
                continue
            pair = json.loads(item.payload, parse_float=_number, parse_int=_number)
            if not isinstance(pair, list) or len(pair) != 2:
                odd.append(evolve(item, fields={}, defect=_defect("not_an_object", "is no pair of time and value")))
                continue
            rows.setdefault(_dump(pair[0]), {})[name] = _dump(pair[1])
    texts = (
        "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in {"time": time, **row}.items()) + "}"
        for time, row in rows.items()
    )
    return [*records(f"[{','.join(texts)}]", ""), *odd]


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.constants = False
        self._decode = json.JSONDecoder(
            parse_float=_number, parse_int=_number, parse_constant=self._constant
        ).raw_decode

    def find(self, path: tuple[str, ...]) -> int:
        """Where the value at `path` begins."""
        at = self._skip(0)
        for key in path:
            at = self._member(at, key)
        return at

    def items(self, at: int, path: str) -> Iterator[Record]:
        if self.text[at : at + 1] != "[":
            raise FetchError(
                f"the answer has no list at {path or 'its top'}, but {self._describe(at)}", code="bad_answer"
            )
        at = self._skip(at + 1)
        if self.text[at] == "]":
            self._close(path, at + 1)
            return
        while True:
            self.constants = False
            value, end = self._decode(self.text, at)
            yield self._record(value, self.text[at:end])
            at = self._skip(end)
            if self.text[at] == "]":
                self._close(path, at + 1)
                return
            at = self._expect(at, ",")

    def _record(self, value: Any, payload: str) -> Record:
        # No deeper than it has brackets: only the rare record with many is looked at closely.
        if payload.count("{") + payload.count("[") > MAX_DEPTH and (depth := _depth(value)) > MAX_DEPTH:
            message = f"is nested {depth} deep, {MAX_DEPTH} are allowed"
            return Record(fields={}, payload=payload, defect=_defect("too_deep", message))
        if self.constants:
            payload = _CONSTANT.sub(lambda found: found[0] if found[0][0] == '"' else f'"{found[0]}"', payload)
        if isinstance(value, dict):
            return Record(fields=value, payload=payload)
        return Record(fields={}, payload=payload, defect=_defect("not_an_object", "the record is not an object"))

    def _member(self, at: int, wanted: str) -> int:
        """Where the value of key `wanted` begins in the object at `at`."""
        if self.text[at] != "{":
            raise FetchError(f"the answer has no object with {wanted!r}, but {self._describe(at)}", code="bad_answer")
        start = at
        at = self._skip(at + 1)
        while self.text[at] != "}":
            key, end = self._decode(self.text, at)
            value_at = self._expect(self._skip(end), ":")
            if key == wanted:
                return value_at
            _, end = self._decode(self.text, value_at)
            at = self._skip(end)
            if self.text[at] != "}":
                at = self._expect(at, ",")
        raise FetchError(f"the answer has no {wanted!r}, but {self._describe(start)}", code="bad_answer")

    def _describe(self, at: int) -> str:
        """What stands there, without its values: whatever an upstream repeats may be a secret."""
        if (sign := self.text[at : at + 1]) in _SIGNS:
            return _SIGNS[sign]
        value, _ = self._decode(self.text, at)
        if not isinstance(value, dict):
            return "a single value"
        names = [repr(name[:_NAME_CHARACTERS]) for name in value]
        more = ", ..." if len(names) > _NAMES else ""
        return f"an object with {', '.join(names[:_NAMES]) or 'nothing in it'}{more}"

    def _close(self, path: str, at: int) -> None:
        """Read on from the list's end through the objects around it; nothing may follow them."""
        for _ in path.split(".") if path else ():
            at = self._skip(at)
            while self.text[at] == ",":
                _, at = self._decode(self.text, self._expect(at, ","))
                _, at = self._decode(self.text, self._expect(self._skip(at), ":"))
                at = self._skip(at)
            at = self._expect(at, "}")
        if self._skip(at) != len(self.text):
            raise json.JSONDecodeError("the answer goes on after its end", self.text, at)

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _expect(self, at: int, sign: str) -> int:
        if self.text[at] != sign:
            raise json.JSONDecodeError(f"expected {sign!r}", self.text, at)
        return self._skip(at + 1)

    def _constant(self, name: str) -> str:
        self.constants = True
        return name


def _defect(code: str, message: str) -> Rejection:
    return Rejection(stage="read", code=code, field=None, message=message)


def _depth(value: Any) -> int:
    """How deep lists and objects are nested in a value, itself included."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, dict | list):
            deepest = max(deepest, depth)
            waiting += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    return deepest


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _dump(value: Any) -> str:
    """JSON text of a value; of a number as it came, but for the letter case of an exponent."""
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)


def _where(ex: Exception) -> str:
    if isinstance(ex, json.JSONDecodeError):
        return f"{ex.msg} at character {ex.pos}"
    return "it ends too early"
