"""Cursors: where a page ended, as a text that only the query it came from understands.

A digest over the position and the query is inside: an altered cursor, or one of another query, is noticed. It guards
against mistakes, not against forgery, which would gain nobody more than a filter on time does.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

REFUSAL = "is not a cursor of this query; leave it out to begin anew"
# The largest id that Postgres can be asked for.
MAX_BIGINT = 2**63 - 1
# Enough that no altered cursor passes by chance; three bytes are four characters.
_DIGEST_BYTES = 9


def scope(path: str, filters: Mapping[str, Any]) -> str:
    """The query that a cursor belongs to; `filters` are parsed values, so that spellings do not matter."""
    return json.dumps([path, sorted(filters.items())], default=str)


def encode(position: Sequence[str | int], query: str) -> str:
    """An opaque, URL-safe text for this position in this query."""
    payload = json.dumps(list(position), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(payload, query) + payload).decode().rstrip("=")


def decode(cursor: str, query: str, shape: Sequence[type]) -> list[Any]:
    """The position that encode() was given, whose members are of these types. Raises ValueError for anything else."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        position = json.loads(payload) if digest == _digest(payload, query) else None
    except (ValueError, RecursionError):
        position = None
    if not isinstance(position, list) or [type(member) for member in position] != list(shape):
        raise ValueError(REFUSAL)
    if any(isinstance(member, int) and not 0 <= member <= MAX_BIGINT for member in position):
        raise ValueError(REFUSAL)
    return position


def _digest(payload: bytes, query: str) -> bytes:
    return hashlib.blake2b(payload + b"\x00" + query.encode(), digest_size=_DIGEST_BYTES, person=b"cursor").digest()
