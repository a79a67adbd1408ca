"""Stage: which listings are the same asset? Decided over whole symbol groups, from scratch, and never by guessing.

One exact rule: listings with the same symbol and name, case and spacing aside, are one asset, when no source has two
such listings, superseded ones aside. The order in which listings arrived changes nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from kasparro.model import Match, MatchListing

# Symbols and names of which a slug says everything: no two different pairs of them give the same slug.
_PLAIN_SYMBOL = re.compile(r"[a-z0-9]{1,20}")
_PLAIN_NAME = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")
_PLAIN_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
# Characters of a slug before its hash: readable in an address, and far below any limit.
_MAX_SLUG_CHARACTERS = 80


def match(listings: Sequence[MatchListing]) -> list[Match]:
    """The asset of every listing given. `listings` must hold whole symbol groups."""
    groups: dict[tuple[str, str], list[MatchListing]] = {}
    for listing in sorted(listings, key=lambda each: (each.source, each.external_id)):
        groups.setdefault(_key(listing), []).append(listing)
    return [found for members in groups.values() for found in _match_group(members)]


def _match_group(members: list[MatchListing]) -> list[Match]:
    if max(Counter((member.source, member.superseded_by) for member in members).values()) > 1:
        # Two things of one source share symbol and name: which of them another source means, nobody knows.
        return [
            _belongs(member, member, own_slug(member.source, member.external_id), "ambiguous") for member in members
        ]
    method = "exact" if len(members) > 1 else "own"
    slug = shared_slug(members[0].symbol, members[0].name)
    return [_belongs(member, members[0], slug, method) for member in members]


def _belongs(member: MatchListing, named_by: MatchListing, slug: str, method: str) -> Match:
    return Match(
        listing_id=member.id,
        slug=slug,
        symbol=named_by.symbol.upper(),
        name=named_by.name,
        method=method,
        confidence=Decimal(1),
    )


def shared_slug(symbol: str, name: str) -> str:
    """The slug of the asset with this symbol and name, such as btc-bitcoin: the same for all spellings of the pair."""
    symbol, name = fold(symbol), fold(name)
    if _PLAIN_SYMBOL.fullmatch(symbol) and _PLAIN_NAME.fullmatch(name) and len(name) <= _MAX_SLUG_CHARACTERS:
        return f"{symbol}-{name.replace(' ', '-')}"
    return f"{_readable(f'{symbol} {name}')}-{_hash(symbol, name)}"


def own_slug(source: str, external_id: str) -> str:
    """The slug of an asset that only this listing belongs to. Its dot keeps it apart from every shared slug."""
    if _PLAIN_ID.fullmatch(external_id) and len(external_id) <= _MAX_SLUG_CHARACTERS:
        return f"{source}.{external_id}"
    return f"{source}.{_readable(external_id)}-{_hash(external_id)}"


def _key(listing: MatchListing) -> tuple[str, str]:
    return fold(listing.symbol), fold(listing.name)


def fold(text: str) -> str:
    """A symbol or name without what spellings differ in: case, and how much white space there is."""
    return " ".join(text.casefold().split())


def _readable(text: str) -> str:
    return _NOT_PLAIN.sub("-", text.casefold()).strip("-")[:_MAX_SLUG_CHARACTERS].strip("-") or "x"


def _hash(*words: str) -> str:
    return hashlib.blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()
