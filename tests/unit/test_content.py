"""Do listings say what they said before? Decided one by one, on a page's normalised records."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from kasparro.etl import content, identify
from kasparro.etl.scales import Change, Finding
from kasparro.fields import KnownListing
from kasparro.model import Normalised, Quote, Rejection

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TIMES = content.Times(lookback=timedelta(0), until=NOON + timedelta(minutes=65))
FIELDS = ("external_id", "symbol", "name", "observed_at", "price_usd", "market_cap_usd", "rank", "currency")


def latest(number: int) -> dict[str, Decimal]:
    """Prices of six powers of ten, as those of a market are."""
    price = Decimal(10) ** (number % 7 - 3)
    return {"price_usd": price, "market_cap_usd": price * 10**8, "volume_24h_usd": price * 10**6}


KNOWN = {
    f"id{number}": KnownListing(
        symbol_key=f"c{number}", name=f"Coin {number}", observed_at=NOON, valued_at=NOON, **latest(number)
    )
    for number in range(40)
}


def item(key: str, *, at: datetime = NOON, **told: Any) -> Normalised:
    """A record that says what is known of its listing, but for what is `told`: of its quote, or of itself."""
    before = KNOWN[key]
    quote = Quote(observed_at=at, **{name: getattr(before, name) for name in latest(0)})
    texts = {"external_id": key, "symbol": before.symbol_key.upper(), "name": before.name}
    texts |= {name: told.pop(name) for name in texts if name in told}
    symbol_key = identify.fold(texts["symbol"])
    return Normalised(
        content_hash="", payload="", **texts, symbol_key=symbol_key, quote=evolve(quote, **told), rejection=None
    )


def items(count: int = 40, **factors: str) -> list[Normalised]:
    """So many records whose numbers are so many times those known."""
    return [
        item(key, **{name: getattr(before, name) * Decimal(factor) for name, factor in factors.items()})
        for key, before in list(KNOWN.items())[:count]
    ]


def named(**texts: str) -> list[Normalised]:
    """Ten records with other texts: in those stands the number of the coin for braces, three further for brackets."""
    return [
        item(
            f"id{number}",
            **{
                name: text.replace("{}", str(number)).replace("[]", str((number + 3) % 10))
                for name, text in texts.items()
            },
        )
        for number in range(10)
    ]


def spoiled(count: int) -> list[Normalised]:
    """Ten records, the first of them rejected for their price."""
    rejection = Rejection(stage="normalise", code="price_missing", field="price_usd", message="")
    return [evolve(each, quote=None, rejection=rejection) for each in items(count)] + items(10)[count:]


def pairs(given: list[Normalised], known: dict[str, KnownListing] = KNOWN) -> list[content.Pair]:
    return [(each, known.get(each.external_id or "")) for each in given]


def unproven(given: list[Normalised], times: content.Times = TIMES) -> set[str]:
    return {*content.unproven(pairs(given), FIELDS, times)}


def findings(
    given: list[Normalised], *, known: dict[str, KnownListing] = KNOWN, whole: bool = True, **how: Any
) -> dict[str, Finding]:
    """Of all that an API has, unless told otherwise; else of what a file has more."""

    def find_names(keys: Any) -> Any:
        return [(each.symbol_key, each.name, key) for key, each in known.items() if each.symbol_key in keys]

    read = content.Read(whole=whole, now=NOON if whole else None, **how)
    return content.changes(pairs(given, known), find_names, read)


def changes(given: list[Normalised], **how: Any) -> dict[str, Change]:
    return {name: each.change for name, each in findings(given, **how).items()}


def other(given: list[Normalised], **how: Any) -> set[str]:
    """The fields that these records have otherwise."""
    return {name for name, change in changes(given, **how).items() if change is not Change.NONE}


@pytest.mark.parametrize("factor", ["1", "0.96", "1.05"])
def test_field_is_proven_when_records_give_it_as_before(factor: str) -> None:
    """What was null all along is not seen to be read, and so not proven."""
    assert unproven(items(10, price_usd=factor)) == {"rank"}


@pytest.mark.parametrize(
    "given", [items(10, price_usd="0.93"), items(price_usd="7"), items(price_usd="1.06"), items(4), spoiled(6),
              spoiled(10), []]
)  # fmt: skip
def test_price_is_not_proven_when_coins_cost_something_else_or_are_few(given: list[Normalised]) -> None:
    """Another currency or unit, too few to tell, or none to read."""
    assert "price_usd" in unproven(given)


# What a renamed field of money may be, as a factor of what it was, and whether it is that: a market that moved; or
# euros, pounds, yuan, rupees, yen, won; cents, thousands, thousandths, Bitcoins, another field.
FACTORS = [
    *[(factor, True) for factor in ("0.96", "0.98", "1", "1.01", "1.04")],
    *[(factor, False) for factor in ("0.93", "0.86", "1.15", "0.78", "7.1", "83", "149", "1390")],
    *[(factor, False) for factor in ("0.01", "100", "1000", "0.001", "0.000001", "1e-5", "2", "0.5", "1e8")],
]


@pytest.mark.parametrize("name", ["price_usd", "market_cap_usd", "volume_24h_usd"])
def test_no_other_money_is_proven_in_the_labelled_corpus(name: str) -> None:
    """Precision 1.0 where nobody is asked, and of moves up to 5 % none is asked about."""
    proven = [factor for factor, _ in FACTORS if not content.unproven(pairs(items(**{name: factor})), [name], TIMES)]
    assert proven == [factor for factor, is_same in FACTORS if is_same]


def test_nothing_is_proven_when_no_coin_was_known() -> None:
    """A first read, or an id that was renamed next to it, makes strangers of all."""
    assert content.unproven(pairs(items(), {}), FIELDS, TIMES) == {*FIELDS} - {"currency"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (named(external_id="{}-id"), {"external_id", "symbol", "name", "observed_at", "price_usd", "market_cap_usd"}),
        (named(external_id="id[]"), {"external_id", "symbol", "name", "price_usd", "market_cap_usd"}),
        (named(external_id="id[]", symbol="c[]"), {"external_id", "name", "price_usd", "market_cap_usd"}),
        (named(symbol="oin{}"), {"external_id", "symbol", "name"}),
        (named(name="A coin"), {"name"}),
    ],
)
def test_text_is_not_proven_when_it_names_other_listings(given: list[Normalised], expected: set[str]) -> None:
    """Ids of another scheme, another numbering of the same form, another symbol, a name that is none."""
    assert unproven(given) == expected | {"rank"}


@pytest.mark.parametrize(
    ("hours", "lookback", "proven"), [(0, 0, True), (1, 0, True), (2, 0, False), (-1, 0, False), (-1, 1, True)]
)
def test_time_is_proven_when_it_lies_between_what_is_known_and_now(hours: int, lookback: int, proven: bool) -> None:
    """The day on which a coin was founded is a time as well."""
    given = [item(key, at=NOON + timedelta(hours=hours)) for key in KNOWN]
    found = unproven(given, evolve(TIMES, lookback=timedelta(hours=lookback)))
    assert ("observed_at" not in found) is proven


@pytest.mark.parametrize("factor", ["100", "1000", "1000000", "0.01", "149", "11"])
@pytest.mark.parametrize("count", [5, 9, 40])
def test_prices_are_rescaled_when_they_are_off_coin_by_coin(factor: str, count: int) -> None:
    """Cents, or thousands, although each read alone looks like a market."""
    assert other(items(count, price_usd=factor)) == {"price_usd"}


def moved(factor: str, apart: str) -> list[Normalised]:
    """A market that moved by this factor, each coin up to so many times further or less far."""
    steps = (Decimal(1), Decimal(apart), 1 / Decimal(apart))
    return [
        item(key, price_usd=each.price_usd * Decimal(factor) * steps[number % 3])  # type: ignore[operator]
        for number, (key, each) in enumerate(KNOWN.items())
    ]


@pytest.mark.parametrize(
    "given", [items(), moved("0.15", "1.3"), moved("7", "1.3"), moved("0.5", "1.1"), items(price_usd="1.9"),
              items(9, price_usd="9"), items(4, price_usd="1000"), []]
)  # fmt: skip
def test_prices_are_not_rescaled_when_a_market_moved_or_few_are_known(given: list[Normalised]) -> None:
    """After months of sleep, or when one coin went mad."""
    assert other(given) == set()


@pytest.mark.parametrize("factor", ["7.1", "2.1", "0.4", "0.12"])
def test_prices_are_rescaled_when_all_coins_have_one_factor(factor: str) -> None:
    """Yuan, however long the source slept: a market moves coins apart, if only by some percent."""
    assert other(moved(factor, "1.02")) == {"price_usd"}
    assert other(moved(factor, "1.02")[:10]) == {"price_usd"}
    assert other(moved(factor, "1.15")) == set()
    assert other(moved(factor, "1.02"), whole=False) == set()


def test_prices_have_one_factor_still_when_few_of_them_moved_on_in_dispute() -> None:
    """What is kept out does not come in because coins moved apart in the meantime, or a page is short."""
    given = moved("7", "1.3")
    for part in (given, given[:7]):
        assert [other(part, doubted=frozenset(doubted)) for doubted in ((), {"price_usd"})] == [set(), {"price_usd"}]
    assert other(moved("1.5", "1.3"), doubted=frozenset({"price_usd"})) == set()


def test_finding_shows_by_what_values_changed_and_an_example() -> None:
    """The coin in the middle of those that changed; for texts, ids and times the first one."""
    found = findings(market(40, 13, "1000"))["price_usd"]
    assert (found.factor, found.example) == (1000, "id6 1000 -> 1000000")
    assert findings(items(price_usd="0.01"))["price_usd"].factor == 0.01
    assert findings(items())["price_usd"] == Finding(change=Change.NONE)
    assert findings(named(symbol="Coin {}", name="C{}"))["symbol"].example == "id0 c0, Coin 0 -> Coin 0, C0"
    assert findings(named(external_id="{}"))["external_id"].example == "C0, Coin 0: id0 -> 0"
    assert findings(market(10, 0, "1", days=365))["observed_at"].example == "id0 2027-01-02 12:00"
    earlier = findings(market(10, 0, "1", days=-1))["observed_at"]
    assert earlier.example == "id0 2026-01-02 12:00 -> 2026-01-01 12:00"


def test_two_fields_are_rescaled_when_they_changed_places() -> None:
    """Price and volume: both are another's."""
    swapped = [item(key, price_usd=each.volume_24h_usd, volume_24h_usd=each.price_usd) for key, each in KNOWN.items()]
    assert other(swapped[:9]) == {"price_usd", "volume_24h_usd"}


def test_volumes_are_not_rescaled_when_they_swing_both_ways() -> None:
    """Coins that nobody trades do, from day to day."""
    swings = (Decimal(100) if number % 2 else Decimal("0.01") for number in range(40))
    given = [item(key, volume_24h_usd=each.volume_24h_usd * next(swings)) for key, each in KNOWN.items()]
    assert other(given) == set()


def test_symbol_and_name_are_others_when_they_changed_places() -> None:
    """One of both, or the way it is written, a source may change for all."""
    assert other(named(symbol="Coin {}", name="C{}")) == {"symbol", "name"}
    assert other(named(symbol="c{}", name="Coin {} Token")) == set()


def test_ids_are_others_when_known_listings_have_none_of_them() -> None:
    """By symbol and name in either order, on the first page of a read; listings that are new have new names."""
    strangers = named(external_id="{}")
    assert other(strangers) == {"external_id"}
    assert other(named(external_id="{}", symbol="Coin {}", name="C{}")) == {"external_id"}
    new = named(external_id="{}", symbol="N{}", name="New {}")
    for given, begins in ((strangers, False), (strangers[:9], True), (new, True), ([*strangers, *items(5)], True)):
        assert other(given, begins=begins) == set()
    assert other(strangers, known={}) == set()


@pytest.mark.parametrize(
    ("factor", "change"),
    [
        ("1", Change.NONE), ("9", Change.NONE), ("12", Change.DOUBTFUL), ("0.05", Change.DOUBTFUL),
        ("100", Change.CERTAIN), ("0.01", Change.CERTAIN),
    ],
)  # fmt: skip
def test_rows_of_files_are_compared_in_numbers_alone(factor: str, change: Change) -> None:
    """Within a month a coin may go up tenfold, but not a hundredfold; it may be called otherwise by another file."""
    given = [evolve(each, symbol="X", name="Y", symbol_key="x") for each in items(price_usd=factor)]
    found = changes(given, whole=False)
    assert found["price_usd"] is change
    assert found.keys() == {"price_usd", "market_cap_usd"}


@pytest.mark.parametrize(
    ("price", "accepted", "undecided", "out"),
    [
        (Change.CERTAIN, False, set(), True), (Change.CERTAIN, True, set(), False), (Change.NONE, False, set(), False),
        (None, False, set(), True), (None, True, set(), False), (Change.NONE, False, {"symbol"}, True),
        (Change.CERTAIN, True, {"symbol"}, True),
    ],
)  # fmt: skip
def test_records_stay_out_until_values_are_as_before_or_accepted(
    price: Change | None, accepted: bool, undecided: set[str], out: bool
) -> None:
    """By a map that was mended, or because a person says so; of all fields that somebody has to decide about."""
    given = {"symbol": Change.CERTAIN} | ({"price_usd": price} if price is not None else {})
    found = {name: Finding(change=change) for name, change in given.items()}
    assert content.stays_out(found, {"price_usd"}, undecided, accepted=accepted) is out


@pytest.mark.parametrize(("price", "out"), [(Change.DOUBTFUL, True), (Change.CERTAIN, True), (Change.NONE, False)])
def test_records_that_were_only_warned_of_stay_out_when_a_person_rejects_them(price: Change, out: bool) -> None:
    """They were loaded; a replay of everything takes their quotes away."""
    found = {"price_usd": Finding(change=price)}
    assert content.stays_out(found, {"price_usd"}, set(), accepted=False, rejected=True) is out
    assert content.stays_out(found, {"price_usd"}, set(), accepted=False) is (price is Change.CERTAIN)


def market(count: int, off: int, factor: str, *, days: float = 0, name: str = "price_usd") -> list[Normalised]:
    """So many coins, `off` of them so many times what they were, all of them so many days later."""
    told = items(count, **{name: factor})[:off] + items(count)[off:]
    at = NOON + timedelta(days=days)
    return [evolve(each, quote=evolve(each.quote, observed_at=at)) for each in told]  # type: ignore[arg-type]


# Coins, how many of them are off, by what, days since they were read; and whether that is told of, and kept out.
MARKETS = [
    (market(40, 13, "1000"), Change.CERTAIN), (market(40, 8, "0.01"), Change.CERTAIN),
    (market(15, 5, "100"), Change.CERTAIN), (market(40, 8, "100", days=29), Change.CERTAIN),
    (market(40, 7, "1000"), Change.DOUBTFUL), (market(40, 5, "12", days=1), Change.DOUBTFUL),
    # New coins lose all within a day, each at its own pace.
    ([*(market(40, number, f"0.0{7 - number}")[number - 1] for number in range(1, 7)), *items(40)[6:]], Change.NONE),
    # Volatile: a third of all lose nine tenths, or win as much, within a day; one is in ten lost all within a month.
    (market(40, 13, "0.1"), Change.NONE), (market(40, 19, "9.5"), Change.NONE),
    (market(40, 7, "0.001", days=20), Change.NONE), (market(40, 19, "0.02", days=90), Change.NONE),
    # Redenominated, or mad: four of them; so is one of five whose prices are all but its own.
    (market(40, 4, "1000000"), Change.NONE), (market(9, 4, "0.001"), Change.NONE),
]  # fmt: skip


@pytest.mark.parametrize(("given", "change"), MARKETS)
def test_part_of_the_coins_is_told_of_when_no_market_explains_it(given: list[Normalised], change: Change) -> None:
    """By so many of them, so far off and so soon: the labelled corpus raises nothing false."""
    assert changes(given)["price_usd"] is change


def test_part_of_the_volumes_is_told_of_when_they_move_one_way() -> None:
    """Those that swing both ways are the weather of small coins."""
    one_way = market(40, 13, "1000", name="volume_24h_usd")
    both = items(10, volume_24h_usd="100") + items(20, volume_24h_usd="0.01")[10:] + items(40)[20:]
    assert [changes(each)["volume_24h_usd"] for each in (one_way, both)] == [Change.CERTAIN, Change.NONE]
    assert changes(market(40, 5, "20", name="volume_24h_usd"))["volume_24h_usd"] is Change.NONE


def test_part_of_the_coins_stays_told_of_when_it_was_doubted_before() -> None:
    """However long nobody decides about it."""
    given = market(40, 13, "1000", days=90)
    found = [changes(given, doubted=frozenset(doubted))["price_usd"] for doubted in ((), {"price_usd"})]
    assert found == [Change.NONE, Change.CERTAIN]


@pytest.mark.parametrize(
    ("late", "days", "change"), [(6, 2, Change.CERTAIN), (5, 400, Change.NONE), (10, 1, Change.NONE)]
)
def test_times_are_others_when_most_lie_ahead_of_now(late: int, days: int, change: Change) -> None:
    """A few records of the future are kept as they are; in files, a forecast may stand."""
    given = market(10, 0, "1", days=days)[:late] + items(10)[late:]
    assert changes(given)["observed_at"] is change
    assert "observed_at" not in changes(given, whole=False)
    known = {key: evolve(each, valued_at=NOON + timedelta(days=days)) for key, each in KNOWN.items()}
    assert changes(given, known=known)["observed_at"] is (Change.NONE if days > 1 else change)


@pytest.mark.parametrize(("minutes", "change"), [(20, Change.NONE), (30, Change.DOUBTFUL), (-600, Change.NONE)])
def test_times_are_doubtful_when_most_lie_before_what_is_known(minutes: int, change: Change) -> None:
    """A time zone off the way; a cache is some minutes behind at most."""
    assert changes(market(10, 0, "1", days=-minutes / 1440))["observed_at"] is change


def test_held_fields_are_others_until_some_listing_tells() -> None:
    """While records are kept out for their values, one row is enough, and none that is known is no proof."""
    held = {"doubted": frozenset({"price_usd"}), "held": frozenset({"price_usd"})}
    for factor, change in (("1000", Change.CERTAIN), ("1", Change.NONE)):
        assert changes(items(1, price_usd=factor), whole=False, **held)["price_usd"] is change
    assert changes(items(1), known={}, whole=False, **held) == {"price_usd": Change.CERTAIN}
    assert changes(items(1), known={}, whole=False) == {}
    found = changes(items(9), doubted=frozenset({"observed_at"}), held=frozenset({"observed_at"}))
    assert found["observed_at"] is Change.NONE
    assert changes(spoiled(10)[:5], known={}, whole=False, **held) == {}
