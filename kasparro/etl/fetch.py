"""Stage: one HTTP GET, with limits on time and size. The files called fetch are all that speaks HTTP to upstreams.

It tries once and says what happened; whoever calls decides about trying again. A redirect to another host is refused,
so that a key cannot travel there; one on the same host is handed back.
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from attrs import evolve, frozen

from kasparro import __version__, log
from kasparro.clock import Clock
from kasparro.errors import FetchError
from kasparro.etl import fetch_headers, fetch_pool
from kasparro.etl.source import Source
from kasparro.watchdog import Watchdog

# What every request says of itself. Some upstreams refuse a client without a name.
_ALWAYS_SENT = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"kasparro/{__version__}",
}
# Bytes read at a time: small enough that the size and time limits bite soon, large enough to cost nothing.
_CHUNK_BYTES = 64 * 1024
# Answers that may be different the next time, besides all that begin with a 5.
_RETRYABLE = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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
    """What one request may take. `total_seconds` counts from before connecting to the last byte."""

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
class Request:
    """One question: `headers` carry the key, `validators` those of the answer before."""

    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    validators: Mapping[str, str]


@frozen(kw_only=True)
class Answer:
    """A usable answer. `validators` go back with the next request; `not_modified` means 304 and no text.

    `redirect_to` is another address of the same host, to be asked instead. `rate_remaining` requests are left until
    `rate_reset_seconds` from now, where the upstream says so.
    """

    text: str
    validators: Mapping[str, str]
    not_modified: bool
    bytes_read: int
    status: int = 200
    redirect_to: str | None = None
    rate_remaining: int | None = None
    rate_reset_seconds: float | None = None


class Http:
    """Connections to upstreams, shared by all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = fetch_pool.create()
        self._watchdog = Watchdog(clock)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def get(self, request: Request, *, limits: Limits) -> Answer:
        """GET it. Raises FetchError, with a code and whether trying again can help."""
        address = f"{request.url}?{urlencode(request.params)}" if request.params else request.url
        # For messages: whatever a redirect put behind the question mark may be a secret.
        url = request.url.partition("?")[0]
        try:
            conditions = fetch_headers.conditions(request.validators)
            sent = {**_ALWAYS_SENT, **request.headers, **conditions}
            response, body = self._ask(address, sent, limits)
        except urllib3.exceptions.HTTPError as ex:
            raise _transport_error(url, ex) from ex
        except ValueError:
            # Without its cause, which would show the header's value.
            raise FetchError(f"{url}: the key cannot be sent in a header", code="bad_key", retryable=False) from None
        now = self._clock.now()
        remaining, reset_seconds = fetch_headers.rate_limit(response.headers, now)
        answer = Answer(
            text="",
            validators=request.validators,
            not_modified=response.status == 304,
            bytes_read=0,
            status=response.status,
            rate_remaining=remaining,
            rate_reset_seconds=reset_seconds,
        )
        if response.status == 304 and conditions:
            return answer
        if response.status in _REDIRECTS:
            return evolve(answer, redirect_to=_same_host(address, url, response.headers.get("Location")))
        if response.status != 200:
            raise _status_error(url, response, _without(request.headers, body), now)
        validators = fetch_headers.validators(response.headers)
        return evolve(answer, text=_decode(url, body), validators=validators, bytes_read=len(body))

    def _ask(self, address: str, headers: Mapping[str, str], limits: Limits) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        deadline = self._clock.monotonic() + limits.total_seconds
        timeout = urllib3.Timeout(connect=limits.connect_seconds, read=limits.read_seconds, total=limits.total_seconds)
        response = None
        # Neither headers nor what frames the chunks of a body ends by a timeout while bytes drip in.
        with fetch_pool.watched(self._watchdog, left_seconds=lambda: deadline - self._clock.monotonic()):
            try:
                response = self._pool.request(
                    "GET", address, headers=headers, preload_content=False, redirect=False, timeout=timeout
                )
                body = self._read(response, deadline=deadline, limits=limits)
            except BaseException as ex:
                if response is not None:
                    # Half an answer is still on its way: this connection must not be used again.
                    response.close()
                if isinstance(ex, urllib3.exceptions.HTTPError):
                    self._check_time(deadline, limits)
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
            self._check_time(deadline, limits)
            chunks.append(chunk)
        # Cut off, headers or a body without a length look as if that were their end.
        self._check_time(deadline, limits)
        return b"".join(chunks)

    def _check_time(self, deadline: float, limits: Limits) -> None:
        if self._clock.monotonic() >= deadline:
            raise FetchError(f"the answer took more than {limits.total_seconds:g} s", code="timeout")


def _without(headers: Mapping[str, str], body: bytes) -> bytes:
    """A body without the key that was sent: some upstreams repeat it in their errors, in one spelling or another."""
    hidden = {text for value in headers.values() for text in log.spellings(value)}
    for text in sorted(hidden, key=len, reverse=True):
        body = body.replace(text.encode(), b"***")
    return body


def _decode(url: str, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise FetchError(f"{url}: the answer is not UTF-8", code="bad_answer") from ex


def _same_host(address: str, url: str, location: str | None) -> str:
    """Where a redirect leads, if that is on the same host; the address of the message is without its parameters."""
    try:
        target = urljoin(address, location or "")
        here, there = urlsplit(address), urlsplit(target)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
    except ValueError:
        same, there = False, urlsplit("")
    if not location or not same:
        port = f":{there.port}" if there.hostname and there.port else ""
        elsewhere = f"{there.scheme}://{there.hostname}{port}" if location and there.hostname else "nowhere"
        message = f"{url} redirects to {elsewhere}: not followed, for a key belongs to its host; set that one if right"
        raise FetchError(message, code="redirect_refused", retryable=False)
    return target


def _status_error(url: str, response: urllib3.BaseHTTPResponse, body: bytes, now: datetime) -> FetchError:
    status = response.status
    said = " ".join(body[: _QUOTE_CHARACTERS * 4].decode("utf-8", "replace").split())[:_QUOTE_CHARACTERS]
    advice = f" ({_ADVICE[status]})" if status in _ADVICE else ""
    message = f"{url} answered {status}{advice}"
    return FetchError(
        f"{message}: {said}" if said else message,
        code=f"http_{status}",
        retryable=status in _RETRYABLE or 500 <= status < 600,
        status=status,
        retry_after_seconds=fetch_headers.retry_after(response.headers, now),
    )


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
