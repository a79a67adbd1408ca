"""Do the checks of `make smoke` fail where what they look at is broken? A made-up service answers them."""

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "scripts" / "smoke"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def smoke() -> Iterator[Any]:
    """The modules of scripts/smoke, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("client", "reading")})
        for name in [name for name, module in sys.modules.items() if _is_of(module)]:
            del sys.modules[name]


def _is_of(module: Any) -> bool:
    return str(getattr(module, "__file__", "")).startswith(str(FOLDER))


def rows(count: int, *, start: int = 0) -> list[dict[str, str]]:
    """Quotes, the newest first."""
    return [
        {"source": "desk", "external_id": f"coin-{number}", "observed_at": (NOW - timedelta(hours=number)).isoformat()}
        for number in range(start, start + count)
    ]


class Service:
    """Answers a walk with these pages, each with a link to the next unless `linked` is False."""

    def __init__(self, smoke: Any, pages: list[list[dict[str, str]]], *, linked: bool = True) -> None:
        self._answer = smoke.client.Answer
        self._pages, self._linked = pages, linked

    def ask(self, path: str) -> Any:
        number = int(path.partition("cursor=")[2] or 0)
        more = number + 1 < len(self._pages)
        body = {"data": self._pages[number], "pagination": {"has_more": more}}
        link = {"link": f'<https://svc.example/data?limit=40&cursor={number + 1}>; rel="next"'}
        headers: Mapping[str, str] = link if more and self._linked else {}
        return self._answer(200, headers, json.dumps(body).encode(), 0.01)


def test_walk_counts_pages_and_rows(smoke: Any) -> None:
    """What is printed was seen, whether pages end or go on."""
    assert smoke.reading.walk(Service(smoke, [rows(3)])) == (1, 3)
    full = [rows(40, start=40 * number) for number in range(7)]
    assert smoke.reading.walk(Service(smoke, full)) == (5, 200)


@pytest.mark.parametrize(
    ("pages", "linked", "said"),
    [
        ([rows(40), rows(40, start=40)], False, "its Link otherwise"),
        ([rows(40), rows(40, start=39)], True, "repeats rows"),
        ([rows(1) * 2], True, "repeats rows"),
        ([rows(7), rows(40, start=7)], True, "page 1 has 7 rows"),
        ([rows(40, start=40), rows(40)], True, "not in order"),
    ],
)
def test_walk_fails_when_paging_is_broken(smoke: Any, pages: Any, linked: bool, said: str) -> None:
    """Lost links, doubled rows, holes and another order are seen."""
    with pytest.raises(smoke.client.Failed, match=said):
        smoke.reading.walk(Service(smoke, pages, linked=linked))


def run(**changes: object) -> dict[str, object]:
    """A run of the cron that proves something."""
    moment = NOW.isoformat()
    whole = {"source": "csv", "trigger": "cron", "status": "failed", "code_version": "1.2.3"}
    return {**whole, "started_at": moment, "finished_at": moment, **changes}


def test_cron_is_proven_by_its_own_runs_alone(smoke: Any) -> None:
    """Those of this release that began after the moment and have ended; of each source the newest counts."""
    before = (NOW - timedelta(seconds=1)).isoformat()
    runs = [
        run(source="a", finished_at=None),
        run(source="b", trigger="api"),
        run(source="c", code_version="1.2.2"),
        run(source="d", started_at=before),
        run(status="succeeded"),
        run(),
    ]
    assert smoke.reading.cron_endings(runs, since=NOW, version="1.2.3") == {"csv": "succeeded"}
