"""`kasparro demo` on a machine that has nothing: no database, no network, no key."""

import re
import signal
from pathlib import Path

from program import Program, Start, environment, get

SOURCES = ("coinpaprika", "coingecko", "csv")


def url_of(demo: Program) -> str:
    """Where the demo invites to, once its first runs have ended."""
    found = re.search(r"open (http://[^/]+)/ ", demo.wait_line("open http"))
    assert found is not None
    return found[1]


def first_csv_quote(url: str) -> dict[str, object]:
    status, body = get(f"{url}/data?source=csv&order=asc&limit=1")
    assert status == 200
    (row,) = body["data"]
    return dict(row)


def test_demo_serves_three_sources_and_goes_on_with_its_data(reachable_home: Path, start: Start) -> None:
    """Everything it invites to answers; after a kill -9 the next start serves the same rows; Ctrl-C is exit 0."""
    env = environment(reachable_home, {"KASPARRO_DATA_DIR": str(reachable_home / "data")})
    first = start("demo", env=env)
    url = url_of(first)
    first.wait_line("Ctrl-C")
    for invitation in re.findall(r"curl '([^']+)'", first.text):
        assert get(invitation)[0] == 200, invitation
    for source in SOURCES:
        assert get(f"{url}/data?source={source}&limit=1")[1]["data"], source
    kept = first_csv_quote(url)
    first.stop(signal.SIGKILL)
    second = start("demo", env=env)
    assert first_csv_quote(url_of(second)) == kept
    code, seconds = second.stop(signal.SIGINT)
    assert code == 0
    assert seconds < 10
    assert "Traceback" not in first.text + second.text
