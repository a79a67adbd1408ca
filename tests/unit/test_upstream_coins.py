"""The seeded universe: which coins exist, how they are called, what they cost."""

from collections import Counter

import pytest

from kasparro.upstream import prices, universe
from kasparro.upstream.known import KNOWN

DAY_SECONDS = 86_400


@pytest.fixture(scope="module")
def made():
    return universe.build(7, coinpaprika=2000, coingecko=3010)


def labels(listings):
    return [(listing.symbol.strip().lower(), listing.name.strip().lower()) for listing in listings]


def test_universe_is_the_same_when_made_twice_from_one_seed():
    """A seed alone decides which coins exist."""
    assert universe.build(3, coinpaprika=150, coingecko=200) == universe.build(3, coinpaprika=150, coingecko=200)


def test_universe_is_another_when_the_seed_differs():
    """Two seeds share the well-known coins and little else."""
    first = {listing.name for listing in universe.build(1, coinpaprika=300, coingecko=300).coinpaprika}
    second = {listing.name for listing in universe.build(2, coinpaprika=300, coingecko=300).coinpaprika}
    assert len(KNOWN) <= len(first & second) < 100


@pytest.mark.parametrize(("coinpaprika", "coingecko"), [(1, 1), (1, 40), (60, 5), (2000, 3010)])
def test_universe_has_as_many_coins_as_asked_for_when_sizes_differ(coinpaprika, coingecko):
    """Both upstreams get their number of listings, with ids of their own, whatever the proportion."""
    made = universe.build(1, coinpaprika=coinpaprika, coingecko=coingecko)
    assert len({listing.id for listing in made.coinpaprika}) == coinpaprika
    assert len({listing.id for listing in made.coingecko}) == coingecko


def test_universe_shares_most_assets_when_both_upstreams_list_them(made):
    """Most of CoinPaprika's coins are found in CoinGecko under the same symbol and name, case aside."""
    shared = set(labels(made.coinpaprika)) & set(labels(made.coingecko))
    assert len(shared) > 0.75 * len(made.coinpaprika)


def test_universe_spells_some_shared_names_in_another_case_when_upstreams_differ(made):
    """Matching by name must ignore case to find these."""
    exact = {listing.name for listing in made.coinpaprika} & {listing.name for listing in made.coingecko}
    assert len(exact) < len(set(labels(made.coinpaprika)) & set(labels(made.coingecko)))


@pytest.mark.parametrize("upstream", ["coinpaprika", "coingecko"])
def test_universe_has_shared_tickers_and_few_doubles_when_looked_at_within_one_upstream(made, upstream):
    """Many coins share a ticker under different names; a few share symbol and name and cannot be told apart."""
    found = labels(getattr(made, upstream))
    tickers = Counter(symbol for symbol, _ in found)
    doubles = [label for label, count in Counter(found).items() if count > 1]
    assert sum(count > 1 for count in tickers.values()) > 100
    assert 2 <= len(doubles) <= 30


def test_universe_writes_symbols_in_upper_and_lower_case_when_upstreams_do(made):
    """CoinPaprika's symbols are upper case, CoinGecko's lower case."""
    assert all(listing.symbol == listing.symbol.upper() for listing in made.coinpaprika)
    assert all(listing.symbol == listing.symbol.lower() for listing in made.coingecko)


def test_universe_lists_well_known_coins_under_their_real_ids_when_both_have_them(made):
    """A demo looks real because Bitcoin is called as upstream calls it."""
    assert made.coinpaprika[0].id == "btc-bitcoin"
    assert made.coingecko[0].id == "bitcoin"
    assert "binancecoin" in {listing.id for listing in made.coingecko}


def test_universe_has_ids_that_try_their_reader_when_recorded_ones_did(made):
    """Ids with spaces, brackets, digits only and a leading dash are all there."""
    ids = {listing.id for listing in made.coingecko}
    assert {"lunaria token", "nimbus-[old]", "74210", "-19", "snake_case"} <= ids


def test_price_differs_by_well_under_one_percent_when_two_upstreams_quote_one_asset(made):
    """The upstreams' deviations together stay below a tenth of a percent."""
    for first, second in zip(made.coinpaprika[:50], made.coingecko[:50], strict=True):
        if first.coin != second.coin:
            continue
        for seconds in range(0, 10 * DAY_SECONDS, DAY_SECONDS):
            ratio = prices.price(first, seconds) / prices.price(second, seconds)
            assert abs(ratio - 1) <= 0.0011


def test_price_stays_between_its_extremes_when_years_pass(made):
    """No price exceeds the all-time high or falls below the all-time low."""
    for listing in made.coingecko[::100]:
        walk = [prices.price(listing, day * DAY_SECONDS) for day in range(0, 3000, 7)]
        assert prices.lowest(listing.coin, 0.9) < min(walk) < max(walk) < prices.highest(listing.coin)


def test_price_moves_from_tick_to_tick_when_a_minute_passes(made):
    """A minute changes the price, but by less than a tenth."""
    for listing in made.coingecko[::50]:
        before, after = prices.price(listing, 60_000_000), prices.price(listing, 60_000_060)
        assert before != after
        assert abs(after / before - 1) < 0.1


def test_wrapped_coin_moves_with_its_origin_when_the_market_moves(made):
    """Wrapped Bitcoin costs what Bitcoin costs, at any time."""
    coins = {listing.id: listing.coin for listing in made.coingecko}
    for seconds in range(0, 400 * DAY_SECONDS, 40 * DAY_SECONDS):
        ratio = prices.mid(coins["wrapped-bitcoin"], seconds) / prices.mid(coins["bitcoin"], seconds)
        assert abs(ratio - 1) < 0.01
