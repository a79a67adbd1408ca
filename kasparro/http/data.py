"""GET /data: quotes by filter, as JSON pages or as one stream of CSV or JSON lines."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime

import falcon

from kasparro import model
from kasparro.http import cursor, paging, params, render, source_names, state
from kasparro.http.errors import FieldError
from kasparro.http.resource import Resource
from kasparro.http.streams import Streams
from kasparro.store import quotes
from kasparro.store.bounded import BoundedDatabase
from kasparro.store.quote_filter import Filter
from kasparro.store.quote_keys import Key

_MEDIA_TYPES = {"json": falcon.MEDIA_JSON, "csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
# Seconds that counting may take: it reads everything it counts, and an estimate answers the same question at once.
_COUNT_SECONDS = 2.0
_ENTITY_TAG = re.compile(r'"([^"]*)"')


class Data(Resource):
    """The quotes."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo], streams: Streams) -> None:
        self._database = database
        self._streams = streams
        self._parsers: dict[str, params.Parser] = {
            "source": source_names.of(sources, database),
            "asset": params.text,
            "symbol": params.symbols,
            "external_id": params.text,
            "from": params.moment,
            "to": params.moment,
            "min_price": params.price,
            "max_price": params.price,
            "view": params.choice("all", "latest"),
            "order": params.choice("desc", "asc"),
            "limit": params.LIMIT,
            "cursor": params.text,
            "offset": params.OFFSET,
            "count": params.choice("none", "estimated", "exact"),
            "format": params.choice(*_MEDIA_TYPES),
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """One page as JSON, or everything as a stream."""
        query = params.parse(req, self._parsers)
        _check_ranges(query)
        resp.append_header("Vary", "Accept")
        text_format = query.get("format") or _preferred_format(req)
        if text_format == "json":
            self._send_page(req, resp, query)
        else:
            self._send_stream(req, resp, query, "csv" if text_format == "csv" else "ndjson")

    def _send_page(self, req: falcon.Request, resp: falcon.Response, query: params.Query) -> None:
        chosen = _filter(query)
        pages = paging.read(query, "/data", shape=(str, int), defaults={"view": "all", "order": "desc"})
        after = _key(pages)
        offset = query.get("offset", 0)
        with self._database.reading() as conn:
            page = quotes.page(conn, chosen, limit=pages.limit, offset=offset, after=after)
        pagination = pages.pagination(resp, _position(page.next_key))
        how = query.get("count", "none")
        if how == "estimated" and after is None and offset == 0 and not page.has_more:
            # The page is all there is: statistics that are older than it must not contradict it.
            pagination["total"] = page.shown
        else:
            pagination |= self._total(chosen, how)
        members = {"data": page.rows, "pagination": render.dumps(pagination)}
        if _is_known(req, resp, "".join(members.values())):
            resp.status = 304
        else:
            render.send(req, resp, members)

    def _send_stream(
        self, req: falcon.Request, resp: falcon.Response, query: params.Query, text_format: quotes.StreamFormat
    ) -> None:
        paged = [name for name in ("cursor", "limit", "offset", "count") if name in query.values]
        if paged:
            message = f"goes with pages only; {text_format} gives everything at once"
            raise query.invalid(*(FieldError(name, message) for name in paged))
        stream = self._streams.open(_filter(query), text_format, request_id=state.of(req).request_id)
        resp.content_type = _MEDIA_TYPES[text_format]
        resp.stream = stream
        if req.method == "HEAD":
            # Falcon leaves the body out, and nobody would close it.
            stream.close()

    def _total(self, chosen: Filter, how: str) -> dict[str, object]:
        if how == "none":
            return {}
        with self._database.reading(statement_seconds=_COUNT_SECONDS) as conn:
            return {"total": quotes.count(conn, chosen) if how == "exact" else quotes.estimate(conn, chosen)}


def _preferred_format(req: falcon.Request) -> str:
    offered = {media_type.partition(";")[0]: name for name, media_type in _MEDIA_TYPES.items()}
    return offered.get(req.client_prefers(offered) or "", "json")


def _check_ranges(query: params.Query) -> None:
    """Raises the 400 Problem for a range that nothing can lie in: it is a mistake, not a question."""
    wrong = []
    since, until = query.get("from"), query.get("to")
    if since is not None and until is not None and since >= until:
        wrong += [FieldError("from", "must be before to"), FieldError("to", "must be after from")]
    low, high = query.get("min_price"), query.get("max_price")
    if low is not None and high is not None and low > high:
        wrong += [
            FieldError("min_price", "must not be above max_price"),
            FieldError("max_price", "must not be below min_price"),
        ]
    if wrong:
        raise query.invalid(*wrong)


def _filter(query: params.Query) -> Filter:
    return Filter(
        sources=query.get("source"),
        symbols=query.get("symbol"),
        asset=query.get("asset"),
        external_id=query.get("external_id"),
        since=query.get("from"),
        until=query.get("to"),
        min_price_usd=query.get("min_price"),
        max_price_usd=query.get("max_price"),
        latest=query.get("view") == "latest",
        descending=query.get("order", "desc") == "desc",
    )


def _key(pages: paging.Paging) -> Key | None:
    if pages.position is None:
        return None
    observed_at, listing_id = pages.position
    try:
        return Key(datetime.fromisoformat(observed_at), listing_id)
    except ValueError:
        raise pages.query.invalid(FieldError("cursor", cursor.REFUSAL)) from None


def _position(key: Key | None) -> list[str | int] | None:
    return None if key is None else [key.observed_at.isoformat(), key.listing_id]


def _is_known(req: falcon.Request, resp: falcon.Response, text: str) -> bool:
    """Set the ETag of what would be shown; whether the client says that it has that already."""
    tag = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    resp.set_header("ETag", f'W/"{tag}"')
    known = req.get_header("If-None-Match") or ""
    return known.strip() == "*" or tag in _ENTITY_TAG.findall(known)
