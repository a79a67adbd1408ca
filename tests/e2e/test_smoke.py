"""Does the part of `make smoke` that only reads hold for a service with names as real markets have them?"""

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import program
import psutil
import pytest

SMOKE = Path(__file__).parents[2] / "scripts" / "smoke"
KEY = "k3y-of-smoke"
# Whichever quote comes first, its symbol needs quoting in an address.
SYMBOLS = ("币安人生", "HOT DOG", "A&B", "A#B", "A+B", "50%")


def smoke(home: Path, *options: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    env = program.environment(home, {"KASPARRO_SMOKE_KEY": key})
    return subprocess.run(
        [sys.executable, str(SMOKE), *options], env=env, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that shows whoever asks to another place, and what was asked of either with a key."""
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = self.path.startswith("/moved")
            keys.extend([self.headers["X-API-Key"]] if moved else [])
            self.send_response(302)
            self.send_header("Location", f"/moved{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()


def test_smoke_reads_from_a_deployed_service(home: Path, start: program.Start, env: dict[str, str]) -> None:
    """It waits for the cron's run, pages, and filters by every name; without a key it says which variable wants one."""
    lines = [
        f"{symbol},{symbol},1,2026-01-{day:02d}T{hour:02d}:00:00Z"
        for day in range(1, 29)
        for hour, symbol in enumerate(SYMBOLS)
    ]
    text = "\n".join(["symbol,name,price_usd,observed_at", *lines])
    (home / "archives" / "odd.csv").write_text(text, encoding="utf-8")
    since = datetime.now(UTC).isoformat()
    assert program.run("run", "--all", "--cron", env=env).returncode == 0
    serve = start("serve", env={**env, "KASPARRO_API_KEYS": f"smoke:{KEY}", "KASPARRO_SCHEDULER": "off"})
    url = serve.wait_url()
    done = smoke(home, "--url", url, "--cron-since", since, key=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "csv succeeded" in done.stdout
    assert "168 rows in 5 pages" in done.stdout
    refused = smoke(home, "--url", url)
    assert refused.returncode == 1
    assert "set KASPARRO_SMOKE_KEY" in refused.stdout


def test_smoke_leaves_nothing_behind_when_it_is_ended(reachable_home: Path) -> None:
    """A cancelled job, a closed terminal: its processes and its folder go before it does."""
    env = program.environment(reachable_home, {"TMPDIR": str(reachable_home)})
    with subprocess.Popen([sys.executable, str(SMOKE), "--local"], env=env, stdout=subprocess.PIPE, text=True) as ended:
        assert ended.stdout is not None
        assert any(line.startswith("ok    start") for line in ended.stdout)
        started = psutil.Process(ended.pid).children(recursive=True)
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(program.PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert started
    left = [(p.pid, p.status(), p.cmdline()) for p in started if p.is_running()]
    assert left == []
    assert list(reachable_home.glob("kasparro-smoke-*")) == []


def test_smoke_hands_its_key_to_nobody_else(home: Path, elsewhere: tuple[str, list[str]]) -> None:
    """An address that shows to another one fails, and says to which."""
    url, keys = elsewhere
    done = smoke(home, "--url", url, key=KEY)
    assert (done.returncode, keys) == (1, [])
    assert "it is at /moved/health" in done.stdout
