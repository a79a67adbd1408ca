"""Fields that change under a source: what is told of them, and what becomes of their records.

Driven with the stand-in upstreams, whose faults rename fields on the way.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import urllib3
from attrs import evolve
from etl_fixtures import HOUR, NOON, ListReader, page, record, source

from kasparro import errors
from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.etl.pipeline import Task
from kasparro.etl.policies import Policy
from kasparro.etl.replay import Replay
from kasparro.etl.source import FieldMap, Files, Kind, Limits
from kasparro.model import REPLAY, Page, RunStatus, Trigger
from kasparro.store import drift_decisions, migrate, schedules
from kasparro.store.replays import Wanted
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
    with UpstreamServer(Options(tick=1000, coinpaprika_coins=150, coingecko_coins=320)) as found:
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
    assert second.counts.inserted >= 250
    assert second.counts.rejected == first.counts.rejected
    assert seen(etl) == [("renamed", "current_price", "priceUsd", "mapped", "open")]
    (line,) = [each for each in caplog.records if each.message == "field drifted"]
    assert (line.drift, line.path, line.renamed_to, line.fields) == (
        "renamed", "current_price", "priceUsd", ["price_usd"],
    )  # fmt: skip
    etl.run(of=upstream.gecko)
    assert etl.rows("select count(*), max(last_run_id), count(distinct id) from drifts") == [(1, 3, 1)]
    # Seen twice, it is one; and what it was seen by is known.
    assert etl.rows("select * from drift_totals") == [("coingecko", "renamed", 1)]
    assert etl.rows("select run_id, drift_id from drifts_seen order by run_id") == [(2, 1), (3, 1)]
    assert etl.rows("select path, renamed_to from field_renames") == [("current_price", "priceUsd")]


def test_certain_rename_holds_for_every_page_and_for_nested_fields(etl, upstream):
    """CoinPaprika's price lies two objects deep; what is renamed there is found all the same."""
    first = etl.run(of=upstream.paprika)
    upstream.mend(tick=1005)
    upstream.rename("quotes.USD.price", "price_usd", upstream="coinpaprika")
    second = etl.run(of=upstream.paprika)
    assert (second.status, second.counts.rejected) == (RunStatus.SUCCEEDED, first.counts.rejected)
    etl.run(of=upstream.paprika)
    assert seen(etl) == [("renamed", "quotes.USD.price", "quotes.USD.price_usd", "mapped", "open")]


def test_field_renamed_on_one_page_alone_is_read_there_by_its_new_name(etl, upstream):
    """Half of an upstream may be new already."""
    first = etl.run(of=upstream.gecko)
    upstream.mend(tick=1001)
    upstream.rename("current_price", "price", page=2)
    second = etl.run(of=upstream.gecko)
    assert (second.status, second.counts.rejected) == (RunStatus.SUCCEEDED, first.counts.rejected)
    etl.run(of=upstream.gecko)
    assert seen(etl) == [("renamed", "current_price", "price", "mapped", "open")]


def test_drift_is_resolved_when_the_field_is_back(etl, upstream):
    """Its mapping ends; but records of the time between are replayed with it."""
    etl.run(of=upstream.gecko)
    upstream.rename("current_price", "price")
    etl.run(of=upstream.gecko)
    upstream.mend(tick=1001)
    third = etl.run(of=upstream.gecko)
    assert third.status is RunStatus.SUCCEEDED
    assert seen(etl) == [("renamed", "current_price", "price", "mapped", "resolved")]
    before = etl.outcome()
    assert replay(etl, upstream.gecko, raw=True).counts.removed == 0
    assert etl.outcome() == before


def test_rename_that_nobody_accepted_ends_when_the_field_is_back(etl):
    """What the other name means later is to be proven anew; what a person accepted stays."""
    etl.run(page(*priced({"price": "{}"})))
    etl.run(page(*priced({"price_usd": "{}"}, at=NOON + HOUR)))
    etl.run(page(*priced({"price": "{}", "price_usd": "{}"}, at=NOON + 2 * HOUR)))
    assert seen(etl)[0] == ("renamed", "price", "price_usd", "mapped", "resolved")
    before = etl.quotes()
    other = priced({"price_usd": "{}"}, at=NOON + 3 * HOUR, factor=lambda _: Decimal(7))
    assert etl.run(page(*other)).error_code == "schema_drift"
    few = etl.run(page(*other[:3]))
    assert (few.status, etl.quotes()) == (RunStatus.FAILED, before)
    etl.replayable = False


def test_decision_stands_when_it_is_made_while_a_run_is_under_way(etl):
    """The run was begun with another; what it learned of the field is not what a person said."""
    etl.run(page(*priced({"price": "{}"})))
    etl.run(page(*priced({"price_usd": "{}"}, at=NOON + HOUR)))
    decide(etl, drift_decisions.accept)
    pages = [page(*priced({"price_usd": "{}"}, at=NOON + hours * HOUR), last=hours == 3) for hours in (2, 3)]
    etl.run(pages[0], etl.after(1, lambda: decide(etl, drift_decisions.reject)), pages[1])
    known = "select fields ? 'price', fields ? 'price_usd' from field_baselines"
    assert etl.rows(known) == [(True, False)]
    etl.run(page(*priced({"price": "{}"}, at=NOON + 4 * HOUR)))
    assert (etl.rows(known), [each for each in seen(etl) if each[-1] == "open"]) == ([(True, False)], [])
    etl.replayable = False


def test_batch_without_a_required_field_is_kept_from_the_tables_until_its_rename_is_accepted(etl, upstream):
    """Nothing is guessed: its records wait as rejections, and come in by a replay afterwards."""
    etl.run(of=upstream.gecko)
    quotes = etl.quotes()
    upstream.mend(tick=1001)
    upstream.rename("current_price", "worth")
    second = etl.run(of=upstream.gecko)
    assert (second.status, second.error_code) == (RunStatus.FAILED, "schema_drift")
    assert "'current_price'" in second.error_message
    assert "'worth'" in second.error_message
    assert seen(etl) == [("renamed", "current_price", "worth", "quarantined", "open")]
    assert etl.quotes() == quotes
    assert etl.value("select count(*) from rejections where code = 'schema_drift' and resolved_at is null") == 250
    assert decide(etl, drift_decisions.accept) == "accepted"
    assert replay(etl, upstream.gecko).counts.inserted >= 200
    assert etl.value("select count(*) from rejections where code = 'schema_drift' and resolved_at is null") == 0
    third = etl.run(of=upstream.gecko)
    assert (third.status, seen(etl)) == (
        RunStatus.SUCCEEDED, [("renamed", "current_price", "worth", "quarantined", "accepted")],
    )  # fmt: skip


def test_rejected_rename_is_undone_and_not_proposed_again(etl, upstream):
    """Whoever knows better is not asked twice; the field is missing then, and the other one new."""
    etl.run(of=upstream.gecko)
    upstream.rename("market_cap", "mcap")
    etl.run(of=upstream.gecko)
    assert seen(etl) == [("renamed", "market_cap", "mcap", "mapped", "open")]
    assert decide(etl, drift_decisions.reject) == "rejected"
    assert etl.rows("select * from field_renames") == []
    upstream.mend(tick=1001)
    upstream.rename("market_cap", "mcap")
    etl.run(of=upstream.gecko)
    assert seen(etl) == [
        ("renamed", "market_cap", "mcap", "mapped", "rejected"),
        ("missing", "market_cap", None, "warned", "open"),
        ("added", "mcap", None, "warned", "open"),
    ]
    caps = "select count(market_cap_usd) from quotes where run_id = (select max(id) from runs)"
    assert etl.value(caps) == 0
    etl.replayable = False


def test_accepted_rename_can_be_rejected_later(etl, upstream):
    """The mapping goes, what was usual before is usual again, and accepting it once more is possible."""
    etl.run(of=upstream.gecko)
    upstream.rename("market_cap", "mcap")
    etl.run(of=upstream.gecko)
    known = "select fields ? 'market_cap', fields ? 'mcap' from field_baselines"
    assert decide(etl, drift_decisions.accept) == decide(etl, drift_decisions.accept) == "accepted"
    assert etl.rows(known) == [(False, True)]
    etl.run(of=upstream.gecko)
    assert seen(etl) == [("renamed", "market_cap", "mcap", "mapped", "accepted")]
    assert decide(etl, drift_decisions.reject) == decide(etl, drift_decisions.reject) == "rejected"
    assert etl.rows(known) == [(True, False)]
    assert decide(etl, drift_decisions.accept) == "accepted"
    assert etl.rows("select path, renamed_to from field_renames") == [("market_cap", "mcap")]


def test_half_of_the_records_raises_nothing(etl, upstream):
    """Fewer records have the same fields; a read of nothing has none."""
    etl.run(of=upstream.gecko)
    upstream.drop_half()
    assert etl.run(of=upstream.gecko).status is RunStatus.SUCCEEDED
    assert seen(etl) == []


def test_policy_decides_what_becomes_of_a_drift(etl, upstream):
    """Fail keeps no records, ignore says nothing, warn loads what there is."""
    etl.run(of=upstream.gecko)
    upstream.rename("market_cap", "mcap")
    strict = with_policies(upstream.gecko, renamed=Policy.FAIL)
    assert etl.run(of=strict).error_code == "schema_drift"
    assert seen(etl) == [("renamed", "market_cap", "mcap", "failed", "open")]
    assert etl.value("select count(*) from rejections where code = 'schema_drift'") == 0
    blind = with_policies(upstream.gecko, renamed=Policy.IGNORE, missing=Policy.IGNORE, added=Policy.IGNORE)
    assert etl.run(of=blind).status is RunStatus.SUCCEEDED
    assert len(seen(etl)) == 1
    etl.replayable = False


def test_drift_does_not_keep_a_run_that_accepts_rejections(etl, upstream):
    """Whoever says so takes what there is: without a price that is nothing, as expected of a coin without one."""
    etl.run(of=upstream.gecko)
    upstream.rename("current_price", "worth")
    runner = etl.build()
    task = Task(accept_rejections=True)
    result = runner.run(upstream.gecko, trigger=Trigger.CLI, stop=threading.Event(), task=task)
    assert (result.status, result.counts.rejected) == (RunStatus.SUCCEEDED, result.counts.read)
    assert seen(etl) == [("renamed", "current_price", "worth", "proposed", "open")]


@pytest.mark.parametrize(
    ("before", "after", "path", "renamed_to"),
    [
        ({"price": "{}"}, {"quote.price": "{}"}, "price", "quote\\.price"),
        ({"quote": {"price": "{}"}}, {"quote.price": "{}"}, "quote.price", "quote\\.price"),
    ],
)
def test_field_that_is_spelled_with_a_dot_is_read_when_it_was_renamed(etl, before, after, path, renamed_to):
    """It is one name, not a field of an object: what is mapped is what is read."""
    usual = source()
    given = evolve(usual, fields={**usual.fields, "price_usd": FieldMap(paths=(path,), type="number")})
    etl.run(page(*priced(before)), of=given)
    second = etl.run(page(*priced(after, at=NOON + HOUR)), of=given)
    assert (second.status, second.counts.inserted) == (RunStatus.SUCCEEDED, 40)
    assert seen(etl) == [("renamed", path, renamed_to, "mapped", "open")]
    etl.replayable = False


@pytest.mark.parametrize("factor", ["0.93", "7", "10"])
def test_price_whose_values_are_others_is_not_mapped_whatever_its_name_says(etl, factor):
    """Another currency or unit under a name that says the same would be a wrong quote: a person is asked."""
    etl.run(page(*priced({"price": "{}"})))
    dearer = priced({"price_usd": "{}"}, at=NOON + HOUR, factor=lambda _: Decimal(factor))
    second = etl.run(page(*dearer))
    assert (second.status, second.error_code, second.counts.inserted) == (RunStatus.FAILED, "schema_drift", 0)
    assert seen(etl) == [("renamed", "price", "price_usd", "quarantined", "open")]


def test_market_cap_in_another_currency_is_proposed_and_not_mapped(etl):
    """Its name says the same, and dollars are meant where no currency is named."""
    etl.run(page(*spread()))
    euros = {"cap": lambda _: None, "marketCap": lambda coin: float(coin["cap"]) * 0.86}
    assert etl.run(page(*spread(hours=1, **euros))).status is RunStatus.SUCCEEDED
    assert seen(etl) == [("renamed", "cap", "marketCap", "proposed", "open")]


def test_price_that_moved_with_the_market_is_mapped(etl):
    """Some coins moved far, most did not."""
    etl.run(page(*priced({"price": "{}"})))
    factors = (Decimal("1.5"), Decimal("1.04"))
    moved = priced({"Price": "{}"}, at=NOON + HOUR, factor=lambda number: factors[number % 4 > 0])
    assert etl.run(page(*moved)).counts.inserted == 40
    assert seen(etl) == [("renamed", "price", "Price", "mapped", "open")]
    etl.replayable = False


@pytest.mark.parametrize("field", ["price", "cap"])
def test_accepted_rename_raises_nothing_on_pages_that_run_on_other_scales(etl, field):
    """A ranked list has its large numbers first: what the first page showed is no measure of the others."""
    new = {"price": "price_usd", "cap": "marketCap"}[field]
    etl.run(*ranked(field, at=NOON))
    etl.run(*ranked(new, at=NOON + HOUR))
    assert seen(etl) == [("renamed", field, new, "mapped", "open")]
    decide(etl, drift_decisions.accept)
    for hours in (2, 3):
        result = etl.run(*ranked(new, at=NOON + hours * HOUR))
        assert (result.status, seen(etl)) == (RunStatus.SUCCEEDED, [("renamed", field, new, "mapped", "accepted")])
    kept = etl.value("select fields -> %s -> 'pages' from field_baselines", new)
    assert len(kept) == 4
    decide(etl, drift_decisions.reject)
    assert len(etl.value("select fields -> %s -> 'pages' from field_baselines", field)) == 4
    etl.replayable = False


@pytest.mark.parametrize(
    ("path", "renamed_to", "value"),
    [
        ("id", "coin_id", lambda number: f"coin{(number + 7) % 40}"),
        ("id", "coin_id", lambda number: f"coin{number}-c"),
        ("symbol", "ticker", lambda number: f"c{number}"),
        ("at", "At", lambda number: f"{2010 + number % 9}-02-03T00:00:00Z"),
    ],
)
def test_name_that_says_the_same_is_not_mapped_when_its_values_are_about_others(etl, path, renamed_to, value):
    """Another numbering, other ids, other symbols, the days on which coins were founded: a person is asked."""
    etl.run(page(*records(40)))
    before = etl.quotes()
    changed = [
        record(f"coin{number}", price=str(number + 1), **{"at": NOON + HOUR, path: None, renamed_to: value(number)})
        for number in range(40)
    ]
    second = etl.run(page(*changed))
    assert (second.status, second.error_code) == (RunStatus.FAILED, "schema_drift")
    assert ("renamed", path, renamed_to, "quarantined", "open") in seen(etl)
    assert etl.quotes() == before


@pytest.mark.parametrize("price", [None, ""])
def test_batch_without_any_price_is_quarantined_although_a_coin_may_lack_one(etl, price):
    """What is expected of some records is not of all."""
    etl.run(page(*records(40)))
    second = etl.run(page(*(record(f"coin{number}", price=price, cap=1000) for number in range(40))))
    assert (second.status, second.error_code) == (RunStatus.FAILED, "schema_drift")


def test_few_records_without_a_required_field_are_quarantined(etl):
    """Eight coins are as good a reason as eight hundred; it is over when the first has a price again."""
    etl.run(page(*records(8)))
    second = etl.run(page(*(record(f"coin{number}", price=None, cost="1") for number in range(8))))
    assert (second.status, second.error_code, second.counts.inserted) == (RunStatus.FAILED, "schema_drift", 0)
    assert seen(etl) == [("missing", "price", None, "quarantined", "open")]
    etl.run(page(*records(1)))
    assert seen(etl) == [("missing", "price", None, "quarantined", "resolved")]


def test_swapped_columns_are_quarantined_although_their_names_are_the_same(etl):
    """A price of a market cap's scale is none, whatever is said about other types."""
    etl.run(page(*records(40, cap=10**8)))
    swapped = (record(f"coin{number}", price=str(10**8), cap=str(number + 1)) for number in range(40))
    second = etl.run(page(*swapped))
    assert (second.status, second.error_code, second.counts.inserted) == (RunStatus.FAILED, "schema_drift", 0)
    assert "'price', read as price_usd, runs on another scale" in second.error_message
    assert ("type_changed", "cap", None, "warned", "open") in seen(etl)
    etl.run(page(*records(40, cap=10**8)))
    assert etl.value("select count(*) from drifts where status = 'open'") == 0
    etl.replayable = False


def spread(count: int = 12, *, hours: int = 0, **changes: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """Coins whose prices are of six powers of ten; `changes` make fields of what the records are otherwise."""
    made = []
    for number in range(count):
        cents = 10 ** (number % 7)
        plain = {"id": f"c{number}", "price": f"{cents / 100}", "cap": cents * 10**7, "volume": cents * 10**4}
        plain |= {"symbol": f"S{number}", "name": f"Coin {number}"}
        fields = plain | {name: change(plain) for name, change in changes.items()}
        made.append(record(fields.pop("id"), at=NOON + hours * HOUR, **fields))
    return made


@pytest.mark.parametrize(
    ("changes", "paths", "shown"),
    [
        ({"price": lambda coin: float(coin["price"]) * 100}, ["price"], "(x100: c"),
        (
            {"price": lambda coin: coin["volume"], "volume": lambda coin: coin["price"]},
            ["price", "volume"],
            "(x1e+06: ",
        ),
        ({"id": lambda coin: int(coin["id"][1:])}, ["id"], "(S0, Coin 0: c0 -> 0)"),
        (
            {"symbol": lambda coin: coin["name"], "name": lambda coin: coin["symbol"]},
            ["name", "symbol"],
            "(c0 s0, Coin 0 -> Coin 0, S0)",
        ),
    ],
)
def test_listings_that_say_something_else_are_quarantined_until_a_person_accepts_it(etl, changes, paths, shown):
    """Cents, swapped columns, new ids: in force for the read after the acceptance, and usual from then on."""
    etl.run(page(*spread()))
    other = page(*spread(hours=1, **changes))
    refused = etl.run(other)
    assert (refused.status, refused.error_code, refused.counts.inserted) == (RunStatus.FAILED, "schema_drift", 0)
    assert shown in refused.error_message
    found = etl.rows("select id, path from drifts where (details ->> 'rescaled')::boolean order by path")
    assert [path for _, path in found] == paths
    # It can be replayed only then, and from then on.
    assert [replay(etl, source(), raw=raw).counts.inserted for raw in (False, True)] == [0, 0]
    assert "(drift " in etl.value("select min(message) from rejections where resolved_at is null")
    for drift_id, _ in found:
        decide(etl, drift_decisions.accept, drift_id)
    assert replay(etl, source()).counts.inserted == 12
    assert [etl.run(other).status for _ in range(2)] == [RunStatus.SUCCEEDED] * 2
    if paths != ["id"]:
        assert etl.run(page(*spread(hours=2))).error_code == "schema_drift"
    etl.replayable = False


def test_records_kept_out_for_their_scale_are_replayed_when_the_map_was_mended(etl):
    """By then their drift may be over: what they say decides, not what upstream says today."""
    etl.run(page(*spread()))
    etl.run(page(*spread(hours=1, price=lambda coin: float(coin["price"]) * 100)))
    etl.run(page(*spread(hours=2)))
    assert [status for *_, status in seen(etl)] == ["resolved"]
    assert replay(etl, source()).counts.read == 0
    usual = source()
    cents = evolve(usual.fields["price_usd"], scale="0.01")
    assert replay(etl, evolve(usual, fields={**usual.fields, "price_usd": cents})).counts.inserted == 12
    etl.replayable = False


def daily(first: int, price: str, **how: Any) -> Page:
    """Twelve days of one coin, of a file."""
    days = range(first, first + 12)
    rows = [record("btc", at=NOON + day * 24 * HOUR, price=price, cap=8 * 10**11, volume="1") for day in days]
    return page(*rows, position={"offset": first}, **how)


def test_read_is_as_before_when_quotes_were_mended_by_a_replay(etl):
    """What was read in cents all the time, and is dollars by today's map: the drift that tells of it is over."""
    usual = source()
    mended = evolve(usual.fields["price_usd"], scale="0.01")
    dollars = evolve(usual, fields={**usual.fields, "price_usd": mended})
    etl.run(cents(1))
    assert etl.run(cents(2), of=dollars).error_code == "schema_drift"
    assert replay(etl, dollars, raw=True).counts.updated == 12
    assert etl.run(cents(3), of=dollars).status is RunStatus.SUCCEEDED
    assert [each[-1] for each in seen(etl)] == ["resolved"]
    etl.replayable = False


def test_file_whose_values_are_others_is_quarantined_beside_near_quotes(etl):
    """Whatever another file said of the same coin some days before; of other years it may say what it wants."""
    files = source(kind=Kind.CSV_FILES, http=None, files=Files(glob="/nowhere/*.csv"))

    def read(name: str, first: int, price: str, **how: Any) -> Any:
        return etl.run(daily(first, price, slice_name=name, **how), of=files)

    assert read("old.csv", -3000, "40").status is RunStatus.SUCCEEDED
    assert read("one.csv", 0, "40000").status is RunStatus.SUCCEEDED
    assert read("other.csv", 12, "800000000000").error_code == "schema_drift"
    assert seen(etl) == [("type_changed", "price", None, "quarantined", "open")]
    # By as many powers of ten in another file: told of apart, and accepted without letting the first one's rows in.
    assert read("fifteenfold.csv", 12, "600000").status is RunStatus.SUCCEEDED
    assert [each[3:] for each in seen(etl)] == [("quarantined", "open"), ("warned", "open")]
    decide(etl, drift_decisions.accept, 2)
    assert replay(etl, files).counts.inserted == 0
    # The file that is in dispute goes on with rows too few to tell, and with none that can be compared.
    for first, days in ((24, 1), (3000, 3)):
        rows = [record("btc", at=NOON + (first + day) * 24 * HOUR, price="800000000000") for day in range(days)]
        assert etl.run(page(*rows, slice_name="other.csv"), of=files).error_code == "schema_drift"
    etl.replayable = False


def cents(hours: int, **changes: Any) -> Any:
    return page(*spread(hours=hours, price=lambda coin: float(coin["price"]) * 100, **changes))


def test_what_was_read_by_a_drift_goes_when_its_acceptance_is_undone(etl):
    """The quotes from before it are the measure again, at once; those read by it are taken away by a replay of all."""
    etl.run(page(*spread()))
    etl.run(cents(1))
    decide(etl, drift_decisions.accept)
    assert [etl.run(cents(hours)).status for hours in (1, 2)] == [RunStatus.SUCCEEDED] * 2
    decide(etl, drift_decisions.reject)
    assert etl.run(cents(3)).error_code == "schema_drift"
    assert etl.run(page(*spread(hours=4))).status is RunStatus.SUCCEEDED
    assert replay(etl, source()).counts.inserted == 0
    assert replay(etl, source(), raw=True).counts.removed == 24
    assert sorted({at for _, at in etl.quotes()}) == [NOON, NOON + 4 * HOUR]
    assert etl.run(cents(5)).error_code == "schema_drift"
    # It was right after all.
    decide(etl, drift_decisions.accept)
    assert replay(etl, source()).counts.inserted == 24
    etl.replayable = False


def test_asset_stays_one_when_other_ids_are_accepted(etl):
    """And is what it was when that is undone; a listing that is quoted again is one of two."""
    other = {"id": lambda coin: int(coin["id"][1:]) + 1000}
    etl.run(page(*spread()), of=source("coingecko"))
    etl.run(page(*spread()))
    etl.run(page(*spread(hours=1, **other)))
    decide(etl, drift_decisions.accept)
    etl.run(page(*spread(hours=1, **other)))
    listings = "select count(*), count(distinct asset_id), min(match_method) from listings"
    assert etl.rows(listings) == [(36, 12, "exact")]
    etl.run(page(*spread(hours=2)))
    assert etl.rows(listings) == [(36, 36, "ambiguous")]
    decide(etl, drift_decisions.reject)
    replay(etl, source(), raw=True)
    assert etl.rows(listings) == [(24, 12, "exact")]
    etl.replayable = False


def test_records_of_a_drift_that_is_over_stay_out_until_they_are_let_in(etl):
    """Whatever else changes in its field; accepting it says nothing of what is read from then on."""
    etl.run(page(*spread()))
    etl.run(page(*spread(hours=1, price=lambda coin: round(float(coin["price"]) * 100))))
    etl.run(page(*spread(hours=2, price=lambda coin: f"USD {coin['price']}")), of=source(max_rejected_share=1.0))
    assert [each[-1] for each in seen(etl)][:1] == ["resolved"]
    assert replay(etl, source()).counts.inserted == 0
    decide(etl, drift_decisions.accept)
    assert etl.run(cents(3)).error_code == "schema_drift"
    replay(etl, source())
    assert {at for _, at in etl.quotes()} == {NOON, NOON + HOUR}
    etl.replayable = False


def test_records_that_were_kept_out_by_older_code_name_their_drift_when_migrated(etl):
    """Else a replay would let them in before anybody decided."""
    etl.run(page(*spread()))
    etl.run(cents(1))
    etl.conn.execute("update rejections set drift_id = null")
    etl.conn.execute((migrate.FOLDER / "0022_drifts_of_older_rejections.sql").read_bytes())
    assert etl.rows("select distinct drift_id from rejections") == [(1,)]
    etl.replayable = False


def test_acceptance_ends_when_what_was_accepted_was_read(etl):
    """Also where a record is rejected in every run."""
    bad = record("x", at="never")
    etl.run(page(*spread(), bad))
    etl.run(cents(1))
    decide(etl, drift_decisions.accept)
    assert (
        etl.run(page(*spread(hours=1, price=lambda coin: float(coin["price"]) * 100), bad)).status is RunStatus.PARTIAL
    )
    assert etl.run(page(*spread(hours=2), bad)).error_code == "schema_drift"
    etl.replayable = False


def test_drift_of_one_field_is_no_measure_of_another(etl):
    """Prices go their way while nobody decides about caps."""
    etl.run(page(*spread()))
    for hours in range(1, 5):
        moved = {
            "price": lambda coin, by=1.9**hours: str(float(coin["price"]) * by),
            "cap": lambda coin: coin["cap"] * 1000,
        }
        assert etl.run(page(*spread(hours=hours, **moved))).status is RunStatus.SUCCEEDED
    assert [each[:2] for each in seen(etl)] == [("type_changed", "cap")]
    etl.run(page(*(record(f"n{number}", at=NOON + 5 * HOUR, cap=5, volume=1) for number in range(12))))
    assert seen(etl)[0][-1] == "open"


def test_times_ahead_of_now_are_quarantined(etl):
    """Of most records, in the first read as well."""
    later = datetime.now(UTC) + 400 * 24 * HOUR
    ahead = page(*(record(f"c{number}", at=later) for number in range(9)))
    assert etl.run(ahead).error_code == "schema_drift"
    assert seen(etl) == [("type_changed", "at", None, "quarantined", "open")]
    assert etl.run(page(*records(9))).status is RunStatus.SUCCEEDED
    assert seen(etl)[0][-1] == "resolved"
    etl.replayable = False


def test_file_is_not_compared_with_what_it_said_itself(etl):
    """A coin may fall by any factor from one row to the next, and a file may be corrected."""
    files = source(kind=Kind.CSV_FILES, http=None, files=Files(glob="/nowhere/*.csv"))
    falling = ((1, "80"), (13, "1"), (25, "0.0001"))
    assert (
        etl.run(*(daily(*each, slice_name="luna.csv", last=each == falling[2]) for each in falling), of=files).status
        is RunStatus.SUCCEEDED
    )
    assert etl.run(daily(37, "9000", slice_name="luna.csv"), of=files).status is RunStatus.SUCCEEDED
    corrected = daily(1, "8000", slice_name="luna.csv", anew=True)
    assert etl.run(corrected, of=files).counts.updated == 12
    assert seen(etl) == []
    etl.replayable = False


def test_warned_drift_is_open_until_values_are_what_they_were_before_it(etl):
    """What was loaded with them since is no measure; a person may say that they are right."""
    thousands = {"cap": lambda coin: coin["cap"] * 1000}
    for hours, changes in enumerate(({}, thousands, thousands)):
        assert etl.run(page(*spread(hours=hours, **changes))).status is RunStatus.SUCCEEDED
    assert seen(etl) == [("type_changed", "cap", None, "warned", "open")]
    etl.run(page(*spread(hours=3)))
    etl.run(page(*spread(hours=4, **thousands)))
    decide(etl, drift_decisions.accept, etl.value("select max(id) from drifts"))
    etl.run(page(*spread(hours=5, **thousands)))
    assert [status for *_, status in seen(etl)] == ["resolved", "accepted"]
    etl.replayable = False


def test_drift_of_few_listings_is_over_when_they_say_what_they_said(etl):
    """Nine coins do not tell what is usual, but what they cost."""
    etl.run(page(*spread(9)))
    swapped = {"price": lambda coin: coin["cap"], "cap": lambda coin: coin["price"]}
    assert etl.run(page(*spread(9, hours=1, **swapped))).error_code == "schema_drift"
    assert etl.run(page(*spread(9))).status is RunStatus.SUCCEEDED
    assert {status for *_, status in seen(etl)} == {"resolved"}
    etl.replayable = False


def test_other_kinds_are_seen_accepted_and_are_usual_then(etl):
    """A new field, one that is gone, one of another type, one that is null: each is told once and accepted."""
    etl.run(page(*records(40)))
    changed = page(*records(40, cap=None, rank="first", note="x", volume=""))
    etl.run(changed)
    found = etl.rows("select kind, path, action from drifts order by kind")
    assert found == [
        ("added", "note", "warned"), ("missing", "cap", "warned"), ("null_jump", "volume", "warned"),
        ("type_changed", "rank", "warned"),
    ]  # fmt: skip
    for number in range(1, 5):
        decide(etl, drift_decisions.accept, number)
    etl.run(changed)
    assert etl.value("select count(*) from drifts") == 4
    with pytest.raises(errors.NotFoundError, match="no drift 9"):
        decide(etl, drift_decisions.accept, 9)


def test_quotes_of_a_warned_drift_go_when_it_was_accepted_and_then_rejected(etl):
    """Of a part of the market too small to be kept out: what was loaded with it is taken away by a replay of all."""
    some = {"price": lambda coin: float(coin["price"]) * (1000 if coin["id"] in ("c0", "c1", "c2", "c3", "c4") else 1)}
    etl.run(page(*spread(60)))
    assert etl.run(page(*spread(60, hours=1, **some))).counts.inserted == 60
    assert seen(etl) == [("type_changed", "price", None, "warned", "open")]
    decide(etl, drift_decisions.accept)
    decide(etl, drift_decisions.reject)
    assert replay(etl, source(), raw=True).counts.removed == 60
    assert etl.value("select count(*) from quotes") == 60
    etl.replayable = False


def test_only_a_rename_can_be_rejected_while_it_is_open(etl):
    """A field that is missing is either accepted, or back one day."""
    etl.run(page(*records(40)))
    etl.run(page(*records(40, cap=None)))
    with pytest.raises(errors.KasparroError, match="only a rename"):
        decide(etl, drift_decisions.reject)
    etl.run(page(*records(40)))
    assert seen(etl) == [("missing", "cap", None, "warned", "resolved")]
    with pytest.raises(errors.KasparroError, match="is resolved"):
        decide(etl, drift_decisions.accept)


def test_drift_is_written_once_when_its_batch_is_tried_again_and_its_run_dies(etl):
    """It commits with its batch: not before it, and not twice."""
    etl.run(page(*records(40)))
    broken = errors.FetchError("gone", retryable=False)
    changed = page(*records(40, note="x"), last=False)
    for _ in range(2):
        assert etl.run(changed, broken).status is RunStatus.FAILED
        assert etl.rows("select kind, path, first_run_id, status from drifts") == [("added", "note", 2, "open")]
    assert etl.value("select fields ? 'note' from field_baselines") is False


def test_fields_are_usual_only_when_all_of_the_last_page_is_loaded(etl):
    """A page that ends in a batch that is not loaded says neither what is usual nor what is over."""
    etl.run(page(*records(40)))
    etl.run(page(*records(40, cap=None)))
    half = page(*records(100, note="x"), *records(100, note="x", rank="first", at="never"))
    assert etl.run(half, batch_records=100).error_code == "too_many_rejections"
    assert ("missing", "cap", None, "warned", "open") in seen(etl)
    assert ("added", "note", None, "warned", "open") in seen(etl)
    assert etl.run(page(*records(200, note="x")), batch_records=100).status is RunStatus.SUCCEEDED
    assert ("missing", "cap", None, "warned", "resolved") in seen(etl)


def test_every_record_of_a_page_is_kept_when_it_is_quarantined(etl):
    """In however many batches: after the map was mended they are replayed."""
    etl.run(page(*records(40)))
    gone = page(*(record(f"coin{number}", price=None, cap=1000) for number in range(45)))
    assert etl.run(gone, batch_records=10).error_code == "schema_drift"
    assert etl.value("select count(*) from rejections where code = 'schema_drift' and resolved_at is null") == 45
    assert len(etl.quotes()) == 40


def test_source_that_failed_can_be_made_due_at_once(etl):
    """As when its drift was accepted; but not while its upstream wants to be left alone, and not where all is well."""

    def hasten() -> bool:
        with etl.database.transaction() as conn:
            return schedules.hasten(conn, "coinpaprika")

    etl.run(page(*records(40)))
    assert not hasten()
    etl.run(page(*(record(f"coin{number}", price=None) for number in range(40))))
    is_due = "select next_run_at <= clock_timestamp() from schedules"
    assert not etl.value(is_due)
    assert hasten()
    assert etl.value(is_due)
    etl.conn.execute("update schedules set blocked_until = clock_timestamp() + interval '1 hour'")
    assert not hasten()


def test_files_are_compared_with_their_own_past_only(etl):
    """Archives of many origins lie in one folder."""
    one = page(*records(40, open="1"), slice_name="one.csv")
    other = page(*records(40, close="2"), slice_name="other.csv")
    files = source(kind=Kind.CSV_FILES, http=None, files=Files(glob="/nowhere/*.csv"))
    for _ in range(2):
        runner = etl.build(ListReader({"one.csv": [one], "other.csv": [other]}))
        etl.start(runner, of=files)
    assert seen(etl) == []
    assert etl.rows("select profile -> 'records' from runs") == [(80,), (80,)]
    etl.run(page(*records(40, opened="1"), slice_name="one.csv"), of=files)
    assert etl.rows("select path, renamed_to, slice from drifts") == [("open", "opened", "one.csv")]
    # Runs that read other files are not compared by their fields.
    first, second, third = etl.rows("select profile ->> 'inputs' from runs order by id")
    assert first == second != third


def test_drift_of_two_files_is_over_when_both_are_as_they_were(etl):
    """And of a field that is disputed in one of them, another goes on learning."""
    files = source(kind=Kind.CSV_FILES, http=None, files=Files(glob="/nowhere/*.csv"))

    def read(name: str, **more: Any) -> None:
        etl.run(page(*records(40, **more), slice_name=name), of=files)

    for more in ({}, {"cap": None}):
        read("one.csv", **more)
        read("two.csv", **more)
    assert seen(etl) == [("missing", "cap", None, "warned", "open")]
    read("two.csv")
    read("new.csv")
    assert etl.rows("select status, details -> 'baselines' from drifts") == [("open", ["one.csv"])]
    assert etl.value("select fields ? 'cap' from field_baselines where slice = 'new.csv'")
    read("one.csv")
    assert seen(etl) == [("missing", "cap", None, "warned", "resolved")]
    etl.replayable = False


def test_field_that_became_an_object_is_read_within_it(etl):
    """And as a value again once it is one: the object is no value."""
    etl.run(page(*priced({"price": "{}"})))
    for number, fields in enumerate(({"price": {"usd": "{}"}}, {"price": "{}"}), start=1):
        run = etl.run(page(*priced(fields, at=NOON + number * HOUR)))
        assert (run.status, run.counts.inserted) == (RunStatus.SUCCEEDED, 40)
    assert seen(etl) == [("renamed", "price", "price.usd", "mapped", "resolved")]
    etl.replayable = False


def test_rename_that_is_seen_again_is_as_sure_as_before(etl):
    """How far it is ahead of any other stays known."""
    etl.run(page(*priced({"price": "{}"})))
    for _ in range(2):
        etl.run(page(*priced({"Price": "{}"}, at=NOON + HOUR)))
        assert etl.rows("select confidence >= 0.85, details ->> 'margin' > '0.5' from drifts") == [(True, True)]
    etl.replayable = False


def test_rename_to_yet_another_name_is_a_row_of_its_own(etl):
    """Each can be rejected, and rejecting the old row ends no other."""
    etl.run(page(*records(40)))
    for name in ("mcap", "market_cap"):
        etl.run(page(*records(40, cap=None, **{name: 1000})))
    assert [(new, status) for _, _, new, _, status in seen(etl)] == [("mcap", "resolved"), ("market_cap", "open")]
    decide(etl, drift_decisions.reject)
    assert etl.rows("select renamed_to from field_renames") == [("market_cap",)]
    etl.replayable = False


def test_run_record_holds_what_it_saw_of_the_fields(etl):
    """Counted over the records looked at, in the shape that the migration tells."""
    result = etl.run(page(*records(40, volume="")))
    profile, fingerprint = etl.run_row(result.run_id, "profile", "schema_fingerprint")
    assert profile["records"] == 40
    assert profile["paths"]["volume"] == {"seen": 40, "null": 40, "types": {}}
    price = profile["paths"]["price"]
    assert (price["seen"], price["null"], price["types"]) == (40, 0, {"number_text": 40})
    assert len(fingerprint) == 16
    nothing = etl.run(page())
    assert etl.run_row(nothing.run_id, "profile", "schema_fingerprint") == (None, None)


def records(count: int, **more: Any) -> list[Any]:
    """So many records that have every field; None leaves one out."""
    usual = {"cap": 1000, "volume": 50, "rank": 3, "change": -1}
    return [record(f"coin{number}", price=str(number + 1), **{**usual, **more}) for number in range(count)]


def priced(
    fields: dict[str, Any], *, at: datetime = NOON, factor: Callable[[int], Decimal] = lambda _: Decimal(1)
) -> list[Any]:
    """Forty records whose prices, times a factor, lie where `fields` has a pair of braces."""
    text = json.dumps({"price": None} | fields)
    prices = [(number + Decimal("1.37")) * factor(number) for number in range(40)]
    return [
        record(f"coin{number}", at=at, **json.loads(text.replace("{}", str(price))))
        for number, price in enumerate(prices)
    ]


def with_policies(given: Any, **policies: Policy) -> Any:
    return evolve(given, drift=evolve(given.drift, **policies))


def replay(etl: Any, given: Any, *, raw: bool = False) -> Any:
    """Normalise rejected records again, or all that are kept."""
    runner = etl.build()
    work = Replay(etl.database, runner.committer, Wanted(source=given.name, rejected=not raw)).work
    return runner.run(given, trigger=Trigger.REPLAY, stop=threading.Event(), task=Task(slice=REPLAY, work=work))


def ranked(field: str, *, at: datetime) -> list[Any]:
    """Four pages of one market, each two powers of ten below the one before."""
    usual: dict[str, Any] = {"price": None, "cap": 5} if field.startswith("price") else {"price": "1"}
    return [
        page(
            *(
                record(f"{number}-{one}", at=at, **usual | {field: str(Decimal(10) ** (6 - 2 * number) + one)})
                for one in range(20)
            ),
            last=number == 3,
        )
        for number in range(4)
    ]
