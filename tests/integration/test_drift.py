"""Fields that change under a source: what is told of them, and what becomes of their records.

Driven with the stand-in upstreams, whose faults rename fields on the way.
"""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from attrs import evolve

from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.etl.source import Limits
from kasparro.model import RunStatus
from kasparro.upstream.options import Options
from kasparro.upstream.server import UpstreamServer

pytest_plugins = ("etl_checks",)


class Upstream:
    """The stand-ins, and the built-in sources that read them; its control paths go back to nothing between tests."""

    def __init__(self, server: UpstreamServer) -> None:
        self._http, self._url = urllib3.PoolManager(), server.coingecko_url.removesuffix("/api/v3")
        environ = {
            f"KASPARRO_SOURCE_{name.upper()}_URL": getattr(server, f"{name}_url")
            for name in ("coinpaprika", "coingecko")
        }
        found = catalogue.load_all(Config.from_env(environ))
        # Nobody waits for tokens here.
        self.gecko, self.paprika = (evolve(found[name], limits=Limits()) for name in ("coingecko", "coinpaprika"))

    def rename(self, field: str, to: str, *, upstream: str = "coingecko", **more: Any) -> None:
        self._post("faults", {"upstream": upstream, "kind": "rename", "field": field, "to": to, **more})

    def drop_half(self) -> None:
        self._post("faults", {"upstream": "coingecko", "kind": "drop", "keep": 0.5})

    def mend(self, tick: int = 1000) -> None:
        self._http.request("DELETE", f"{self._url}/_control/faults")
        self._post("tick", {"tick": tick})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        answer = self._http.request("POST", f"{self._url}/_control/{path}", body=json.dumps(body))
        assert answer.status == 200, answer.data


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    """Stand-ins for the tests of this module, small ones."""
    with UpstreamServer(Options(tick=1000, coinpaprika_coins=150, coingecko_coins=600)) as found:
        yield Upstream(found)


@pytest.fixture
def upstream(server: Upstream) -> Upstream:
    """The stand-ins without faults, at their first tick."""
    server.mend()
    return server


def seen(etl: Any) -> list[tuple[Any, ...]]:
    return etl.rows("select kind, path, renamed_to, action, status from drifts order by id")


def decide(etl: Any, what: Callable[..., str], drift_id: int = 1) -> str:
    with etl.database.transaction() as conn:
        return what(conn, drift_id)


def test_renamed_field_is_read_by_its_new_name_within_the_same_run(etl, upstream, caplog):
    """A required field with a name that says the same: a warning, a row, and the data go on."""
    first = etl.run(of=upstream.gecko)
    assert (first.status, seen(etl)) == (RunStatus.SUCCEEDED, [])
    upstream.mend(tick=1001)
    upstream.rename("current_price", "priceUsd")
    with caplog.at_level(logging.WARNING):
        second = etl.run(of=upstream.gecko)
    assert second.status is RunStatus.SUCCEEDED
    assert second.counts.inserted >= 400
    assert second.counts.rejected == first.counts.rejected
    assert seen(etl) == [("renamed", "current_price", "priceUsd", "mapped", "open")]
    (line,) = [each for each in caplog.records if each.message == "field drifted"]
    assert (line.drift, line.path, line.renamed_to, line.fields) == (
        "renamed", "current_price", "priceUsd", ["price_usd"],
    )  # fmt: skip
    etl.run(of=upstream.gecko)
    assert etl.rows("select count(*), max(last_run_id), count(distinct id) from drifts") == [(1, 3, 1)]
    assert etl.rows("select path, renamed_to from field_renames") == [("current_price", "priceUsd")]
