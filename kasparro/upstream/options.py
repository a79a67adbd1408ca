"""What can be set about the stand-in upstreams, with defaults that suit the demo.

Everything is checked when the values are made; a mistake is a ConfigError that names the field.
"""

from datetime import UTC, datetime

from attrs import field, frozen
from attrs.validators import optional

from kasparro.upstream import checks

COINPAPRIKA = "coinpaprika"
COINGECKO = "coingecko"
UPSTREAMS = (COINPAPRIKA, COINGECKO)

# Tick 0. Fixed, so that a pinned tick means the same moment on every machine and on every day.
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
# Seconds. Longer faults and windows would outlive any test that asks for them.
MAX_SECONDS = 3600.0


@frozen(kw_only=True)
class Limit:
    """At most `requests` in any `window_seconds`; None for no limit at all.

    `retry_after` says how a 429 tells when to come back: as seconds, as an HTTP date, or not at all. `body` is json,
    or text for CoinGecko's plain `Throttled`.
    """

    requests: int | None = field(default=None, validator=optional(checks.whole(0)))
    window_seconds: float = field(default=60.0, validator=checks.number(0.001, MAX_SECONDS))
    retry_after: str = field(default="seconds", validator=checks.one_of("seconds", "date", "absent"))
    body: str = field(default="json", validator=checks.one_of("json", "text"))


@frozen(kw_only=True)
class Options:
    """The stand-in's settings.

    `tick` None follows the wall clock, one tick each `tick_seconds`; a number pins it. Without keys every key is
    accepted; with them only those are. CoinGecko's pro plan asks for a key whatever `coingecko_require_key` says.
    """

    seed: int = field(default=1, validator=checks.whole(0))
    tick_seconds: int = field(default=60, validator=checks.whole(1, 86_400))
    tick: int | None = field(default=None, validator=optional(checks.whole(0)))
    # 2,000 is where CoinPaprika's free plan ends; 3,010 leaves a short last page of CoinGecko's 250.
    coinpaprika_coins: int = field(default=2000, validator=checks.whole(1, 50_000))
    coingecko_coins: int = field(default=3010, validator=checks.whole(1, 50_000))
    coinpaprika_keys: tuple[str, ...] = field(default=(), validator=checks.texts(), repr=False)
    coingecko_keys: tuple[str, ...] = field(default=(), validator=checks.texts(), repr=False)
    coinpaprika_require_key: bool = field(default=False, validator=checks.flag())
    coingecko_require_key: bool = field(default=False, validator=checks.flag())
    coingecko_plan: str = field(default="demo", validator=checks.one_of("demo", "pro"))
    coinpaprika_limit: Limit = field(factory=Limit)
    coingecko_limit: Limit = field(factory=Limit)
