"""GET /, /docs, the files of both and the icon: pages for people, read once at the start and served from memory.

They need neither a key nor the database: what they show they ask of the API, as any client would.
"""

import hashlib
import html
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from string import Template

import falcon
from attrs import field, frozen

from kasparro import errors
from kasparro.http import params, render
from kasparro.http.errors import Problem
from kasparro.http.resource import Resource

_PAGES = Path(__file__).with_name("pages")
# The package that ships Swagger UI's files. It is never imported: it would import Flask.
_READER_PACKAGE = "flask_swagger_ui"
_READER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_REFUSED = Template((_PAGES / "refused.html").read_text(encoding="utf-8"))
# Only files of this service run and are asked for, none of them inline: a price or a message cannot become a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@frozen
class Content:
    """Bytes that do not change while the process lives, and the tag that says so."""

    body: bytes = field(repr=False)
    media_type: str
    tag: str = field(init=False)

    @tag.default
    def _digest(self) -> str:
        return hashlib.blake2b(self.body, digest_size=12).hexdigest()


def send_content(req: falcon.Request, resp: falcon.Response, content: Content) -> None:
    """Answer with the content, or 304 to who has it: browsers ask every time, so that a new version shows at once."""
    resp.set_header("Cache-Control", "no-cache")
    resp.etag = content.tag
    if any(known in ("*", content.tag) for known in req.if_none_match or ()):
        resp.status = 304
        return
    resp.content_type = content.media_type
    resp.data = content.body


class Page(Resource):
    """One HTML page."""

    needs_database = False

    def __init__(self, name: str, *, parsers: Mapping[str, params.Parser] | None = None) -> None:
        self._content = _read(_PAGES / name)
        self._parsers = parsers or {}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The page; a query is for its scripts. To a browser a wrong one is refused in words, on a page."""
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.append_header("Vary", "Accept")
        try:
            params.parse(req, self._parsers)
        except Problem as ex:
            if req.client_prefers((render.MEDIA_PROBLEM, falcon.MEDIA_HTML)) != falcon.MEDIA_HTML:
                raise
            resp.status = ex.status
            resp.set_header("Cache-Control", "no-store")
            resp.content_type = _MEDIA_TYPES[".html"]
            resp.text = _REFUSED.substitute(detail=html.escape(ex.message), path=req.path)
        else:
            send_content(req, resp, self._content)


class Files(Resource):
    """The files of a page, by name."""

    needs_database = False

    def __init__(self, contents: Mapping[str, Content]) -> None:
        self._contents = contents

    def on_get(self, req: falcon.Request, resp: falcon.Response, *, name: str) -> None:
        """The file, or a 404 Problem."""
        params.parse(req, {})
        content = self._contents.get(name)
        if content is None:
            raise errors.NotFoundError(f"there is no file {name[:100]!r}")
        send_content(req, resp, content)


class Icon(Resource):
    """The icon, where browsers look for it that show an answer which is no page."""

    needs_database = False

    def __init__(self) -> None:
        self._content = _read(_PAGES / "icon.svg")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The icon of the pages."""
        params.parse(req, {})
        send_content(req, resp, self._content)


def page_files() -> Files:
    """Scripts, styles and icon of the pages."""
    return Files({path.name: _read(path) for path in _PAGES.iterdir() if path.suffix != ".html"})


def reader_files() -> Files:
    """The OpenAPI reader's files, from its package."""
    package = importlib.util.find_spec(_READER_PACKAGE)
    if package is None or package.origin is None:
        raise errors.ConfigError([f"the package {_READER_PACKAGE} is not installed; /docs needs its files"])
    folder = Path(package.origin).parent / "dist"
    return Files({name: _read(folder / name) for name in _READER_FILES})


def _read(path: Path) -> Content:
    return Content(path.read_bytes(), _MEDIA_TYPES[path.suffix])
