"""From being seen to being closed: whatever an upstream does and a person decides, no drift stays open that is none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import api_fixtures
import pytest
from etl_fixtures import NOON, page, record, source
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import Rollback

from kasparro import errors
from kasparro.etl import compare, content
from kasparro.etl.normalise import compile_source
from kasparro.fields import KnownListing
from kasparro.store import db, drift_decisions, drifts, known_fields

# So many that all of their fields are compared, and so few that only the required ones are.
COINS = st.sampled_from([12, 4])
USUAL = {"price": "{}", "cap": "{}000000", "note": "n{}"}
# What a field may be besides what it was: elsewhere, of another type, null, or gone.
PRICES = [{"price": "{}"}, {"Price": "{}"}, {"worth": "{}"}, {"price": {"usd": "{}"}}, {}]
CAPS = [{"cap": "{}000000"}, {"mcap": "{}000000"}, {"market.cap": "{}000000"}, {"cap": "none"}, {"cap": ""}, {}]
NOTES = [{"note": "n{}"}, {"remark": "n{}"}, {"note": "n{}", "more": "m"}, {"note": {"text": "n{}"}}, {}]
SHAPES = st.tuples(*map(st.sampled_from, (PRICES, CAPS, NOTES))).map(
    lambda parts: {name: value for part in parts for name, value in part.items()}
)
DECISIONS = st.tuples(st.sampled_from([drift_decisions.accept, drift_decisions.reject]), st.integers(0, 5))
MCAP, CAPITALIZATION = USUAL | {"cap": None, "mcap": "{}000000"}, USUAL | {"cap": None, "market.cap": "{}000000"}
ACCEPT_LAST, ACCEPT_THIRD, REJECT_LAST = (
    (drift_decisions.accept, 0),
    (drift_decisions.accept, 2),
    (drift_decisions.reject, 0),
)


class Upstream:
    """A source whose fields take any shape, and what the tables know of it."""

    def __init__(self, conn: db.Connection, coins: int) -> None:
        self._conn = conn
        self._coins = coins
        self.run_id = 0

    def read(self, shape: dict[str, Any]) -> bool:
        """One run, as the pipeline has it; whether it was loaded."""
        self.run_id = api_fixtures.add_run(self._conn, "coinpaprika", started_at=datetime.now(UTC))
        prices = {f"coin{number}": Decimal(number + 1) for number in range(self._coins)}
        past = content.Past(
            find_known=lambda baseline: known_fields.find(self._conn, "coinpaprika", baseline),
            find_listings=lambda items, _: [
                item.external_id
                and KnownListing(
                    symbol_key=item.external_id,
                    name=f"Coin {item.external_id}",
                    observed_at=NOON,
                    price_usd=prices[item.external_id],
                    market_cap_usd=prices[item.external_id] * 10**6,
                )
                for item in items
            ],
            find_names=lambda _: [],
        )
        given = source().renamed(known_fields.list_renames(self._conn, "coinpaprika"))
        run = SimpleNamespace(id=self.run_id, started_at=datetime.now(UTC))
        job: Any = SimpleNamespace(run=run, source=given, accept_rejections=False, note_profile=lambda *_: None)
        watch = compare.Watch(job, "", compile_source, past)
        text = json.dumps({"price": None} | shape)
        coins = [record(name, **json.loads(text.replace("{}", str(price)))) for name, price in prices.items()]
        notes = watch.look(page(*coins))
        if notes is not None:
            drifts.write(self._conn, "coinpaprika", self.run_id, notes)
        return watch.refusal is None

    def decide(self, what: Any, number: int) -> None:
        """What a person says to one of the newest drifts, if it can be said."""
        rows = self._conn.execute("select id from drifts order by id desc offset %s limit 1", [number]).fetchall()
        for (drift_id,) in rows:
            with suppress(errors.KasparroError):
                what(self._conn, drift_id)

    def open(self) -> list[Any]:
        """The open drifts: their ids, and the runs that saw them last."""
        return self._conn.execute(
            "select id, last_run_id, path from drifts where status = 'open' order by id"
        ).fetchall()

    def is_as_decided(self) -> bool:
        """Whether nobody took for usual what is not."""
        return not self._conn.execute("select from drifts where status = 'accepted'").fetchall()


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[db.Connection]:
    """A database that no example leaves anything in."""
    name = databases.clone()
    with db.connect(databases.dsn(name)) as made:
        yield made
    databases.drop(name)


@contextmanager
def upstream(conn: db.Connection, coins: int) -> Iterator[Upstream]:
    with conn.transaction():
        made = Upstream(conn, coins)
        assert made.read(USUAL)
        yield made
        raise Rollback


@settings(max_examples=25)
@example(coins=12, steps=[MCAP, REJECT_LAST, MCAP, ACCEPT_THIRD, MCAP])
@example(coins=12, steps=[MCAP, ACCEPT_LAST, CAPITALIZATION, USUAL])
@given(coins=COINS, steps=st.lists(SHAPES | DECISIONS, max_size=8))
def test_drift_is_open_only_as_long_as_runs_see_it(conn: db.Connection, coins: int, steps: list[Any]) -> None:
    """Where a field is as it was, or as somebody accepted it; and the same input is told of once."""
    with upstream(conn, coins) as made:
        for step in (*steps, USUAL, USUAL):
            if isinstance(step, tuple):
                made.decide(*step)
                continue
            for _ in range(2):
                known = [each[0] for each in made.open()]
                if made.read(step):
                    assert [each for each in made.open() if each[1] != made.run_id] == []
            assert [each[0] for each in made.open()] == known
        assert made.read(USUAL)
        assert not made.open() or not made.is_as_decided()


@settings(max_examples=25)
@given(coins=COINS, steps=st.lists(SHAPES | DECISIONS, max_size=4), last=SHAPES)
def test_what_somebody_accepted_is_usual(
    conn: db.Connection, coins: int, steps: list[Any], last: dict[str, Any]
) -> None:
    """Once all that is open is accepted, nothing is."""
    with upstream(conn, coins) as made:
        for step in steps:
            made.decide(*step) if isinstance(step, tuple) else made.read(step)
        for _ in range(2):
            made.read(last)
            for _ in made.open():
                made.decide(drift_decisions.accept, 0)
            for drift_id, _, _ in made.open():
                drift_decisions.accept(conn, drift_id)
        made.read(last)
        assert made.open() == []
