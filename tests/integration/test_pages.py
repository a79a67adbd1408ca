"""The dashboard and the reader in a real browser: what they show, what they ask for, and what they do in trouble."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import api_fixtures as fixtures
import pytest
from attrs import frozen
from pages_browser import DESKTOP, PHONE, Browser, launch
from psycopg.types.json import Jsonb
from selenium_axe_python import Axe

from kasparro import errors
from kasparro.http.server import Server
from kasparro.store import db

KEY = fixtures.ANN["X-API-Key"]
# What an upstream might call a coin to be noticed.
HOSTILE = "<img src=x onerror=alert(1)><b>Bold</b>"
SECTIONS = ("sources", "runs", "anomalies", "drift", "rejections", "assets")


@frozen
class Service:
    """The API behind a real server."""

    api: fixtures.Api
    url: str


@contextmanager
def listening(api: fixtures.Api, port: int = 0) -> Iterator[str]:
    """The API's address, as long as it is served."""
    server = Server(api.client.app, "127.0.0.1", port)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(1.0)


def fill(api: fixtures.Api) -> None:
    """An hour of runs of two sources, troubled, what was found and quoted by them, and a removed source."""
    now = datetime.now(UTC)
    for name in ("coingecko", "coinpaprika"):
        listing = fixtures.add_listing(api.conn, name, f"{name}-btc", slug="btc-bitcoin")
        for minutes in range(0, 60, 5):
            fixtures.add_quote(api.conn, listing, now - timedelta(minutes=minutes), str(90_000 + minutes))
        for minutes, status in ((50, "succeeded"), (40, "partial"), (30, "failed"), (20, "succeeded")):
            began = now - timedelta(minutes=minutes)
            ended = began + timedelta(seconds=2)
            run_id = fixtures.add_run(api.conn, name, status, started_at=began, finished_at=ended, records_read=0)
    fixtures.add_run(api.conn, "removed", finished_at=now)
    api.conn.execute("insert into source_totals (source) values ('removed')")
    fixtures.add_quote(api.conn, fixtures.add_listing(api.conn, "removed", "r", slug="btc-bitcoin"), now, "90000")
    fixtures.add_listing(api.conn, "csv", "odd", symbol="ODD", slug="odd")
    api.conn.execute("update assets set name = %s where slug = 'odd'", (HOSTILE,))
    values = {"run_id": run_id, "now": now, "hostile": HOSTILE}
    api.conn.execute(
        """
        insert into drifts (source, path, kind, action, details, first_run_id, last_run_id)
        values ('coingecko', %(hostile)s, 'missing', 'warned', %(details)s, %(run_id)s, %(run_id)s)
        """,
        {**values, "details": Jsonb({"before": {"share": 1, "null": 0, "types": {"number": 1}}, "fields": ["rank"]})},
    )
    details = {"rescaled": True, "factor": 100, "example": "btc 1.07 -> 107", "fields": ["price_usd"]}
    api.conn.execute(
        """
        insert into drifts (source, path, kind, action, details, first_run_id, last_run_id)
        values ('coingecko', 'price', 'type_changed', 'quarantined', %(details)s, %(run_id)s, %(run_id)s)
        """,
        {**values, "details": Jsonb(details)},
    )
    api.conn.execute(
        """
        with accepted as (
            insert into drifts (source, path, kind, renamed_to, action, status, first_run_id, last_run_id, closed_at)
            values ('coinpaprika', 'cost', 'renamed', 'price', 'proposed', 'accepted', 1, 1, %(now)s)
            returning id, source, path, renamed_to
        )
        insert into field_renames (drift_id, source, path, renamed_to)
        select id, source, path, renamed_to
        from accepted
        """,
        values,
    )
    api.conn.execute(
        """
        insert into anomalies (source, run_id, metric, rule, severity, message)
        values ('coinpaprika', %(run_id)s, 'records', 'history', 'alert', 'records: 0, usually about 2,000')
        """,
        values,
    )
    api.conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at, last_seen_at
        )
        values
            ('coingecko', '', 'bad_text', '', 'read', 'no', gen_random_uuid(), false, 1, %(now)s, %(now)s),
            ('csv', 'a.csv', 'not_a_time', '', 'read', %(hostile)s, gen_random_uuid(), false, 1, %(now)s, %(now)s),
            ('csv', 'a.csv', 'price_missing', '', 'read', 'no', gen_random_uuid(), true, 1, %(now)s, %(now)s)
        """,
        values,
    )


def flood(api: fixtures.Api) -> None:
    """More closed drifts, and rejections of one source, than are shown at once, all newer than what is there."""
    api.conn.execute(
        """
        insert into drifts (source, path, kind, action, status, first_run_id, last_run_id, closed_at)
        select 'csv', n, 'added', 'warned', 'resolved', 1, 1, now()
        from generate_series(1, 201) n
        """
    )
    api.conn.execute(
        """
        insert into rejections (
            source, slice, code, dedup_key, stage, message, content_hash, expected, run_id, first_seen_at, last_seen_at
        )
        select
            'coingecko', '', 'schema_drift', n, 'normalise', repeat('long ', 80), gen_random_uuid(), n > 201, 1,
            now(), now()
        from generate_series(1, 402) n
        """
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a worker; each opens the page anew."""
    with launch(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def service(browser: Browser, databases: Any) -> Iterator[Service]:
    """A service that wants a key and has something of everything; asks for the browser first, to be skipped with it."""
    with fixtures.serve_clone(databases, api_keys=fixtures.KEYS) as api:
        fill(api)
        flood(api)
        with listening(api) as url:
            yield Service(api, url)


@pytest.fixture
def conn(service: Service) -> Iterator[db.Connection]:
    """Where a test adds runs; they go when it ends, whatever came of it: the others share the service."""
    conn = service.api.conn
    (last,) = db.one(conn.execute("select max(id) from runs"))
    yield conn
    conn.execute("delete from runs where id > %s", (last,))


def open_dashboard(browser: Browser, service: Service, query: str = "", **window: Any) -> None:
    """The dashboard with everything loaded."""
    browser.open(f"{service.url}/{query}", key=KEY, **window)
    browser.wait_text("#updated", "updated")


def test_dashboard_shows_every_part(browser: Browser, service: Service) -> None:
    """Sources, runs with their anomalies, findings, assets with a price: all there, all as text."""
    open_dashboard(browser, service)
    assert browser.texts("#sources-rows th .main") == ["coingecko", "coinpaprika", "csv", "removed", "retired"]
    assert "2 failed" in browser.text("#legend")
    assert "1 with anomalies" in browser.text("#legend")
    assert len(browser.run("return document.querySelectorAll('#timeline .bar')")) == 8
    assert len(browser.run("return document.querySelectorAll('#charts .anomaly')")) == 1
    assert "records: 0, usually about 2,000" in browser.text("#anomalies-rows")
    assert HOSTILE in browser.text("#drift-rows")
    assert "read as rank" in browser.text("#drift-rows")
    assert "x100: btc 1.07 -> 107" in browser.text("#drift-rows")
    assert "was in 100 % of the records, number" in browser.text("#drift-rows")
    assert browser.texts("#drift-rows .tag") == ["values changed", "missing", "renamed", "in force"]
    assert HOSTILE in browser.text("#rejections-rows")
    assert "price_missing" not in browser.text("#rejections-rows")
    assert browser.texts("#rejections-rows .code") == ["schema_drift", "not_a_time", "bad_text"]
    assert browser.texts("#rejections-rows .n") == ["201", "1", "1"]
    browser.wait_text("#consensus", "90,000.00 USD, median of")
    assert len(browser.run("return document.querySelectorAll('#price-chart .line')")) == 2
    # A removed source is no failure, one that never ran is not fresh; and codes of rejections stay in one piece.
    assert "not configured" in browser.text("#sources-rows tr[data-key=removed]")
    assert "no data yet" in browser.text("#sources-rows tr[data-key=csv]")
    browser.wait_text("#asset-note", "Not drawn, because no longer configured: removed.")
    find = "return [...document.querySelectorAll('#rejections-rows .code')].map((code) => code.offsetHeight)"
    assert len(set(browser.run(find))) == 1


def test_charts_of_a_source_leave_its_replays_out(browser: Browser, service: Service, conn: db.Connection) -> None:
    """They read what is kept, not the source; the timeline and the table have them."""
    now = datetime.now(UTC)
    run_id = fixtures.add_run(conn, "coingecko", slice="replay", trigger="replay", started_at=now, finished_at=now)
    open_dashboard(browser, service)
    shown = "return [...document.querySelectorAll('#{0}')].map((each) => each.textContent)"
    assert any(text.startswith(f"Run {run_id},") for text in browser.run(shown.format("timeline title")))
    dots = browser.run(shown.format("charts .dot title"))
    assert dots
    assert not [text for text in dots if text.startswith(f"Run {run_id},")]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_is_quiet_asks_nobody_else_and_fits_a_phone(browser: Browser, service: Service, path: str) -> None:
    """Nothing on the console, no request to others, no key in an address; and nothing is wider than a phone."""
    browser.open(service.url + path, key=KEY)
    browser.wait_text("#updated" if path == "/" else "#reader .info", "updated" if path == "/" else "Kasparro")
    asked = browser.requests()
    assert asked
    assert [url for url in asked if not url.startswith((f"{service.url}/", "data:"))] == []
    assert [url for url in asked if KEY in url] == []
    assert browser.console() == []
    browser.resize(PHONE)
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]


def say_not_now(browser: Browser) -> None:
    """Who does is not asked again, and can enter a key later."""
    browser.wait(lambda: browser.run("return document.activeElement.id") == "key-input", "the question")
    assert "coingecko" in browser.text("#sources-rows")
    assert browser.console() == []
    browser.find("#key-cancel").click()
    browser.run("document.getElementById('refresh').click()")
    browser.wait(lambda: browser.find("#enter-key").is_displayed(), "the way back")
    assert not browser.run("return document.getElementById('key-dialog').open")
    assert "wants an API key" in browser.text("#banner")


def test_dashboard_asks_for_the_key(browser: Browser, service: Service) -> None:
    """Health is shown without; a wrong key is refused in words, the right one kept for this tab until forgotten."""
    browser.open(f"{service.url}/")
    say_not_now(browser)
    browser.find("#enter-key").click()
    browser.find("#key-input").send_keys("ключ\n")
    browser.wait_text("#key-error", "ASCII")
    browser.find("#key-input").clear()
    browser.find("#key-input").send_keys("a-wrong-key\n")
    browser.wait_text("#key-error", "does not accept")
    assert browser.run("return sessionStorage.length") == 0
    browser.find("#key-input").send_keys(f"{KEY}\n")
    browser.wait_text("#updated", "updated")
    assert browser.run("return [location.search, localStorage.length, document.cookie]") == ["", 0, ""]
    browser.find("#forget-key").click()
    browser.wait(lambda: browser.run("return document.activeElement.id") == "key-input", "the question again")
    assert browser.run("return sessionStorage.length") == 0
    assert "btc" not in browser.text("#assets-rows")


def test_dashboard_finds_assets(browser: Browser, service: Service) -> None:
    """Typing narrows the table down; the address tells which is shown, and where it names none one is chosen."""
    open_dashboard(browser, service, "#asset=%E0%A4%A")
    browser.wait_text("#consensus", "median of")
    browser.find("#search").send_keys("odd")
    browser.wait(lambda: len(browser.texts("#assets-rows tr")) == 1, "one row")
    assert HOSTILE in browser.text("#assets-rows")
    browser.find("#assets-rows a").click()
    browser.wait_text("#asset-title", HOSTILE)
    assert browser.run("return location.hash") == "#asset=odd"
    browser.wait_text("#consensus", "No consensus")
    browser.find("#search").send_keys("-nothing")
    browser.wait_text("[data-section=assets] [data-note]", "Nothing is called")


# Draws a chart of each pair of values and tells how many lines of its grid lie; none where something is no number.
DRAW = """
    const [pairs, done] = arguments;
    import("/pages/chart.js").then(({ lineChart }) => done(pairs.map((pair) => {
        const box = document.createElement("div");
        const points = pair.map((value, at) => ({ at, value }));
        lineChart(box, { label: "", range: [0, 1], series: [{ slot: 0, points }], format: String });
        const across = (line) => line.getAttribute("y1") === line.getAttribute("y2");
        const lying = [...box.querySelectorAll(".grid")].filter(across);
        return box.innerHTML.includes("NaN") ? 0 : lying.length;
    })));
"""
ALIKE = ([1, 0.999999999999], [60000.12345678901, 60000.12345678902], [1, 1.0000000000000002], [0, 0], [5e-324, 1e-320])
APART = ([3e-9, 4e-9], [0.9999, 1.0001], [0.01, 60000.0], [0, 1e300], [-5, 5])


def test_chart_has_a_few_ticks_however_near_its_values_are(browser: Browser, service: Service) -> None:
    """Small, large, or apart by the last bit: sources compute in floats, and the page must not count for ever."""
    browser.open(f"{service.url}/docs", key=KEY)
    ticks = browser.driver.execute_async_script(DRAW, [*ALIKE, *APART])
    assert all(2 <= lines <= 6 for lines in ticks), ticks


def test_dashboard_learns_how_a_long_run_ended(browser: Browser, service: Service, conn: db.Connection) -> None:
    """Even when more runs than are asked for at once began after it."""
    now = datetime.now(UTC)
    long = fixtures.add_run(conn, "csv", "running", slice="long", started_at=now)
    open_dashboard(browser, service, "?every=1")
    browser.run("document.getElementById('runs-table').open = true")
    browser.wait_text(f"#runs-rows tr[data-key='{long}']", "running")
    newest = [fixtures.add_run(conn, "csv", slice="short", started_at=now, finished_at=now) for _ in range(60)]
    browser.wait_text(f"#runs-rows tr[data-key='{newest[-1]}']", "succeeded")
    browser.requests()
    for _ in range(50):
        fixtures.add_run(conn, "csv", slice="short", started_at=now, finished_at=now)
    conn.execute("update runs set status = 'failed', finished_at = now() where id = %s", (long,))
    told = f"return document.getElementById('timeline').textContent.includes('Run {long}, csv, failed')"
    browser.wait(lambda: browser.run(told), "the end of the long run")
    asked = {url.removeprefix(service.url) for url in browser.requests() if "/runs" in url}
    # However many sources there are, what is new of all of them is one question.
    assert asked == {"/runs?limit=100", f"/runs/{long}"}


def test_dashboard_shows_what_is_new_and_leaves_the_rest_alone(
    browser: Browser, service: Service, conn: db.Connection
) -> None:
    """A look by itself keeps focus, what was typed, scroll position, selected text and open tables."""
    open_dashboard(browser, service, "?every=1")
    browser.run(
        """
        document.getElementById("runs-table").open = true;
        document.getElementById("search").focus({preventScroll: true});
        getSelection().selectAllChildren(document.querySelector("#drift-rows .code"));
        scrollTo(0, 300);
        """
    )
    state = "return [document.activeElement.id, scrollY, getSelection().toString()]"
    before = browser.run(state)
    run_id = fixtures.add_run(conn, "csv", started_at=datetime.now(UTC), finished_at=datetime.now(UTC))
    browser.wait_text(f"#runs-rows tr[data-key='{run_id}']", "succeeded")
    assert browser.run(state) == before == ["search", 300, browser.texts("#drift-rows .code")[0]]


# Tells which timers are set, so that nobody has to wait to see that nothing happens. Put in place while one is.
WATCH_TIMERS = """
    window.pending = new Map();
    const [set, clear] = [window.setTimeout, window.clearTimeout];
    window.setTimeout = (work, wait) => {
        const id = set(() => { pending.delete(id); work(); }, wait);
        pending.set(id, wait);
        return id;
    };
    window.clearTimeout = (id) => { pending.delete(id); clear(id); };
"""


def timers(browser: Browser) -> list[int]:
    """The milliseconds of every timer that is set. None is while the page looks."""
    return list(browser.run("return [...pending.values()]"))


def test_dashboard_rests_while_nobody_looks(browser: Browser, service: Service) -> None:
    """In a hidden tab nothing is asked for; once seen again, everything is, at once."""
    open_dashboard(browser, service, "?every=1")
    browser.run(WATCH_TIMERS)
    browser.wait(lambda: timers(browser) == [1000], "the next look")
    hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'));"
    # A look may have begun meanwhile; it is the last one.
    browser.run(hide + tell, True)
    browser.requests()
    assert timers(browser) == []
    browser.run(hide + tell, False)
    browser.wait(browser.requests, "a look")


def test_dashboard_says_that_the_service_is_away_and_comes_back(browser: Browser, service: Service) -> None:
    """What was seen stays to be seen, marked as old, until there is an answer again."""
    with listening(service.api) as url:
        browser.open(f"{url}/?every=1", key=KEY)
        browser.wait_text("#updated", "updated")
    browser.wait_text("#banner", "The service does not answer. What you see is from")
    assert browser.text("#overall") == "no answer"
    assert browser.driver.title == "no answer: Kasparro"
    assert "coingecko" in browser.text("#sources-rows")
    with listening(service.api, int(url.rpartition(":")[2])):
        browser.wait(lambda: not browser.text("#banner"), "the end of the message")
        assert not browser.run("return document.body.classList.contains('stale')")


def test_dashboard_says_why_the_service_is_down(browser: Browser, service: Service) -> None:
    """A 503 names its reason; nothing loads for ever."""
    service.api.trouble = errors.DatabaseUnavailableError("away")
    try:
        browser.open(f"{service.url}/", key=KEY)
        browser.wait_text("#banner", "The database does not answer")
        assert browser.text("#overall") == "down"
        assert "never ran" not in browser.text("#sources-rows")
        assert "Loading" not in browser.text("main")
        assert faults(browser) == []
    finally:
        service.api.trouble = None


# Until it is put right again, the statistics are those of another version of the service.
SPOIL_STATISTICS = """
    window.really = window.fetch;
    window.fetch = async (address, options) => {
        const response = await really(address, options);
        const broken = { sources: [{ source: "csv", records: {}, duration: {}, budget: {} }] };
        return address === "/stats" ? Response.json(broken) : response;
    };
"""


def test_dashboard_goes_on_when_it_does_not_understand_an_answer(browser: Browser, service: Service) -> None:
    """It says so and looks again: during a deploy an older service may answer for a while."""
    open_dashboard(browser, service, "?every=1")
    browser.run(SPOIL_STATISTICS)
    browser.wait_text("#banner", "An answer cannot be shown")
    assert browser.run("return document.body.classList.contains('stale')")
    browser.run("window.fetch = really")
    browser.wait(lambda: not browser.text("#banner"), "the end of the message")
    assert browser.console() == []


def test_dashboard_waits_as_long_as_it_is_told(browser: Browser, service: Service) -> None:
    """A 429 is said in the service's words, and nothing is asked for before its Retry-After."""
    open_dashboard(browser, service, "?every=1")
    browser.run(
        WATCH_TIMERS
        + """
        const told = {status: 429, headers: {"Retry-After": "600"}};
        window.fetch = async () => new Response('{"detail": "too many questions"}', told);
        """
    )
    browser.wait_text("#banner", "Too many questions.")
    assert timers(browser) == [600_000]
    assert "coingecko" in browser.text("#sources-rows")


def test_dashboard_of_an_empty_service_is_calm(browser: Browser, databases: Any) -> None:
    """Before the first run every part says that there is nothing yet."""
    with fixtures.serve_clone(databases) as api, listening(api) as url:
        browser.open(f"{url}/")
        browser.wait_text("#updated", "updated")
        notes = browser.texts("[data-section]:not([data-section=sources]) [data-note]")
        assert all(note and "Loading" not in note for note in notes), notes
        assert "never ran" in browser.text("#sources-rows")
        assert not browser.text("#banner")
        assert browser.console() == []


def faults(browser: Browser, *rules: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong with the page as it is, by all its rules or these."""
    axe = Axe(browser.driver)
    axe.inject()
    found = axe.run(options={"runOnly": [*rules]} if rules else None)["violations"]
    return [(one["id"], [node["html"][:150] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)], ids=["phone-dark", "desktop-light"])
def test_dashboard_is_accessible(browser: Browser, service: Service, size: tuple[int, int], dark: bool) -> None:
    """axe-core finds no fault: contrast, names, landmarks, tables, in both colour schemes."""
    open_dashboard(browser, service, size=size, dark=dark)
    browser.wait_text("#consensus", "median")
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    assert faults(browser) == []


def test_reader_tries_a_call_with_the_key(browser: Browser, service: Service) -> None:
    """The key of the dashboard counts here too; a call shows its answer, on a phone and to a screen reader as well."""
    browser.open(f"{service.url}/docs#/Runs/getStats", key=KEY, size=PHONE)
    browser.wait(lambda: browser.text(".opblock.is-open .execute"), "the operation")
    browser.find(".opblock.is-open .execute").click()
    browser.wait_text(".opblock.is-open .live-responses-table .response .response-col_status", "200")
    assert "coinpaprika" in browser.text(".opblock.is-open .live-responses-table")
    assert browser.console() == []
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    # Those that Swagger UI by itself breaks, but for contrast, which takes seconds to see.
    assert (
        faults(browser, "heading-order", "nested-interactive", "region", "select-name", "scrollable-region-focusable")
        == []
    )
