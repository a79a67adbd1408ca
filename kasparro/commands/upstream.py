"""`kasparro upstream`: the stand-in for CoinPaprika and CoinGecko alone, to point a source or a test at."""

import argparse

from kasparro.commands import logs
from kasparro.commands.signals import Stop
from kasparro.config import Config
from kasparro.upstream.options import Limit, Options
from kasparro.upstream.server import UpstreamServer


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:
    """Serve until told to stop. Raises ConfigError that names the option."""
    logs.warn(config)
    options = Options(
        seed=args.seed,
        tick=args.tick,
        tick_seconds=args.tick_seconds,
        coinpaprika_coins=args.coinpaprika_coins,
        coingecko_coins=args.coingecko_coins,
        coinpaprika_keys=tuple(args.coinpaprika_key),
        coingecko_keys=tuple(args.coingecko_key),
        coinpaprika_require_key=args.require_keys,
        coingecko_require_key=args.require_keys,
        coingecko_plan=args.coingecko_plan,
        coinpaprika_limit=Limit(requests=args.requests_per_minute),
        coingecko_limit=Limit(requests=args.requests_per_minute),
    )
    with UpstreamServer(options, host=args.host, port=args.port) as server:
        print(f"CoinPaprika  {server.coinpaprika_url}")
        print(f"CoinGecko    {server.coingecko_url}")
        print(f"control      {server.control_url}", flush=True)
        stop.wait()
    return 0
