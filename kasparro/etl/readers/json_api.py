"""Reads a JSON API: one answer, or page after page until a short one or the page limit.

Where only what is new is asked for, a page limit that cuts it off is an error, never an end.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from kasparro.errors import FetchError
from kasparro.etl import catalogue, fetch, values
from kasparro.etl.readers import json_text
from kasparro.etl.source import Paging, Source
from kasparro.model import Checkpoint, Page

# Asks the upstream for one page, counting what it takes: (url, params, headers, validators) -> answer.
Get = Callable[[str, Mapping[str, str], Mapping[str, str], Mapping[str, str]], fetch.Answer]

# Pages. An upstream that never sends a short page must not keep a run going for ever; the largest list known has 70.
MAX_PAGES = 10_000


class JsonApiReader:
    """A live list has one slice and no resume point: it is always read from its first page, as it moves."""

    def __init__(self, source: Source, endpoint: catalogue.Endpoint, get: Get) -> None:
        if source.http is None:
            raise ValueError(f"{source.name} has no [http] table")
        self._http = source.http
        self._paging = source.paging
        self._since = source.since
        self._endpoint = endpoint
        self._get = get

    def slices(self) -> list[str]:
        return [""]

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        if self._paging is None:
            yield self._read_whole(slice_name, checkpoint)
        else:
            yield from self._read_pages(slice_name, self._paging, self._asks_since(checkpoint))

    def _asks_since(self, checkpoint: Checkpoint) -> dict[str, str]:
        """The parameter that asks for what is new: inclusive, and as far back as the source's lookback says."""
        since = self._since
        if since is None or checkpoint.watermark is None:
            return {}
        moment = checkpoint.watermark - timedelta(seconds=since.lookback_seconds)
        return {since.param: values.written(moment, since.format)}

    def _read_whole(self, slice_name: str, checkpoint: Checkpoint) -> Page:
        # Validators belong to one address; one that asks for what is new moves with the watermark.
        moves = self._since is not None
        answer = self._ask(self._asks_since(checkpoint), {} if moves else checkpoint.validators)
        records = [] if answer.not_modified else list(json_text.records(answer.text, self._http.records))
        return Page(
            slice=slice_name,
            records=records,
            validators={} if moves else answer.validators,
            last=True,
            unchanged=answer.not_modified,
        )

    def _read_pages(self, slice_name: str, paging: Paging, since: Mapping[str, str]) -> Iterator[Page]:
        limit = paging.max_pages
        shared = paging.limited_params if limit else paging.unlimited_params
        for number in range(limit or MAX_PAGES):
            params = {paging.param: str(paging.first + number), paging.size_param: str(paging.size), **shared, **since}
            answer = self._ask(params, {})
            records = list(json_text.records(answer.text, self._http.records))
            # What is new must be read whole: the watermark would pass over what lies behind the limit.
            last = len(records) < paging.size or (number + 1 == limit and self._since is None)
            yield Page(slice=slice_name, records=records, last=last)
            if last:
                return
        advice = "; what is new must fit into max_pages of [paging]" if limit else ""
        message = f"{self._endpoint.url} sent {limit or MAX_PAGES} full pages and no end{advice}"
        raise FetchError(message, code="endless")

    def _ask(self, params: Mapping[str, str], validators: Mapping[str, str]) -> fetch.Answer:
        url = f"{self._endpoint.url}{self._http.path}"
        return self._get(url, {**self._http.params, **params}, self._endpoint.headers, validators)
