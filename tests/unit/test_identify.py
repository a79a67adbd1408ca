"""Which listings are the same asset: one exact rule, no guesses, and no influence of the order of arrival."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro.etl import identify
from kasparro.model import MatchListing

WORDS = st.text(st.sampled_from("abz09"), min_size=1, max_size=6)
PLAIN = st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=4).map(" ".join))


def listing(source, external_id, symbol="BTC", name="Bitcoin", **more):
    """A listing; its number follows from what it is."""
    return MatchListing(
        id=abs(hash((source, external_id))),
        source=source,
        external_id=external_id,
        symbol=symbol,
        name=name,
        asset_id=0,
        **more,
    )


def assets(*listings):
    """The slug and method that every listing gets, by its source and id."""
    names = {each.id: f"{each.source}/{each.external_id}" for each in listings}
    return {names[found.listing_id]: (found.slug, found.method) for found in identify.match(listings)}


def test_listings_are_one_asset_when_symbol_and_name_agree():
    """Case and spacing aside."""
    found = assets(listing("a", "x", "BTC", "Bitcoin"), listing("b", "y", "btc", " BITCOIN "))
    assert found == {"a/x": ("btc-bitcoin", "exact"), "b/y": ("btc-bitcoin", "exact")}


@pytest.mark.parametrize(("symbol", "name"), [("BTC", "Bitcoin Cash"), ("BCH", "Bitcoin"), ("BTC", "Bit coin")])
def test_listings_are_two_assets_when_symbol_or_name_differs(symbol, name):
    """Nothing is guessed."""
    found = assets(listing("a", "x"), listing("b", "y", symbol, name))
    assert found["a/x"] == ("btc-bitcoin", "own")
    assert found["b/y"][0] != "btc-bitcoin"


def test_nobody_is_matched_when_a_source_has_two_of_them():
    """Which of the two the other source means, nobody knows."""
    found = assets(listing("a", "x"), listing("a", "x2"), listing("b", "y"))
    assert found == {"a/x": ("a.x", "ambiguous"), "a/x2": ("a.x2", "ambiguous"), "b/y": ("b.y", "ambiguous")}


def test_listings_are_one_asset_when_a_source_calls_it_by_another_id_now():
    """The one that is superseded stays with it, however often ids changed; two by one change are still two things."""
    old, new, other = listing("a", "x", superseded_by=1), listing("a", "x2"), listing("b", "y")
    assert set(assets(old, new, other).values()) == {("btc-bitcoin", "exact")}
    assert {method for _, method in assets(old, listing("a", "x3", superseded_by=1), new).values()} == {"ambiguous"}
    assert {method for _, method in assets(old, listing("a", "x3", superseded_by=2), new).values()} == {"exact"}


def test_asset_carries_the_names_of_the_first_source_when_spellings_differ():
    """The symbol in capitals, as tickers are written."""
    first, second = identify.match([listing("b", "y", "btc", "BitCoin"), listing("a", "x", "Btc", "Bitcoin")])
    assert (first.symbol, first.name) == (second.symbol, second.name) == ("BTC", "Bitcoin")


GROUP = [
    listing("a", "1", "BTC", "Bitcoin"), listing("b", "2", "btc", "bitcoin"), listing("c", "3", "BTC", "Bitcoin 2"),
    listing("a", "4", "BTC", "Bitcoin 2"), listing("a", "5", "BTC", "bitcoin  2"), listing("b", "6", "BTC", "比特币"),
]  # fmt: skip


def test_order_of_arrival_changes_nothing_when_all_are_known():
    """Every order of the same listings gives the same assets."""
    expected = assets(*GROUP)
    for order in itertools.permutations(GROUP):
        assert assets(*order) == expected


@given(PLAIN, PLAIN)
def test_shared_slugs_differ_when_plain_pairs_do(one, other):
    """Two assets never meet at one address."""
    assert (identify.shared_slug(*one) == identify.shared_slug(*other)) == (one == other)


@given(st.text(), st.text())
def test_shared_slug_is_the_same_when_only_spelling_differs(symbol, name):
    """Case and spacing are no part of it."""
    expected = identify.shared_slug(symbol, name)
    assert identify.shared_slug(f"  {symbol.casefold()}", f"{name.casefold()}\t") == expected


@given(st.text(), st.text(), st.text(min_size=1))
def test_slugs_fit_into_an_address_when_names_are_anything(symbol, name, external_id):
    """ASCII letters, digits, dots and dashes, bounded, and the two kinds apart."""
    shared, own = identify.shared_slug(symbol, name), identify.own_slug("some_source", external_id)
    assert re.fullmatch(r"[a-z0-9-]{1,120}", shared)
    assert re.fullmatch(r"[a-z0-9_.-]{1,150}", own)
    assert shared != own


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b-c"), ("a", "b c")), (("a-b", "c"), ("a", "b c")), (("$", "x"), ("€", "x")), (("", "比"), ("", "特"))],
)
def test_shared_slugs_differ_when_only_signs_do(one, other):
    """What a slug cannot show, its hash does."""
    assert identify.shared_slug(*one) != identify.shared_slug(*other)


@pytest.mark.parametrize(("one", "other"), [("a b", "a-b"), ("A", "a"), ("x.y", "x-y"), ("x" * 90, "x" * 91)])
def test_own_slugs_differ_when_ids_do(one, other):
    """Ids are told apart to the letter."""
    assert identify.own_slug("s", one) != identify.own_slug("s", other)


def test_own_slugs_differ_when_sources_do():
    """The same id elsewhere is another thing."""
    assert identify.own_slug("a", "bitcoin") != identify.own_slug("b", "bitcoin")
