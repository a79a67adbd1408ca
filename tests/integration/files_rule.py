"""What files say, by the rule alone: some Python beside which the tables are held.

A key shows what was said of it last. A file that says two things of a key in one version says nothing of it; what an
older version said stands until a newer one, or the growth of this one, says something of the same key.
"""

import itertools
from typing import Any

from attrs import define, evolve, field, frozen

HEADER = "symbol,name,note,at,price\n"
AT = "2026-01-02T12:00:00Z"


def row(symbol: str, price: str, note: str = "") -> str:
    """One line, without its end; the price is last, so that it may grow."""
    return f"{symbol},{symbol},{note},{AT},{price}"


@frozen(kw_only=True)
class Said:
    """What one version of a file says of a key: rows, as (note, price), and when the last of them was read."""

    version: int
    rows: frozenset[tuple[str, str]]
    price: str
    when: int

    @property
    def contradicts_itself(self) -> bool:
        """Whether these rows differ."""
        return len({price for _, price in self.rows}) > 1


@frozen(kw_only=True)
class Known:
    """A file as it was read: for good, and the unended rest of it with what was said before that.

    With `reread` it is to be read anew.
    """

    version: int
    ended: str
    rest: str = ""
    reread: bool = False
    before: dict[str, Said] = field(factory=dict)


@define
class Rule:
    """All files that were read, in the order in which they were."""

    rejects: bool = True
    _clock: Any = field(factory=itertools.count)
    _known: dict[str, Known] = field(factory=dict)
    _said: dict[str, dict[str, Said]] = field(factory=dict)

    def read(self, name: str, text: str, *, upto: int | None = None) -> None:
        """A run read this file, to its end or as far as that."""
        known = self._known.get(name)
        if known is not None and len(text) < len(known.ended):
            return
        if known is not None and text == known.ended + known.rest and not known.reread:
            return
        said = self._said.setdefault(name, {})
        places: dict[str, int] = {}
        end = text.rindex("\n") + 1 if upto is None else upto
        if known is not None and text.startswith(known.ended + known.rest) and not known.reread:
            start, version = len(known.ended), known.version
            if known.rest:
                self._said[name] = said = dict(known.before)
        else:
            start, version = len(HEADER), next(self._clock)
            if known is not None and text.startswith(known.ended + known.rest):
                # Read again as it was: what others said since then stands.
                places = {key: each.when for key, each in said.items()}
                again = min(len(known.ended), end)
                self._say(said, version, text[start:again], places)
                start, places = again, places if known.rest == text[again:] else {}
        self._say(said, version, text[start:end])
        before = dict(said)
        rest = text[end:] if upto is None else ""
        self._say(said, version, rest, places)
        self._known[name] = Known(version=version, ended=text[:end], rest=rest, before=before)

    def reread(self) -> None:
        """Every file that is still as it was is read anew by the next run."""
        self._known = {name: evolve(known, reread=True) for name, known in self._known.items()}

    @property
    def rereads(self) -> bool:
        """Whether any file is to be read anew."""
        return any(known.reread for known in self._known.values())

    def _say(self, said: dict[str, Said], version: int, lines: str, places: dict[str, int] | None = None) -> None:
        for line in lines.splitlines():
            symbol, _, note, _, price = line.split(",")
            known, this = said.get(symbol), frozenset({(note, price)})
            rows = known.rows | this if known is not None and known.version == version and self.rejects else this
            when = (places or {}).get(symbol, next(self._clock))
            said[symbol] = Said(version=version, rows=rows, price=price, when=when)

    def quotes(self) -> dict[str, int]:
        """The price of every key that has one."""
        last: dict[str, Said] = {}
        for said in self._said.values():
            for key, each in said.items():
                if not each.contradicts_itself and (key not in last or each.when > last[key].when):
                    last[key] = each
        return {key: int(each.price) for key, each in last.items()}

    def rejections(self) -> set[tuple[str, str, str, str]]:
        """Every record that contradicts others: its file, key, note and price."""
        return {
            (name, key, note, price)
            for name, said in self._said.items()
            for key, each in said.items()
            if each.contradicts_itself
            for note, price in each.rows
        }
