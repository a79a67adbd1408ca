"""The pages and their files: open to everybody, kept by browsers, and allowed nothing but themselves."""

import re
from pathlib import Path

import pytest
from falcon import testing

from kasparro import model
from kasparro.clock import SystemClock
from kasparro.config import Secret
from kasparro.errors import DatabaseUnavailableError
from kasparro.http import app, openapi, static

PAGES = ["/", "/docs"]
FOLDER = static._PAGES
DOCUMENT = openapi.build({}, keys_needed=True)


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    """The API where keys are needed and the database is away."""
    created = app.create(
        database=None,  # type: ignore[arg-type] # nothing here asks it
        clock=SystemClock(),
        sources={},
        api_keys={"somebody": Secret("a-key-of-somebody")},
        scheduler_state=lambda: model.SchedulerState(enabled=True, alive=True),
        wake_scheduler=lambda: None,
        ready=lambda: DatabaseUnavailableError("away"),
    )
    return testing.TestClient(created)


@pytest.mark.parametrize("path", PAGES)
def test_page_needs_neither_key_nor_database(client: testing.TestClient, path: str) -> None:
    """What explains how to get in, and what is wrong, is always there; HEAD and a trailing slash work too."""
    for method, asked in (("GET", path), ("HEAD", path), ("GET", path.rstrip("/") + "/")):
        result = client.simulate_request(method, asked)
        assert result.status_code == 200
        assert result.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", PAGES)
def test_page_may_load_nothing_from_elsewhere(client: testing.TestClient, path: str) -> None:
    """The policy lets no inline script run and no other host be asked; the page needs neither."""
    result = client.simulate_get(path)
    policy = result.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", result.text)


@pytest.mark.parametrize("path", PAGES)
def test_page_files_exist(client: testing.TestClient, path: str) -> None:
    """Everything that a page names is served, as what it is."""
    for name in re.findall(r'(?:src|href)="(/(?:pages|docs)/[^"]+)"', client.simulate_get(path).text):
        result = client.simulate_get(name)
        assert result.status_code == 200, name
        assert result.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [*PAGES, "/favicon.ico", "/pages/dashboard.js", "/docs/swagger-ui.css"])
def test_file_is_not_sent_again_to_who_has_it(client: testing.TestClient, path: str) -> None:
    """Browsers ask each time, so that a new version shows at once, and get a 304."""
    tag = client.simulate_get(path).headers["ETag"]
    for known, status in ((tag, 304), (f'"other", W/{tag}', 304), ("*", 304), ('"other"', 200)):
        result = client.simulate_get(path, headers={"If-None-Match": known})
        assert (result.status_code, result.headers["Cache-Control"]) == (status, "no-cache")


@pytest.mark.parametrize("path", ["/pages/nothing.js", "/pages/docs.html", "/pages/..%2Fapp.py", "/docs/index.html"])
def test_file_is_not_found_when_it_is_none_of_a_page(client: testing.TestClient, path: str) -> None:
    """Files are looked up by name among those read at the start; no path leads out."""
    assert client.simulate_get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/?x=1", "/?every=0", "/docs?x=1", "/pages/dashboard.js?x=1", "/docs/swagger-ui.css?x=1"]
)
def test_page_refuses_parameters_that_it_does_not_know(client: testing.TestClient, path: str) -> None:
    """As every path does; how often the dashboard looks is known."""
    assert client.simulate_get(path).status_code == 400
    assert client.simulate_get("/?every=60").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_page_refuses_a_browser_in_words(client: testing.TestClient, path: str) -> None:
    """As a page, in which what was asked for is text; other clients get the problem as everywhere."""
    result = client.simulate_get(f"{path}?<b>=1", headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"})
    assert (result.status_code, result.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "&lt;b&gt; is not known here" in result.text
    assert f'href="{path}"' in result.text
    assert "default-src 'none'" in result.headers["Content-Security-Policy"]
    other = client.simulate_get(f"{path}?x=1")
    assert other.headers["Content-Type"] == "application/problem+json"
    assert {"Accept"} <= {*result.headers["Vary"].split(", ")} & {*other.headers["Vary"].split(", ")}
    assert {*DOCUMENT["paths"][path]["get"]["responses"]["400"]["content"]} == {"application/problem+json", "text/html"}


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_source_of_a_page_is_short(path: Path) -> None:
    """Scripts and styles keep the limit of the Python files."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
