"""Whose key is this, and does it open the door? Keys and plans of both upstreams.

CoinPaprika takes the raw key in Authorization and answers a wrong one with 403. CoinGecko knows two headers (or query
parameters of the same meaning), one a plan; the other plan's is a 400, an absent or unknown key a 401.
"""

from collections.abc import Callable, Mapping

from attrs import frozen

from kasparro.upstream import refusals
from kasparro.upstream.options import COINPAPRIKA, Options

# Header, query parameter, and the refusal's code when it comes to the other plan's host.
_COINGECKO_KEYS = {
    "demo": ("X-Cg-Demo-Api-Key", "x_cg_demo_api_key", 10011),
    "pro": ("X-Cg-Pro-Api-Key", "x_cg_pro_api_key", 10010),
}
KEY_PARAMETERS = frozenset(parameter for _, parameter, _ in _COINGECKO_KEYS.values())


@frozen(kw_only=True)
class Pass:
    """What a request's key came to: the key itself, and the refusal if it does not open."""

    key: str | None
    refusal: refusals.Refusal | None = None


def check(
    upstream: str,
    options: Options,
    header: Callable[[str], str | None],
    parameters: Mapping[str, str],
    *,
    stamp: str,
) -> Pass:
    """Judge the key of a request; `header` looks up a header, `stamp` is the time that refusals carry."""
    if upstream == COINPAPRIKA:
        return _check_coinpaprika(options, header("Authorization"))
    keys = {plan: header(name) or parameters.get(parameter) for plan, (name, parameter, _) in _COINGECKO_KEYS.items()}
    return _check_coingecko(options, keys, stamp)


def mask(key: str | None) -> str | None:
    """A key as a log may show it: its first two characters when that gives little away."""
    if key is None:
        return None
    return f"{key[:2]}***" if len(key) >= 8 else "***"


def _check_coinpaprika(options: Options, key: str | None) -> Pass:
    if key is None:
        missing = refusals.plain(403, "an API key is required") if options.coinpaprika_require_key else None
        return Pass(key=None, refusal=missing)
    # No scheme word: the key is the whole header.
    if " " in key or not _accepted(key, options.coinpaprika_keys):
        return Pass(key=key, refusal=refusals.plain(403, "invalid API key"))
    return Pass(key=key)


def _check_coingecko(options: Options, keys: Mapping[str, str | None], stamp: str) -> Pass:
    plan = options.coingecko_plan
    other = "demo" if plan == "pro" else "pro"
    if keys[other] is not None:
        return Pass(key=keys[other], refusal=refusals.wrong_plan(_COINGECKO_KEYS[other][2], stamp))
    key = keys[plan]
    if key is None:
        required = options.coingecko_require_key or plan == "pro"
        return Pass(key=None, refusal=refusals.missing_key(stamp) if required else None)
    if not _accepted(key, options.coingecko_keys):
        return Pass(key=key, refusal=refusals.missing_key(stamp))
    return Pass(key=key)


def _accepted(key: str, keys: tuple[str, ...]) -> bool:
    return not keys or key in keys
