"""The well-known coins, so that a demo looks real: names and ids are facts, the figures are round and made up.

Ids are as each upstream names the coin; the two upstreams' own spellings of a name are levelled here.
"""

from typing import NamedTuple


class Known(NamedTuple):
    """One well-known coin: price in US dollars, supplies in coins.

    `pegged` to one dollar; a `token` lives on another coin's chain; one that `follows` another moves with it.
    """

    symbol: str
    name: str
    coinpaprika_id: str
    coingecko_id: str
    price: float
    circulating: float
    max_supply: float | None
    pegged: bool = False
    token: bool = False
    follows: str = ""


# In the order of their market caps, roughly.
KNOWN = (
    Known("BTC", "Bitcoin", "btc-bitcoin", "bitcoin", 88000.0, 19.9e6, 21e6),
    Known("ETH", "Ethereum", "eth-ethereum", "ethereum", 2900.0, 120.6e6, None),
    Known("USDT", "Tether", "usdt-tether", "tether", 1.0, 150e9, None, pegged=True, token=True),
    Known("XRP", "XRP", "xrp-xrp", "ripple", 2.2, 58.5e9, 100e9),
    Known("BNB", "BNB", "bnb-binance-coin", "binancecoin", 640.0, 141e6, 200e6),
    Known("SOL", "Solana", "sol-solana", "solana", 150.0, 510e6, None),
    Known("USDC", "USDC", "usdc-usd-coin", "usd-coin", 1.0, 60e9, None, pegged=True, token=True),
    Known("DOGE", "Dogecoin", "doge-dogecoin", "dogecoin", 0.19, 148e9, None),
    Known(
        "STETH",
        "Lido Staked Ether",
        "steth-lido-staked-ether",
        "staked-ether",
        2895.0,
        9.3e6,
        None,
        token=True,
        follows="ETH",
    ),
    Known("TRX", "TRON", "trx-tron", "tron", 0.26, 95e9, None),
    Known("ADA", "Cardano", "ada-cardano", "cardano", 0.68, 35.5e9, 45e9),
    Known(
        "WBTC",
        "Wrapped Bitcoin",
        "wbtc-wrapped-bitcoin",
        "wrapped-bitcoin",
        87900.0,
        129e3,
        129e3,
        token=True,
        follows="BTC",
    ),
    Known("LINK", "Chainlink", "link-chainlink", "chainlink", 14.8, 640e6, 1e9, token=True),
    Known("AVAX", "Avalanche", "avax-avalanche", "avalanche-2", 22.0, 415e6, 720e6),
    Known("XLM", "Stellar", "xlm-stellar", "stellar", 0.28, 31e9, 50e9),
    Known("SUI", "Sui", "sui-sui", "sui", 2.6, 3.2e9, 10e9),
    Known("LEO", "LEO Token", "leo-leo-token", "leo-token", 9.3, 924e6, None, token=True),
    Known("LTC", "Litecoin", "ltc-litecoin", "litecoin", 98.0, 75.7e6, 84e6),
    Known("TON", "Toncoin", "ton-toncoin", "the-open-network", 3.1, 2.5e9, None),
    Known("SHIB", "Shiba Inu", "shib-shiba-inu", "shiba-inu", 1.3e-5, 589e12, None, token=True),
    Known("HBAR", "Hedera", "hbar-hedera-hashgraph", "hedera-hashgraph", 0.18, 42e9, 50e9),
    Known("DOT", "Polkadot", "dot-polkadot", "polkadot", 4.4, 1.52e9, None),
    Known("BCH", "Bitcoin Cash", "bch-bitcoin-cash", "bitcoin-cash", 350.0, 19.85e6, 21e6),
    Known("UNI", "Uniswap", "uni-uniswap", "uniswap", 8.6, 600e6, 1e9, token=True),
    Known("DAI", "Dai", "dai-dai", "dai", 1.0, 4.9e9, None, pegged=True, token=True),
    Known("XMR", "Monero", "xmr-monero", "monero", 230.0, 18.45e6, None),
    Known("PEPE", "Pepe", "pepe-pepe", "pepe", 8.4e-6, 420.69e12, 420.69e12, token=True),
    Known("NEAR", "NEAR Protocol", "near-near-protocol", "near", 2.7, 1.2e9, None),
    Known("APT", "Aptos", "apt-aptos", "aptos", 5.6, 600e6, None),
    Known("AAVE", "Aave", "aave-new", "aave", 190.0, 15.1e6, 16e6, token=True),
    Known("ICP", "Internet Computer", "icp-internet-computer", "internet-computer", 5.4, 480e6, None),
    Known("ETC", "Ethereum Classic", "etc-ethereum-classic", "ethereum-classic", 17.5, 151e6, 210.7e6),
    Known("OKB", "OKB", "okb-okb", "okb", 45.0, 60e6, None, token=True),
    Known("MNT", "Mantle", "mnt-mantle", "mantle", 0.8, 3.36e9, None, token=True),
    Known("CRO", "Cronos", "cro-cryptocom-chain", "crypto-com-chain", 0.092, 27e9, 30e9, token=True),
    Known("KAS", "Kaspa", "kas-kaspa", "kaspa", 0.088, 26e9, 28.7e9),
    Known("VET", "VeChain", "vet-vechain", "vechain", 0.025, 86e9, 86.7e9),
    Known("ATOM", "Cosmos Hub", "atom-cosmos", "cosmos", 4.5, 390e6, None),
    Known("FIL", "Filecoin", "fil-filecoin", "filecoin", 2.6, 650e6, 1.96e9),
    Known("ALGO", "Algorand", "algo-algorand", "algorand", 0.19, 8.6e9, 10e9),
    Known("ARB", "Arbitrum", "arb-arbitrum", "arbitrum", 0.35, 4.6e9, None, token=True),
    Known("OP", "Optimism", "op-optimism", "optimism", 0.81, 1.65e9, 4.29e9),
    Known("KCS", "KuCoin", "kcs-kucoin-token", "kucoin-shares", 10.8, 124e6, None, token=True),
    Known("QNT", "Quant", "qnt-quant", "quant-network", 85.0, 14.5e6, 14.6e6, token=True),
    Known("INJ", "Injective", "inj-injective-protocol", "injective-protocol", 10.2, 98e6, None),
    Known("LDO", "Lido DAO", "ldo-lido-dao", "lido-dao", 0.97, 897e6, 1e9, token=True),
    Known("GRT", "The Graph", "grt-the-graph", "the-graph", 0.094, 9.6e9, 10.8e9, token=True),
    Known("STX", "Stacks", "stx-stacks", "blockstack", 0.71, 1.52e9, 1.82e9),
    Known("THETA", "Theta Network", "theta-theta-token", "theta-token", 0.83, 1e9, 1e9),
    Known("XTZ", "Tezos", "xtz-tezos", "tezos", 0.72, 1.04e9, None),
    Known("SAND", "The Sandbox", "sand-the-sandbox", "the-sandbox", 0.27, 2.45e9, 3e9, token=True),
    Known("MANA", "Decentraland", "mana-decentraland", "decentraland", 0.26, 1.94e9, None, token=True),
    Known("ZEC", "Zcash", "zec-zcash", "zcash", 33.0, 15.9e6, 21e6),
    Known("CRV", "Curve DAO", "crv-curve-dao-token", "curve-dao-token", 0.43, 1.3e9, 3.03e9, token=True),
    Known("AXS", "Axie Infinity", "axs-axie-infinity", "axie-infinity", 3.3, 157e6, 270e6, token=True),
    Known("FLOW", "Flow", "flow-flow", "flow", 0.32, 1.55e9, None),
    Known("CHZ", "Chiliz", "chz-chiliz", "chiliz", 0.05, 9.5e9, None, token=True),
    Known("NEO", "NEO", "neo-neo", "neo", 6.5, 70.5e6, 100e6),
    Known("DASH", "Dash", "dash-dash", "dash", 26.0, 12.2e6, 18.9e6),
    Known("1INCH", "1inch", "1inch-1inch", "1inch", 0.21, 1.37e9, 1.5e9, token=True),
)
