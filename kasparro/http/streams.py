"""Answers of any length: rows go from Postgres to the client in chunks, for a few clients at a time.

A stream holds a thread and a connection for as long as its client reads. So there are only a few, each ends in time,
and the server closes the connection of a client that stopped reading.
"""

import logging
import threading
from collections.abc import Generator, Iterator

from kasparro import errors
from kasparro.http.errors import Problem
from kasparro.store import quotes
from kasparro.store.bounded import BoundedDatabase
from kasparro.store.quote_filter import Filter

logger = logging.getLogger("kasparro.http")

# At once. Each takes one of the server's threads and one of the pool's connections; the others stay free for pages.
MAX_STREAMS = 4
# Seconds for a whole stream: time for some hundred million bytes on a slow line. An open one keeps Postgres from
# cleaning up what changed since it began.
STREAM_SECONDS = 900.0


class Stream:
    """A body in chunks. `close()` gives back what it holds, at the end as well as when the client is gone."""

    def __init__(self, chunks: Generator[bytes], slots: threading.BoundedSemaphore, request_id: str) -> None:
        self._chunks = chunks
        self._slots = slots
        self._request_id = request_id
        self._closed = False
        # The query runs now: what is wrong with it can still become a status.
        try:
            self._first = next(chunks, b"")
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield self._first
            yield from self._chunks
        except errors.KasparroError as ex:
            # The status is sent: the server cuts the connection, so that the client sees an incomplete answer.
            logger.error("stream broke off: %s", ex.message, extra={"request_id": self._request_id, "code": ex.code})
            raise

    def close(self) -> None:
        """End the query and free the place; the second call does nothing."""
        if not self._closed:
            self._closed = True
            try:
                self._chunks.close()
            finally:
                self._slots.release()


class Streams:
    """Opens streams of quotes, up to a limit."""

    def __init__(self, database: BoundedDatabase) -> None:
        self._database = database
        self._slots = threading.BoundedSemaphore(MAX_STREAMS)

    def open(self, chosen: Filter, text_format: quotes.StreamFormat, *, request_id: str) -> Stream:
        """Start a stream of every quote of the filter.

        Raises a 503 Problem when too many run already, NotFoundError for an unknown asset.
        """
        if not self._slots.acquire(blocking=False):
            raise Problem(503, "too_many_streams", f"{MAX_STREAMS} streams are running; try again in a moment")
        return Stream(self._chunks(chosen, text_format), self._slots, request_id)

    def _chunks(self, chosen: Filter, text_format: quotes.StreamFormat) -> Generator[bytes]:
        with self._database.reading(statement_seconds=STREAM_SECONDS, total_seconds=STREAM_SECONDS) as conn:
            yield from quotes.stream(conn, chosen, text_format)
