"""Which words are coins? Their symbols and names, those that are only so written, and those that are words, too."""

import re
from functools import cache

# Symbols and names that are taken for a coin wherever they stand by themselves.
COINS = {
    "BTC": "Bitcoin", "XBT": "Bitcoin", "ETH": "Ethereum", "USDT": "Tether", "BNB": "", "SOL": "Solana", "XRP": "",
    "USDC": "USD Coin", "ADA": "Cardano", "DOGE": "Dogecoin", "TRX": "TRON", "AVAX": "Avalanche", "SHIB": "Shiba Inu",
    "DOT": "Polkadot", "LINK": "Chainlink", "MATIC": "Polygon", "LTC": "Litecoin", "BCH": "Bitcoin Cash", "DAI": "Dai",
    "UNI": "Uniswap", "XLM": "Stellar", "ATOM": "Cosmos", "XMR": "Monero", "ETC": "Ethereum Classic", "TON": "Toncoin",
    "FIL": "Filecoin", "APT": "Aptos", "ARB": "Arbitrum", "PEPE": "Pepe", "ALGO": "Algorand", "VET": "VeChain",
    "HBAR": "Hedera", "EOS": "", "XTZ": "Tezos", "AAVE": "Aave", "MKR": "Maker", "ZEC": "Zcash", "NEO": "",
    "DASH": "Dash", "XEM": "NEM", "IOTA": "", "KSM": "Kusama", "SUI": "Sui", "NEAR": "NEAR Protocol", "ICP": "",
    "WBTC": "Wrapped Bitcoin", "GRT": "The Graph", "SNX": "Synthetix", "CRV": "Curve DAO", "COMP": "Compound",
}  # fmt: skip
# Those that are words, too: in small letters they are no coin.
_WORDS = frozenset({
    "ADA", "APT", "ARB", "ATOM", "COMP", "DAI", "DASH", "DOT", "ETC", "FIL", "ICP", "LINK", "NEAR", "NEO", "SOL",
    "SUI", "TON", "UNI", "VET",
})  # fmt: skip
# Other symbols of some of them, at exchanges or before they were renamed.
_ALIASES = {"MIOTA": "IOTA", "XDG": "DOGE", "STR": "XLM", "POL": "MATIC", "BCC": "BCH"}
# Coins that are called as if they were pairs.
CALLED_AS_PAIRS = frozenset({
    "ANKRBNB", "ANKRETH", "CBBTC", "CBETH", "CMETH", "EBTC", "EETH", "ENZOBTC", "EZETH", "FBTC", "FRXETH", "HBTC",
    "IBTC", "KBTC", "LBTC", "LSETH", "MBTC", "METH", "OSETH", "PUFETH", "PUMPBTC", "PXETH", "RENBTC", "RETH", "RSETH",
    "SBTC", "SETH", "SFRXETH", "SLISBNB", "SOLVBTC", "STETH", "STBTC", "SWETH", "TBTC", "UNIBTC", "WBETH", "WEETH",
    "WRSETH", "WSTETH", "XSOLVBTC",
})  # fmt: skip


def coin(word: str) -> str:
    """The symbol of a coin that a word is the symbol or name of, BTC for XBT; the word in capitals where it is none."""
    symbol = _ALIASES.get(word.upper(), word.upper())
    title = (COINS.get(symbol) or word).casefold()
    return next((each for each, name in COINS.items() if name.casefold() == title), symbol)


def ticker(coin: str) -> str:
    """A coin without the letters that Kraken puts around some: the XBT of XXBTZUSD."""
    found = re.fullmatch("X([A-Z]{3,4})[XZ]", coin)
    return found[1] if found and found[1] in COINS else coin


def is_coin(word: str) -> bool:
    """Whether a word by itself is a known coin's."""
    return word in COINS or word.upper() in COINS.keys() - _WORDS


def with_symbols(text: str) -> str:
    """A text with the symbols of coins in the place of their names."""
    for symbol, title in COINS.items():
        text = _title(title).sub(f" {symbol} ", text) if title else text
    return text


@cache
def _title(title: str) -> re.Pattern[str]:
    parts = r"[-_. ]".join(map(re.escape, title.split()))
    return re.compile(rf"(?<![A-Za-z]){parts}(?![A-Za-z])", re.IGNORECASE)
