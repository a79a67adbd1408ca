"""Whatever goes wrong, no secret is in anything that the program says: on its streams, in the API, in its records."""

import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psycopg
import pytest
from program import Start, environment, run, wait_until
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEYS = {
    "COINPAPRIKA_API_KEY": "canary-of-coinpaprika",
    "COINGECKO_API_KEY": "canary-of-coingecko",
    "CARELESS_API_KEY": "canary/of=a+careless-upstream",
}
CLIENT_KEY, WRONG_KEY, PASSWORD = "canary-of-a-client", "canary-that-is-wrong", "canary/of#the-database"
SECRETS = (*KEYS.values(), CLIENT_KEY, WRONG_KEY, PASSWORD, "careless-upstream")
PATHS = (
    "/runs", "/runs/0", "/stats", "/metrics", "/health", "/health/ready", "/rejections", "/drift", "/data", "/data?x=1",
    "/assets/none", "/nowhere", "/openapi.json", "/anomalies", "/compare-runs?source=careless_401", "/", "/docs",
)  # fmt: skip
# What an upstream says of the key that it got. A redirect puts it into the address.
ANSWERS = {
    401: "no such key: {key}",
    500: "a bug, while looking at {key}",
    404: "<p>{key}</p>",
    400: '{{"key": "{key}"}}',
    200: "[{key}",
    403: "/403?key={quoted} is not allowed",
    410: '{{"see": "/v2?key={small}"}}',
}
CARELESS = """
name = "careless_{status}"
kind = "json_api"
schedule = "every 1d"

[http]
url = "{url}"
path = "/{status}"
max_retries = 0

[auth]
key = "CARELESS_API_KEY"
header = "x-key"

[fields]
external_id = "id"
symbol = "id"
name = "id"
observed_at = "at"
price_usd = "price"
"""


def answer(request: Request) -> Response:
    """The status that the path asks for, and the key that came."""
    status = int(request.path[1:])
    key = request.headers.get("x-key") or request.args.get("key", "no key")
    if status == 302:
        return Response(status=302, headers={"Location": f"/500?key={key}"})
    quoted = urllib.parse.quote(key, safe="")
    small = re.sub("%..", lambda found: found[0].lower(), quoted)
    return Response(ANSWERS[status].format(key=key, quoted=quoted, small=small), status=status)


@pytest.fixture
def careless(home: Path, env: dict[str, str], dsn: str, httpserver: HTTPServer) -> dict[str, str]:
    """An environment full of secrets, with sources whose upstream repeats its key in different errors."""
    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    folder = home / "sources"
    folder.mkdir()
    for status in (*ANSWERS, 302):
        text = CARELESS.format(status=status, url=httpserver.url_for("").rstrip("/"))
        (folder / f"careless_{status}.toml").write_text(text)
    # A database that asks for no password does not mind one.
    address = make_conninfo(dsn, password=conninfo_to_dict(dsn).get("password") or PASSWORD)
    more = {"DATABASE_URL": address, "KASPARRO_API_KEYS": f"desk:{CLIENT_KEY}", "KASPARRO_SOURCES_DIR": str(folder)}
    return {**env, **KEYS, **more}


def ask_everything(url: str, key: str | None) -> str:
    """All that the API says, headers included."""
    said = []
    for path in PATHS:
        request = urllib.request.Request(url + path, headers={"X-API-Key": key} if key else {})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as found:  # noqa: S310
                said.append(f"{found.headers}{found.read().decode()}")
        except urllib.error.HTTPError as ex:
            said.append(f"{ex.headers}{ex.read().decode()}")
    return "\n".join(said)


def leaks(text: str) -> list[str]:
    """The secrets that stand in a text, whole or for the most part."""
    assert text
    return [secret for secret in SECRETS if secret[:-4] in text or secret[4:] in text]


def failures(dsn: str) -> str:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "select source, error_code, error_message from runs where status = 'failed' order by source"
        )
        return "\n".join(" ".join(row) for row in rows)


def test_service_tells_no_secret_when_upstreams_repeat_their_key(
    start: Start, careless: dict[str, str], dsn: str
) -> None:
    """Neither its log lines nor the API nor a run's record, whoever asks."""
    serve = start("serve", env=careless)
    url = serve.wait_url()
    wait_until(lambda: len(failures(dsn).splitlines()) == len(ANSWERS) + 1, "every source to fail")
    assert leaks(failures(dsn)) == []
    for key in (CLIENT_KEY, WRONG_KEY, None):
        assert leaks(ask_everything(url, key)) == []
    assert serve.stop()[0] == 0
    shown = run("runs", "list", "--json", env=careless)
    assert "http_401" in shown.stdout
    assert leaks(shown.stdout + shown.stderr) == []
    for line in ("request failed", "run ended", "GET /runs 200", "GET (unknown) 401"):
        assert line in serve.text
    assert leaks(serve.text) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("run --all", 1),
        ("run careless_401 --json", 1),
        ("sources check", 0),
        ("sources check --json", 0),
    ],
)
def test_command_tells_no_secret(careless: dict[str, str], command: str, code: int) -> None:
    """Neither in its result nor beside it."""
    done = run(*command.split(), env=careless)
    assert done.returncode == code, done.stderr
    assert leaks(done.stdout + done.stderr) == []


def test_crash_tells_no_secret(careless: dict[str, str], home: Path) -> None:
    """What a process says that is killed, and what the next one says about it."""
    (home / "archives" / "a.csv").write_text("symbol,name,date,price\nXYZ,Xyz,2024-03-01,1.50\n")
    killed = run("run", "csv", env=careless | {"KASPARRO_FAULTS": "csv:load:exit", "KASPARRO_LEASE_SECONDS": "1"})
    assert killed.returncode != 0
    resumed = run("run", "csv", env=careless)
    assert "found a crashed run" in resumed.stderr
    assert leaks(killed.stdout + killed.stderr + resumed.stdout + resumed.stderr) == []


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:canary%2Fof%23the-database@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 dbname=none user=u password='canary/of#the-database'",
        "postgresql://u:canary/of#the-database@127.0.0.1:1/none",
        "postgresql://u@127.0.0.1:1/none?password=canary%2Fof%23the-database",
    ],
)
def test_database_that_is_away_tells_no_secret(home: Path, start: Start, address: str) -> None:
    """Whether the address is well-formed or not, for commands and for the service that waits."""
    settings = {"DATABASE_URL": address, "KASPARRO_DB_WAIT_SECONDS": "0.3", "KASPARRO_CSV_GLOB": "/none/*.csv"}
    env = environment(home, settings)
    done = run("run", "csv", env=env)
    assert done.returncode in (1, 2)
    serve = start("serve", env=env)
    if done.returncode == 1:
        url = serve.wait_url()
        serve.wait_line("waiting for the database")
        assert leaks(ask_everything(url, None)) == []
        serve.stop()
    serve.wait()
    assert leaks(done.stdout + done.stderr + serve.text) == []
    assert "of%23the" not in done.stdout + done.stderr + serve.text
