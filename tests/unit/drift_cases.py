"""The labelled corpus of what happens to field names: which change is a rename, and which only looks like one.

Each case has the field that is gone, the one that came, and what the values of both are: `same` for the values of the
old field, or the name of a series. All series, and all names, are made up.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """`old` vanished and `new` appeared, with values of `before` and `after`; `is_rename` is the label."""

    old: str
    new: str
    before: str
    after: str
    is_rename: bool


def _renames(series: str, old: str, *names: str) -> list[Case]:
    return [Case(old, new, series, series, is_rename=True) for new in names]


def _decoys(series: str, old: str, *pairs: tuple[str, str]) -> list[Case]:
    return [Case(old, new, series, after, is_rename=False) for new, after in pairs]


CASES = [
    # Case and separators.
    *_renames(
        "price", "current_price", "currentPrice", "CurrentPrice", "CURRENT_PRICE", "current-price", "current price"
    ),
    *_renames("cap", "market_cap", "marketCap", "MarketCap", "marketcap", "market.cap", "Market Cap", "market-cap"),
    *_renames("volume", "total_volume", "totalVolume", "total-volume", "TotalVolume"),
    *_renames("time", "last_updated", "lastUpdated", "LastUpdated", "lastupdated", "last-updated"),
    *_renames("percent", "price_change_percentage_24h", "priceChangePercentage24h", "price_change_percentage_24H"),
    *_renames("supply", "circulating_supply", "circulatingSupply", "CirculatingSupply", "circulating-supply"),
    *_renames("high", "high_24h", "high24h", "High24H", "24hHigh"),
    # Synonyms, abbreviations, words that add nothing, and the currency that is meant anyway.
    *_renames("price", "current_price", "price", "last_price", "latest_price", "price_usd", "priceUsd", "px_last"),
    *_renames("cap", "market_cap", "mcap", "market_cap_usd", "marketCapitalization", "mkt_cap", "cap"),
    *_renames("volume", "total_volume", "volume", "volume_24h", "vol_24h", "volume24h", "turnover_24h"),
    *_renames("time", "last_updated", "updated_at", "updated", "timestamp", "last_update", "modified_at"),
    *_renames("percent", "price_change_percentage_24h", "percent_change_24h", "pct_change_24h", "change_24h_percent"),
    *_renames("supply", "circulating_supply", "circ_supply", "supply_circulating", "available_supply"),
    *_renames("symbol", "symbol", "ticker", "Symbol", "coin_symbol", "symbols"),
    *_renames("name", "name", "title", "coin_name", "Name"),
    *_renames("id", "id", "coin_id", "ID", "asset_id", "identifier"),
    *_renames("rank", "market_cap_rank", "marketCapRank", "market_cap_ranking", "mcap_rank"),
    # Nesting.
    *_renames("price", "quotes.USD.price", "quote.usd.price", "price_usd", "quotes.USD.Price", "market_data.price_usd"),
    *_renames("price", "price", "quote.price", "market_data.current_price", "price.usd"),
    *_renames("cap", "quotes.USD.market_cap", "market_cap_usd", "quote.USD.marketCap", "market_cap.usd"),
    *_renames("volume", "total_volume", "market_data.total_volume", "total_volume.usd"),
    *_renames("cap", "market_cap.value", "market_cap", "mcap"),
    *_renames("volume", "total_volume.usd", "total_volume.latest"),
    # What only somebody who knows could tell.
    *_renames("price", "current_price", "worth", "cost"),
    *_renames("symbol", "symbol", "code"),
    *_renames("id", "id", "slug"),
    *_renames("name", "name", "full_name"),
    *_renames("cap", "market_cap", "capitalised_value"),
    # Another currency, another time, another side: the names say so, whatever the values look like.
    *_decoys("price", "price_usd", ("price_eur", "price"), ("price_btc", "small"), ("price_gbp", "price")),
    *_decoys("price", "current_price", ("price_eur", "price"), ("previous_price", "price"), ("ath_price", "price")),
    *_decoys("price", "quotes.USD.price", ("quotes.EUR.price", "price"), ("quotes.BTC.price", "small")),
    *_decoys("high", "high_24h", ("low_24h", "price"), ("high_7d", "high"), ("ath", "high"), ("avg_24h", "high")),
    *_decoys("percent", "percent_change_24h", ("percent_change_7d", "percent"), ("percent_change_1h", "percent")),
    *_decoys("percent", "percent_change_24h", ("volume_24h_change_24h", "percent"), ("price_change_24h", "price")),
    *_decoys("volume", "total_volume", ("volume_7d", "volume"), ("volume_change_24h", "percent"), ("trades", "rank")),
    *_decoys(
        "supply", "circulating_supply", ("total_supply", "supply"), ("max_supply", "supply"), ("supply", "supply")
    ),
    # A field of a field, or something else beside it.
    *_decoys(
        "cap", "market_cap", ("market_cap_rank", "rank"), ("market_cap_change_24h", "percent"), ("cap_btc", "cap")
    ),
    *_decoys("cap", "market_cap", ("fully_diluted_market_cap", "cap"), ("market_dominance", "percent")),
    *_decoys("time", "last_updated", ("ath_date", "time"), ("created_at", "time"), ("first_data_at", "time")),
    *_decoys("rank", "market_cap_rank", ("rank_change", "percent"), ("volume_rank", "rank"), ("trust_score", "rank")),
    *_decoys("name", "name", ("image", "url"), ("platform_name", "name"), ("base_currency", "symbol")),
    *_decoys("symbol", "symbol", ("base_symbol", "symbol"), ("image", "url"), ("quote_currency", "symbol")),
    *_decoys("id", "id", ("platform_id", "id"), ("image", "url"), ("rank", "rank")),
    # The currency is said no more: it may be another one, whatever the values look like.
    *_decoys("price", "price_usd", ("price", "euros"), ("Price", "sevenfold"), ("last_price", "tenfold")),
    *_decoys("price", "quotes.USD.price", ("quotes.price", "euros"), ("price", "sevenfold"), ("quote.price", "price")),
    # The name is right, the values are another field's: swapped columns, other units, another type.
    *_decoys("price", "current_price", ("price", "cap"), ("price_usd", "volume"), ("currentPrice", "percent")),
    *_decoys("price", "price", ("price_usd", "cents"), ("priceUsd", "rank"), ("last_price", "symbol")),
    *_decoys("cap", "market_cap", ("marketCap", "price"), ("mcap", "thousandths"), ("market_cap_usd", "percent")),
    *_decoys("volume", "total_volume", ("volume", "price"), ("volume_24h", "percent"), ("totalVolume", "time")),
    *_decoys("time", "last_updated", ("updated", "symbol"), ("timestamp", "price"), ("updated_at", "url")),
    *_decoys("symbol", "symbol", ("ticker", "url"), ("symbols", "list"), ("coin_symbol", "price")),
]
