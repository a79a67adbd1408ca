"""Stage: one HTTP GET, with limits on time and size. The only file that speaks HTTP to upstreams.

It tries once and says what happened; whoever calls decides about trying again. A redirect is never followed, so
that a key cannot travel to another host.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

import urllib3
from attrs import frozen

from kasparro import __version__
from kasparro.clock import Clock
from kasparro.errors import FetchError
from kasparro.etl.source import Source

# What every request says of itself. Some upstreams refuse a client without a name.
_ALWAYS_SENT = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"kasparro/{__version__}",
}
# Bytes read at a time: small enough that the size and time limits bite soon, large enough to cost nothing.
_CHUNK_BYTES = 64 * 1024
# Answers that may be different the next time.
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
# What the operator can do about an answer that will stay the same.
_ADVICE = {
    401: "a key is required or wrong",
    402: "the plan does not cover this request, or its quota is used up",
    403: "the key is wrong or may not do this",
    404: "there is nothing at this address",
}
# The upstream's own words in an error message: enough to recognise them, too little for a page of HTML.
_QUOTE_CHARACTERS = 200


@frozen(kw_only=True)
class Limits:
    """What one request may take. `total_seconds` counts from before connecting, checked with every bit of body."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    max_bytes: int


def limits_of(source: Source) -> Limits:
    """The limits that a source's [http] table sets."""
    if source.http is None:
        raise ValueError(f"{source.name} has no [http] table")
    return Limits(
        connect_seconds=source.http.connect_timeout_seconds,
        read_seconds=source.http.read_timeout_seconds,
        total_seconds=source.http.total_timeout_seconds,
        max_bytes=source.http.max_bytes,
    )


@frozen(kw_only=True)
class Answer:
    """A usable answer. `validators` go back with the next request; `not_modified` means 304 and no text."""

    text: str
    validators: Mapping[str, str]
    not_modified: bool
    bytes_read: int


class Http:
    """Connections to upstreams, shared by all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=4, retries=False)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        validators: Mapping[str, str],
        limits: Limits,
    ) -> Answer:
        """GET `url`. Raises FetchError, with a code and whether trying again can help."""
        address = f"{url}?{urlencode(params)}" if params else url
        try:
            response, body = self._ask(address, {**_ALWAYS_SENT, **headers, **_conditions(validators)}, limits)
        except urllib3.exceptions.HTTPError as ex:
            raise _transport_error(url, ex) from ex
        except ValueError:
            # Without its cause, which would show the header's value.
            raise FetchError(f"{url}: the key cannot be sent in a header", code="bad_key", retryable=False) from None
        if response.status == 304:
            return Answer(text="", validators=validators, not_modified=True, bytes_read=0)
        if response.status != 200:
            raise _status_error(url, response.status, _without(headers, body))
        return Answer(
            text=_decode(url, body), validators=_validators(response), not_modified=False, bytes_read=len(body)
        )

    def _ask(self, address: str, headers: Mapping[str, str], limits: Limits) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        deadline = self._clock.monotonic() + limits.total_seconds
        timeout = urllib3.Timeout(connect=limits.connect_seconds, read=limits.read_seconds, total=limits.total_seconds)
        response = self._pool.request(
            "GET", address, headers=headers, preload_content=False, redirect=False, timeout=timeout
        )
        try:
            body = self._read(response, deadline=deadline, limits=limits)
        except BaseException:
            # Half an answer is still on its way: this connection must not be used again.
            response.close()
            raise
        response.release_conn()
        return response, body

    def _read(self, response: urllib3.BaseHTTPResponse, *, deadline: float, limits: Limits) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(_CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > limits.max_bytes:
                raise FetchError(
                    f"the answer has more than {limits.max_bytes} bytes", code="too_large", retryable=False
                )
            if self._clock.monotonic() > deadline:
                raise FetchError(f"the answer took more than {limits.total_seconds:g} s", code="timeout")
            chunks.append(chunk)
        return b"".join(chunks)


def _without(headers: Mapping[str, str], body: bytes) -> bytes:
    """A body without the key that was sent: some upstreams repeat it in their errors."""
    for value in headers.values():
        body = body.replace(value.encode(), b"***")
    return body


def _conditions(validators: Mapping[str, str]) -> dict[str, str]:
    names = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
    return {names[key]: value for key, value in validators.items() if key in names}


def _validators(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    found = {"etag": response.headers.get("ETag"), "last_modified": response.headers.get("Last-Modified")}
    return {key: value for key, value in found.items() if value}


def _decode(url: str, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise FetchError(f"{url}: the answer is not UTF-8", code="bad_answer") from ex


def _status_error(url: str, status: int, body: bytes) -> FetchError:
    said = " ".join(body[: _QUOTE_CHARACTERS * 4].decode("utf-8", "replace").split())[:_QUOTE_CHARACTERS]
    advice = f" ({_ADVICE[status]})" if status in _ADVICE else ""
    if 300 <= status < 400:
        advice = " (redirects are not followed: give the address it points to)"
    message = f"{url} answered {status}{advice}"
    return FetchError(f"{message}: {said}" if said else message, code=f"http_{status}", retryable=status in _RETRYABLE)


def _transport_error(url: str, ex: urllib3.exceptions.HTTPError) -> FetchError:
    refused = isinstance(ex, urllib3.exceptions.NewConnectionError | urllib3.exceptions.NameResolutionError)
    if isinstance(ex, urllib3.exceptions.TimeoutError) and not refused:
        return FetchError(f"{url} did not answer in time", code="timeout")
    if isinstance(ex, urllib3.exceptions.LocationValueError):
        return FetchError(f"{url} is no address that can be asked", code="bad_url", retryable=False)
    if isinstance(ex, urllib3.exceptions.ProtocolError | urllib3.exceptions.DecodeError):
        return FetchError(f"{url} broke off its answer", code="truncated")
    reason = str(getattr(ex, "reason", None) or ex)
    return FetchError(f"{url} cannot be reached: {reason.rsplit(': ', 1)[-1][:_QUOTE_CHARACTERS]}", code="unreachable")
