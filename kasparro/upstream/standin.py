"""What the parts of the stand-in share: options, clock, ticks, limits, faults, the request log, and the two upstreams.

One Standin stands behind one WSGI app. Whatever changes in it is safe to use from several threads.
"""

import threading
from collections.abc import Mapping

from attrs import field, frozen

from kasparro import clock as clocks
from kasparro.upstream import faults, limits, requestlog, ticks, universe
from kasparro.upstream.coins import Universe
from kasparro.upstream.options import COINGECKO, COINPAPRIKA, Options


@frozen(kw_only=True)
class Standin:
    """The state of a running stand-in; `stopping` ends slow answers early."""

    options: Options
    clock: clocks.Clock
    ticks: ticks.Ticks
    universe: Universe
    limiters: Mapping[str, limits.Limiter]
    stopping: threading.Event
    board: faults.Board = field(factory=faults.Board)
    log: requestlog.RequestLog = field(factory=requestlog.RequestLog)


def build(options: Options, *, clock: clocks.Clock, stopping: threading.Event) -> Standin:
    """Make the state for these options; takes about half a second for the default number of coins."""
    return Standin(
        options=options,
        clock=clock,
        ticks=ticks.Ticks(clock, tick_seconds=options.tick_seconds, pinned=options.tick),
        universe=universe.build(options.seed, coinpaprika=options.coinpaprika_coins, coingecko=options.coingecko_coins),
        limiters={
            COINPAPRIKA: limits.Limiter(options.coinpaprika_limit),
            COINGECKO: limits.Limiter(options.coingecko_limit),
        },
        stopping=stopping,
    )
