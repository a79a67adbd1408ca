"""Reads the past of one listing from a JSON API: one window of time, one request, one page."""

from collections.abc import Iterator
from urllib.parse import quote

from kasparro.errors import SliceError
from kasparro.etl import catalogue, values
from kasparro.etl.backfill import Part
from kasparro.etl.readers import json_text
from kasparro.etl.readers.json_api import Get
from kasparro.etl.source import Source
from kasparro.model import Checkpoint, Page, Record


class JsonHistoryReader:
    """A window of the past does not move: once it was read it is complete, and not asked for again but on `again`."""

    def __init__(
        self, source: Source, endpoint: catalogue.Endpoint, get: Get, *, part: Part, again: bool = False
    ) -> None:
        if source.backfill is None:
            raise ValueError(f"{source.name} has no [backfill] table")
        self._backfill = source.backfill
        self._endpoint = endpoint
        self._get = get
        self._part = part
        self._again = again

    def slices(self) -> list[str]:
        return [self._part.slice]

    def read(self, slice_name: str, checkpoint: Checkpoint) -> Iterator[Page]:
        if checkpoint.position.get("complete") and not self._again:
            return
        past, window = self._backfill, self._part.window
        bounds = {past.from_param: window.begin, past.to_param: window.end}
        params = {**past.params, **{name: values.written(moment, past.format) for name, moment in bounds.items()}}
        # An id may hold a slash, a space or a bracket.
        path = past.path.replace("{id}", quote(self._part.listing.external_id, safe=""))
        answer = self._get(f"{self._endpoint.url}{path}", params, self._endpoint.headers, {})
        records = self._records(answer.text)
        if past.max_records is not None and len(records) >= past.max_records:
            raise SliceError(
                f"{slice_name}: the answer has {len(records)} records, as many as one may have: some are missing; "
                "make backfill.window_days shorter",
                code="cut_off",
            )
        yield Page(
            slice=slice_name,
            records=records,
            constants=self._part.constants,
            position={"complete": True},
            last=True,
        )

    def _records(self, text: str) -> list[Record]:
        if self._backfill.series:
            return json_text.joined(text, self._backfill.series)
        return list(json_text.records(text, self._backfill.records))
