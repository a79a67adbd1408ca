"""Which asset a listing belongs to after runs: decided over whole symbol groups, whatever came first."""

import itertools
from concurrent.futures import ThreadPoolExecutor

from etl_fixtures import HOUR, LONG, NOON, page, record, source

from kasparro.store import drift_decisions

pytest_plugins = ("etl_checks",)

PAPRIKA, GECKO = source("coinpaprika"), source("coingecko")


def coin(external_id, symbol, name, **more):
    """A record of a coin with these names."""
    return record(external_id, symbol=symbol, name=name, **more)


def assets(etl):
    """The slug and method of every listing, by source and id; nothing is left to match, no asset without a listing."""
    assert etl.rows("select * from symbols_to_match") == []
    assert etl.rows("select slug from assets a where not exists (select from listings l where l.asset_id = a.id)") == []
    query = "select l.source, external_id, slug, match_method from listings l join assets a on a.id = asset_id"
    return {(name, external_id): (slug, method) for name, external_id, slug, method in etl.rows(query)}


def test_listings_of_two_sources_are_one_asset_when_symbol_and_name_agree(etl):
    """The asset that was the second one's own is gone."""
    etl.run(page(coin("btc-bitcoin", "BTC", "Bitcoin")), of=PAPRIKA)
    assert assets(etl) == {("coinpaprika", "btc-bitcoin"): ("btc-bitcoin", "own")}
    etl.run(page(coin("bitcoin", "btc", "bitcoin")), of=GECKO)
    assert assets(etl) == {
        ("coinpaprika", "btc-bitcoin"): ("btc-bitcoin", "exact"),
        ("coingecko", "bitcoin"): ("btc-bitcoin", "exact"),
    }
    assert etl.rows("select slug, symbol, name from assets") == [("btc-bitcoin", "BTC", "bitcoin")]


def test_listings_are_told_apart_when_a_source_gets_a_second_one_of_the_name(etl):
    """What was one asset is three, and one again when the name goes away."""
    etl.run(page(coin("a", "X", "Token")), of=PAPRIKA)
    etl.run(page(coin("b", "X", "Token")), of=GECKO)
    etl.run(page(coin("c", "X", "Token")), of=GECKO)
    assert {slug for slug, _ in assets(etl).values()} == {"coinpaprika.a", "coingecko.b", "coingecko.c"}
    etl.run(page(coin("c", "X", "Other", at=NOON + HOUR)), of=GECKO)
    found = assets(etl)
    assert found["coinpaprika", "a"] == found["coingecko", "b"] == ("x-token", "exact")
    assert found["coingecko", "c"] == ("x-other", "own")


def decide(etl, what):
    """Decide about the only drift, and let the other source have all that is new matched."""
    with etl.database.transaction() as conn:
        what(conn, etl.value("select id from drifts"))
    etl.run(page(), of=GECKO)


def test_assets_stay_whole_when_a_source_changes_its_ids_and_goes_back(etl):
    """Accepted, the old listings are superseded, rejected, the new ones: once they were quoted, nothing falls apart."""

    def coins(prefix, hours):
        return page(*(coin(f"{prefix}{n}", f"S{n}", f"Coin {n}", at=NOON + hours * HOUR) for n in range(12)))

    expected = {(f"s{n}-coin-{n}", "exact") for n in range(12)}
    for each in (PAPRIKA, GECKO):
        etl.run(coins("old", 0), of=each)
    etl.run(coins("new", 1), of=PAPRIKA)
    decisions = (drift_decisions.accept, "new"), (drift_decisions.reject, "old"), (drift_decisions.accept, "new")
    for hours, (decision, prefix) in enumerate(decisions, start=2):
        decide(etl, decision)
        assert {*assets(etl).values()} == expected
        assert etl.run(coins(prefix, hours), of=PAPRIKA).counts.inserted == 12
        assert {*assets(etl).values()} == expected
    etl.replayable = False


def test_both_symbol_groups_are_matched_anew_when_a_listing_is_renamed(etl):
    """It leaves its old asset and finds its new one; its quotes stay where they are."""
    etl.run(page(coin("luna", "LUNA", "Terra"), coin("luna2", "LUNA2", "Terra 2")), of=PAPRIKA)
    etl.run(page(coin("terra", "LUNA", "Terra")), of=GECKO)
    etl.run(page(coin("terra", "LUNA2", "Terra 2", at=NOON + HOUR)), of=GECKO)
    found = assets(etl)
    assert found["coingecko", "terra"] == found["coinpaprika", "luna2"] == ("luna2-terra-2", "exact")
    assert found["coinpaprika", "luna"] == ("luna-terra", "own")
    assert len(etl.quotes()) == 4


def test_white_space_makes_no_other_group_when_symbols_differ_in_it(etl):
    """Two listings of one source that differ in nothing else are ambiguous, whichever are matched together."""
    etl.run(page(coin("a", "A B", "Name"), coin("b", "A  B", "Name")), of=PAPRIKA)
    etl.run(page(coin("c", "a b", "name")), of=GECKO)
    assert {method for _, method in assets(etl).values()} == {"ambiguous"}


LOADS = [
    (PAPRIKA, [coin("1", "BTC", "Bitcoin"), coin("2", "BTC", "Bitcoin X"), coin("3", "Ä", "ß"), coin("4", "T", "Tok")]),
    (GECKO, [coin("5", "btc", "BITCOIN"), coin("6", "T", "Tok"), coin("7", "T", "tok")]),
    (source("csv"), [coin("8", "BTC", "Bitcoin"), coin("9", "ä", "SS"), coin("0", "T", "Tok")]),
]


def test_order_of_arrival_changes_nothing_when_sources_load_in_any_order(etl):
    """The same listings give the same assets, however they came."""
    found = []
    for number, order in enumerate(itertools.permutations(LOADS)):
        etl.empty()
        for each, records in order:
            etl.run(page(*records[:: -1 if number % 2 else 1]), of=each, batch_records=1 + number % 3)
        found.append(assets(etl))
    assert all(each == found[0] for each in found)
    assert found[0]["coingecko", "5"] == ("btc-bitcoin", "exact")
    assert found[0]["csv", "0"] == ("csv.0", "ambiguous")


def test_nothing_is_written_when_matching_finds_the_same_again(etl):
    """A group that is looked at again leaves listings and assets untouched."""
    for each, records in LOADS:
        etl.run(page(*records), of=each)
    before = etl.writes()
    etl.conn.execute("insert into symbols_to_match select distinct source, symbol_key from listings")
    etl.run(page(), of=PAPRIKA)
    assert assets(etl)
    assert etl.writes() == before


def test_all_groups_are_matched_when_there_are_more_than_fit_in_one_transaction(etl):
    """Some thousand new coins in one run."""
    etl.run(page(*(coin(f"c{number}", f"S{number}", "Same") for number in range(1300))), of=PAPRIKA)
    assert len({slug for slug, _ in assets(etl).values()}) == 1300


def batch(number, turn):
    """What both sources say in a round: some coins they share, some ambiguous ones, and some that are renamed."""
    shared = [coin(f"s{turn}-{each}", f"S{turn}{each}", f"Coin {each}") for each in range(12)]
    twice = [coin(f"t{turn}-{each}", f"T{turn}", "Twin") for each in range(1 + number)]
    renamed = [coin("r", f"R{turn % 3}", "Renamed", at=NOON + turn * HOUR)]
    return page(*shared[:6], *twice, last=False), page(*shared[6:], *renamed)


def test_assets_are_those_of_a_serial_load_when_two_sources_load_at_once(etl):
    """Whatever batch and matching overlap, after both nothing is left unmatched."""
    rounds = range(20)
    with ThreadPoolExecutor(2) as pool:
        for turn in rounds:
            loads = [
                pool.submit(etl.run, *batch(number, turn), of=each, batch_records=6)
                for number, each in enumerate((PAPRIKA, GECKO))
            ]
            assert all(load.result(LONG).counts.read > 12 for load in loads)
            assets(etl)
    together = assets(etl)
    etl.empty()
    for number, each in enumerate((PAPRIKA, GECKO)):
        etl.run(*(part for turn in rounds for part in batch(number, turn)), of=each)
    assert together == assets(etl)
