"""How invented coins are called: names from syllables, symbols from names, ids from both.

Everything follows from `chance`, a number drawn from its arguments alone, so that a seed gives the same coins on every
machine and every Python.
"""

import hashlib
import re
from collections.abc import Sequence, Set
from typing import NamedTuple, TypeVar

T = TypeVar("T")

# Syllables, separated by spaces.
_FIRST = (
    "Al Ar Bel Bor Cal Cor Dar Del El Fal Fen Gal Har Hel Ir Jun Kal Kor Lor Lum Mar Mel Mir Nar Nel Nov Or Pal "
    "Per Quo Ral Rin Sal Sol Tal Tor Ul Val Vor Wen Xan Yar Zel Zor"
)
_MIDDLE = "a ba da do fi ga ko la li lo ma mi na no pa ra ri ro sa ta ti to va ve vi za"
_LAST = "ber dex don dra gen lar lith lux mar mon nex nia nis nor phi ra ris ron sis tar tek thos tis tra vex xis"
_KIND = ("Coin", "Token", "Finance", "Network", "Protocol", "Swap", "DAO", "Chain", "Inu", "Labs", "AI", "World")
_WRAPPING = ("Bridged", "Wrapped", "Staked", "Synthetic")


class Odd(NamedTuple):
    """A coin of one upstream alone whose id, symbol or name is a trial for whoever reads it."""

    id: str
    symbol: str
    name: str
    price: float | None = None
    circulating: float | None = None


# Shapes that recorded CoinGecko coins have: brackets, spaces, digits only, a leading dash, emoji, huge supplies.
ODD_COINGECKO = (
    Odd("nimbus-[old]", "NMB", "Nimbus [OLD]"),
    Odd("lunaria token", "LNRT", 'Lunaria "Token", the first'),
    Odd("74210", "74210", "74210"),
    Odd("-19", "NEG", "-19"),
    Odd("snake_case", "SNK", "Snake_Case"),
    Odd("koala-grove", "KOALA🐨", "Koala Grove 🐨"),
    Odd("gruesse", "GRÜSSE", "Grüße"),
    Odd("dust-of-stars", "DUST", "Dust of Stars", 4.1e-18, 9.999999999999999e24),
    Odd("grain-of-sand-reserve", "GSR", "Grain of Sand Reserve", 3.2e7, 1.4e-5),
)
# CoinPaprika's: outer spaces, a dollar sign, an id that keeps the symbol a coin was born with.
ODD_COINPAPRIKA = (
    Odd("klm-kelimar", "KLM ", "Kelimar"),
    Odd("qhb-quiet-harbor", "QHB", " Quiet Harbor"),
    Odd("yak-yak-on-chain", "$YAK", "Yak on Chain"),
    Odd("pln-palanor-finance", "PNRF", "Palanor Finance"),
    Odd("lol9-lorolar", "LOL", "Lorolar"),
)


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts and on nothing else."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def pick(choices: Sequence[T], *parts: object) -> T:
    """One of the choices, drawn from the parts."""
    return choices[int(chance(*parts) * len(choices))]


def invent(seed: int, index: int, taken: Set[str]) -> str:
    """A name for the coin with this index; `taken` holds names in lower case that it must not repeat."""
    attempt = 0
    while True:
        key = (seed, "name", index, attempt)
        middle = pick(_MIDDLE.split(), *key, "middle") if chance(*key, "long") < 0.6 else ""
        name = pick(_FIRST.split(), *key, "first") + middle + pick(_LAST.split(), *key, "last")
        if chance(*key, "kind") < 0.45 or attempt > 3:
            name += " " + pick(_KIND, *key, "which kind")
        if name.lower() not in taken:
            return name
        attempt += 1


def wrap(seed: int, index: int, name: str) -> str:
    """What a coin that borrows another one's ticker calls itself: Bridged Tether (Valadex)."""
    return f"{pick(_WRAPPING, seed, 'wrap', index)} {name} ({invent(seed, index, frozenset())})"


def abbreviate(seed: int, index: int, name: str) -> str:
    """A ticker of three to five capitals for this name; different names may get the same one."""
    word = re.sub(r"[^A-Za-z]", "", name).upper()
    consonants = word[0] + re.sub(r"[AEIOU]", "", word[1:])
    letters = consonants if chance(seed, "symbol", index) < 0.7 else word
    length = 3 + int(chance(seed, "length", index) * 3)
    return (letters + word)[: max(length, 3)]


def slug(text: str) -> str:
    """Lower case, with one dash for everything that is not a letter or digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "coin"


def unused(wanted: str, taken: Set[str]) -> str:
    """`wanted`, or with the first number behind it that is not taken."""
    found, number = wanted, 2
    while found in taken:
        found, number = f"{wanted}-{number}", number + 1
    return found
