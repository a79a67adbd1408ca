"""The past of listings as an operator fetches it: killed, started again, beside the live source, refused."""

import json
import signal
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from program import Start, get, post, run, wait_until
from tables import DATA, digests, flaws

FIRST = (datetime.now(UTC) - timedelta(days=40)).date()
LAST = FIRST + timedelta(days=9)
BACKFILL = ("backfill", "coinpaprika", "--from", str(FIRST), "--to", str(LAST), "--top", "5")


@pytest.fixture
def settings(env: dict[str, str], upstream: str) -> dict[str, str]:
    """An environment with the source coinpaprika, whose list was read once."""
    post(f"{upstream}/_control/tick", {"tick": get(f"{upstream}/_control/tick")[1]["tick"]})
    env = env | {
        "KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on",
        "KASPARRO_SOURCE_COINPAPRIKA_URL": f"{upstream}/v1",
        "KASPARRO_LEASE_SECONDS": "2",
    }
    assert run("run", "coinpaprika", env=env).returncode == 0
    return env


def asked(upstream: str) -> list[str]:
    """The ids whose past was asked for, in order."""
    entries = get(f"{upstream}/_control/requests")[1]
    return [entry["path"].split("/")[3] for entry in entries if entry["path"].endswith("/historical")]


def live_checkpoint(dsn: str) -> object:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select md5(k::text) from checkpoints k where slice = ''").fetchone()


def test_backfill_goes_on_with_the_slice_that_it_was_killed_in(
    settings: dict[str, str], upstream: str, start: Start, dsn: str, second_dsn: str
) -> None:
    """Finished slices are not asked for again; the live source runs beside it, and its checkpoint stays."""
    ids = list_ids(dsn)
    silent = {"upstream": "coinpaprika", "kind": "slow", "seconds": 600, "path": f"{ids[2]}/historical", "times": 1}
    assert post(f"{upstream}/_control/faults", silent)[0] == 200
    before = live_checkpoint(dsn)
    killed = start(*BACKFILL, env=settings)
    wait_until(lambda: statuses(dsn)[-1:] == ["running"] and len(statuses(dsn)) == 4, "the third slice has begun")
    assert run("run", "coinpaprika", env=settings).returncode == 0
    killed.stop(signal.SIGKILL)
    again = run(*BACKFILL, "--json", env=settings)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["slices"] == {"total": 5, "complete_before": 2, "done": 3, "failed": 0, "left": 0}
    assert [id_ for id_ in asked(upstream) if id_ != ids[2]] == [ids[0], ids[1], *ids[3:5]]
    assert statuses(dsn) == ["succeeded", "succeeded", "succeeded", "crashed", *["succeeded"] * 4]
    assert live_checkpoint(dsn) == before
    second = settings | {"DATABASE_URL": second_dsn}
    assert [run(*argv, env=second).returncode for argv in (("run", "coinpaprika"), BACKFILL)] == [0, 0]
    assert (digests(dsn, DATA), flaws(dsn)) == (digests(second_dsn, DATA), [])


def list_ids(dsn: str) -> list[str]:
    """The listings by rank."""
    with psycopg.connect(dsn) as conn:
        query = "select external_id from listings l join quotes q on q.listing_id = l.id order by q.rank, 1"
        return [row[0] for row in conn.execute(query).fetchall()]


def statuses(dsn: str) -> list[str]:
    """Of every run, oldest first."""
    with psycopg.connect(dsn) as conn:
        return [row[0] for row in conn.execute("select status from runs order by id").fetchall()]


def refuse(upstream: str, **fault: object) -> None:
    assert post(f"{upstream}/_control/faults", {"upstream": "coinpaprika", "kind": "status", **fault})[0] == 200


@pytest.mark.parametrize(
    ("status", "times", "code", "slices"),
    [
        (404, 1, 3, {"done": 4, "failed": 1, "left": 0}),
        (402, 1, 1, {"done": 0, "failed": 1, "left": 4}),
        (410, None, 1, {"done": 0, "failed": 3, "left": 2}),
    ],
)
def test_backfill_goes_on_or_gives_up_by_what_the_upstream_says(
    settings: dict[str, str], upstream: str, status: int, times: int | None, code: int, slices: dict[str, int]
) -> None:
    """An unknown id leaves the others alone; a plan that is too low holds for a window; three in a row are enough."""
    refuse(upstream, status=status, times=times, path="/historical")
    ended = run(*BACKFILL, "--json", env=settings)
    found = json.loads(ended.stdout)
    assert (ended.returncode, found["slices"]) == (code, {"total": 5, "complete_before": 0, **slices})
    assert [each["error"]["code"] for each in found["failures"]] == [f"http_{status}"] * slices["failed"]
    assert found["status"] == {1: "failed", 3: "partial"}[code]


def test_backfill_is_deferred_and_goes_on_later_when_the_upstream_wants_a_pause(
    settings: dict[str, str], upstream: str
) -> None:
    """Exit 75 at once, nothing asked meanwhile; what was done is not done again."""
    ids = list_ids(settings["DATABASE_URL"])
    refuse(upstream, status=429, times=1, path=f"{ids[1]}/historical", retry_after="7200")
    for _ in range(2):
        ended = run(*BACKFILL, "--json", env=settings)
        found = json.loads(ended.stdout)
        assert (ended.returncode, found["status"], found["slices"]["left"]) == (75, "deferred", 4)
    assert asked(upstream) == ids[:2]
    with psycopg.connect(settings["DATABASE_URL"]) as conn:
        conn.execute("update buckets set blocked_until = null")
    assert run(*BACKFILL, env=settings).returncode == 0
    assert asked(upstream) == [*ids[:2], *ids[1:5]]


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["coinpaprika", "--from", "2025-02-30"], "must be a day such as 2025-01-31, got '2025-02-30'"),
        (["coinpaprika", "--from", "2025-02-02", "--to", "2025-02-01"], "--from: must not be after --to (2025-02-01)"),
        (["coinpaprika", "--from", "2025-02-02", "--to", str(TOMORROW)], "--to: must be a day that is over in UTC"),
        (["coinpaprika", "--from", str(FIRST), "--ids", "nope"], "--ids: coinpaprika lists no 'nope'"),
        (["coinpaprika", "--from", str(FIRST)], "coinpaprika: lists nothing yet: kasparro run coinpaprika comes first"),
        (["csv", "--from", str(FIRST)], "csv: its past cannot be asked for"),
    ],
)
def test_mistake_is_named(env: dict[str, str], argv: list[str], complaint: str) -> None:
    """Exit 2, and what was wrong with it."""
    ended = run("backfill", *argv, env=env | {"KASPARRO_SOURCE_COINPAPRIKA_ENABLED": "on"})
    assert (ended.returncode, complaint in ended.stderr) == (2, True), ended.stderr
