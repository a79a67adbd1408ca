"""What a request for a run may look like: a small JSON body, checked to the letter, and perhaps an idempotency key."""

import json
import re
from collections.abc import Mapping
from typing import Any

import falcon

from kasparro import model
from kasparro.http.errors import FieldError, Problem

# Bytes. The server refuses larger ones by itself; this holds wherever the application runs.
MAX_BODY_BYTES = 64 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def read_source(req: falcon.Request, sources: Mapping[str, model.SourceInfo]) -> str:
    """The source that the body names.

    Raises Problem: 415 for another content type or an encoded body, 413 for a large body, 400 for everything else that
    is not {"source": <an enabled source>}.
    """
    body = _read_json(req)
    if not isinstance(body, dict):
        raise _invalid(FieldError("body", 'must be a JSON object such as {"source": "csv"}'))
    unknown = [FieldError(name[:100], "is not known here") for name in body if name != "source"]
    if unknown or "source" not in body:
        raise _invalid(*unknown, *([] if "source" in body else [FieldError("source", "is required")]))
    source = body["source"]
    if not isinstance(source, str) or source not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise _invalid(FieldError("source", f"must be the name of a source; known are {known}"))
    if not sources[source].enabled:
        raise Problem(
            400, "source_disabled", f"{source} is switched off", fields=[FieldError("source", "is switched off")]
        )
    return source


def read_key(req: falcon.Request) -> str | None:
    """The Idempotency-Key, or None. Raises a 400 Problem when it is no visible ASCII of 1 to 255 characters."""
    key = req.get_header("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        message = "must be 1 to 255 visible ASCII characters"
        raise Problem(400, "invalid_header", message, fields=[FieldError("Idempotency-Key", message)])
    return key


def _read_json(req: falcon.Request) -> Any:
    if (req.content_type or "").partition(";")[0].strip().lower() != falcon.MEDIA_JSON:
        raise Problem(415, "unsupported_media_type", "the body must be application/json")
    if (req.get_header("Content-Encoding") or "identity").strip().lower() != "identity":
        raise Problem(415, "unsupported_media_type", "the body must be sent without a Content-Encoding")
    if (req.content_length or 0) > MAX_BODY_BYTES:
        raise Problem(413, "body_too_large", f"the body may have at most {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(
            req.bounded_stream.read(MAX_BODY_BYTES).decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise _invalid(FieldError("body", "must be JSON in UTF-8, each name once")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _invalid(*fields: FieldError) -> Problem:
    return Problem(400, "invalid_body", "; ".join(f"{field.name} {field.message}" for field in fields), fields=fields)
