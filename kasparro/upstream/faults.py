"""What shall go wrong, how often, and how does an answer look afterwards?

A fault waits on the board until a request fits it. slow and status act before the answer is made; rename, drop and nan
change its records; bad_json and truncate its bytes.
"""

import json
import threading
from collections.abc import Sequence
from typing import Any

import attrs
from attrs.validators import optional

from kasparro.upstream import checks
from kasparro.upstream.options import MAX_SECONDS, UPSTREAMS

KINDS = ("slow", "status", "truncate", "rename", "drop", "bad_json", "nan")
_RECORD_KINDS = ("rename", "drop", "nan")


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong.

    It fits requests to `upstream`, if given only to `page` (absent in a query: 1) and to paths that end in `path`. It
    fires `times` times, None for ever. slow waits `seconds`; status answers `status`, with `retry_after` as that
    header; truncate sends the share `keep` of the bytes it promised; drop sends that share of the records; rename
    calls `field` (dotted when nested) `to`; nan puts NaN into `field` of the first record.
    """

    upstream: str = attrs.field(default="", validator=checks.one_of(*UPSTREAMS))
    kind: str = attrs.field(default="", validator=checks.one_of(*KINDS))
    page: int | None = attrs.field(default=None, validator=optional(checks.whole(1)))
    path: str | None = attrs.field(default=None, validator=optional(checks.text()))
    times: int | None = attrs.field(default=None, validator=optional(checks.whole(1)))
    seconds: float = attrs.field(default=1.0, validator=checks.number(0, MAX_SECONDS))
    status: int = attrs.field(default=500, validator=checks.whole(400, 599))
    retry_after: str | None = attrs.field(default=None, validator=optional(checks.text()))
    field: str | None = attrs.field(default=None, validator=optional(checks.text()))
    to: str | None = attrs.field(default=None, validator=optional(checks.text()))
    keep: float = attrs.field(default=0.5, validator=checks.number(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.kind in ("rename", "nan") and self.field is None:
            raise checks.FieldError("field", f"given for {self.kind}", self.field)
        if self.kind == "rename" and self.to is None:
            raise checks.FieldError("to", "given for rename", self.to)


class Board:
    """The faults to come and how often each fired. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._fired: list[int] = []

    def add(self, fault: Fault) -> None:
        """Put a fault on the board, behind those that are there."""
        with self._lock:
            self._faults.append(fault)
            self._fired.append(0)

    def clear(self) -> None:
        """Take all faults off the board."""
        with self._lock:
            self._faults.clear()
            self._fired.clear()

    def entries(self) -> list[dict[str, Any]]:
        """The faults as JSON objects, each with `fired`."""
        with self._lock:
            return [
                {**attrs.asdict(fault), "fired": fired} for fault, fired in zip(self._faults, self._fired, strict=True)
            ]

    def take(self, upstream: str, path: str, page: int) -> list[Fault]:
        """The faults that fire on this request; each is counted."""
        with self._lock:
            taken = []
            for place, fault in enumerate(self._faults):
                spent = fault.times is not None and self._fired[place] >= fault.times
                if not spent and _fits(fault, upstream, path, page):
                    self._fired[place] += 1
                    taken.append(fault)
            return taken


def spoil(body: bytes, faults: Sequence[Fault]) -> tuple[bytes, int]:
    """The bytes to send instead of `body`, and the length to promise for them."""
    if any(fault.kind in _RECORD_KINDS for fault in faults):
        answer = json.loads(body)
        for fault in faults:
            answer = _change(answer, fault)
        body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    if any(fault.kind == "bad_json" for fault in faults):
        # What a broken proxy does: half an answer, then a page of its own. It never closes what was opened.
        body = body[: len(body) // 2].decode(errors="ignore").encode() + b"<html>"
    promised = len(body)
    for fault in faults:
        if fault.kind == "truncate":
            body = body[: int(len(body) * fault.keep)]
    return body, promised


def _fits(fault: Fault, upstream: str, path: str, page: int) -> bool:
    return (
        fault.upstream == upstream
        and (fault.page is None or fault.page == page)
        and (fault.path is None or path.endswith(fault.path))
    )


def _change(answer: Any, fault: Fault) -> Any:
    records = answer if isinstance(answer, list) else [answer]
    if fault.kind == "drop":
        records = records[: int(len(records) * fault.keep)]
        return records if isinstance(answer, list) else answer
    if fault.kind == "rename":
        records = [_edit(record, (fault.field or "").split("."), key=fault.to) for record in records]
    elif fault.kind == "nan" and records:
        records = [_edit(records[0], (fault.field or "").split("."), value=float("nan")), *records[1:]]
    return records if isinstance(answer, list) else records[0]


def _edit(record: Any, path: Sequence[str], **edit: Any) -> Any:
    """The record with another key or value at the end of `path`; keys keep their order."""
    if not isinstance(record, dict) or path[0] not in record:
        return record
    edited = {}
    for key, value in record.items():
        if key != path[0]:
            edited[key] = value
        elif len(path) > 1:
            edited[key] = _edit(value, path[1:], **edit)
        else:
            edited[edit.get("key", key)] = edit.get("value", value)
    return edited
