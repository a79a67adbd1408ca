"""What is in each column of a table? Its type, how its values are written, its words for absent, what its name says."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from kasparro.etl.guess import dates, digits, vocabulary
from kasparro.etl.guess.dates import Times
from kasparro.etl.guess.digits import Numbers
from kasparro.etl.guess.vocabulary import Meaning
from kasparro.etl.source import NULL_WORDS

# Of a column of numbers at least so many are; a few other words in it mean absent.
_MOST = 0.8
_MAX_NULL_WORDS = 3
# Distinct values that are remembered of a column of words.
_MAX_DISTINCT = 2000
_NO_DIGIT = re.compile(r"[^0-9]+")


@frozen(kw_only=True, eq=False)
class Column:
    """A column: `texts` are its values that are not absent. `words` mean absent here and are in no list of such words.

    A few that are `odd`, no times in a column of times, are left out. `kind` is number, time, clock (a time
    of day), text or empty.
    """

    number: int
    name: str
    kind: str
    meaning: Meaning
    texts: tuple[str, ...]
    distinct: tuple[str, ...] = ()
    absent: Mapping[str, int] = field(factory=dict)
    words: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    numbers: Numbers | None = None
    times: Times | None = None

    def score(self, name: str) -> int:
        """How well its name fits a quote field; 0 is not at all."""
        return self.meaning.score(name)


def find(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    """Every column of these rows."""
    return [_column(number, names, [row[number].strip() for row in rows]) for number in range(len(names))]


def called(names: Sequence[str], number: int) -> str:
    """What a header calls a column, without the number that was put behind the name of an earlier one."""
    plain = names[number].rstrip("_").removesuffix(f"_{number + 1}")
    return plain if plain in names[:number] else names[number]


def _column(number: int, names: Sequence[str], cells: Sequence[str]) -> Column:
    name, meaning = names[number], vocabulary.meaning(called(names, number))
    absent = Counter(cell for cell in cells if not cell or cell.casefold() in NULL_WORDS)
    texts = tuple(cell for cell in cells if cell not in absent)
    distinct = tuple(dict.fromkeys(texts))
    kind, words, odd = "text", tuple[str, ...](), tuple[str, ...]()
    numbers = times = None
    if not texts:
        kind = "empty"
    elif dates.is_clock(distinct):
        kind = "clock"
    elif (strange := _strange(distinct, name)) is not None:
        kind, words = "number", strange
        texts = tuple(text for text in texts if text not in strange)
        distinct = tuple(text for text in distinct if text not in strange)
        numbers = digits.find(distinct)
        if meaning.score("observed_at") or not meaning.scores:
            times = dates.find(distinct)
    else:
        times, odd = dates.most(texts)
        if times is not None:
            kind = "time"
            texts = tuple(text for text in texts if text not in odd)
            distinct = tuple(text for text in distinct if text not in odd)
    return Column(
        number=number,
        name=name,
        kind=kind,
        meaning=meaning,
        texts=texts,
        distinct=distinct[:_MAX_DISTINCT],
        absent=absent,
        words=words,
        odd=odd,
        numbers=numbers,
        times=times,
    )


def _strange(distinct: Sequence[str], name: str) -> tuple[str, ...] | None:
    """What is no number in a column of numbers: a few words without a digit, its name none of them.

    None for a column of something else.
    """
    others = []
    for text in distinct:
        if not digits.is_number(text):
            others.append(text)
            if text == name or len(others) > _MAX_NULL_WORDS or not _NO_DIGIT.fullmatch(text):
                return None
    return tuple(others) if len(others) < (1 - _MOST) * len(distinct) or not others else None
