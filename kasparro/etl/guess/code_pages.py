"""Which letters are these bytes? Encodings that a text may have that is no UTF-8, and whether western Europe's is sure.

Nearly any bytes are letters in any of them: what could be read in two ways is for a person, who knows the words.
"""

import codecs
import re
import unicodedata

from attrs import frozen

from kasparro.etl.guess import vocabulary

WESTERN = "cp1252"
# The most usual first. Of two that give the same text the second is left out.
_PAGES = (
    WESTERN, "cp1250", "iso8859-2", "cp1251", "koi8-r", "cp1254", "cp1253", "mac-roman", "cp850", "shift_jis",
    "gb18030", "big5", "euc_kr", "euc_jp",
)  # fmt: skip
_SHOWN = 5
# Bytes that are no ASCII, in what may be a word; three in a row stand in no text of western Europe.
_WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff ]{0,30}")
_RUN = re.compile(rb"[\x80-\xff]{3}")
# A sign between letters, but for those that may stand there: an apostrophe, dashes, a space.
_SIGN_INSIDE = re.compile(
    "[^\\W\\d_](?:[^\\w\\s\x00-\x7f\u2019\u2018\u2013\u2014\xb7]|[\xb2\xb3\xb9\xbc-\xbe])[^\\W\\d_]"
)
_EAST = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA", "FULLWIDTH", "IDEOGRAPHIC"}
# Lines that are searched for names of columns that are known, and words that are judged.
_HEADER_LINES, _JUDGED_WORDS = 5, 300


@frozen(kw_only=True)
class Reading:
    """One encoding, and what a word of the text is in it."""

    name: str
    word: str


def readings(head: bytes, *, whole: bool) -> list[Reading]:
    """The encodings in which all of a text is one, the likeliest first; `whole`: its last character is, too."""
    word = _WORD.search(head)
    found = dict[str, str]()
    for name in _PAGES:
        try:
            text = codecs.getincrementaldecoder(name)().decode(head, final=whole)
        except UnicodeDecodeError:
            continue
        if text not in found.values() and _has_words(text):
            found[name] = text
    likely = sorted(found, key=lambda name: (-_known(found[name]), _odd(found[name])))
    shown = word[0].strip() if word else b""
    return [Reading(name=name, word=shown.decode(name, "replace")) for name in likely[:_SHOWN]]


def is_western(head: bytes) -> bool:
    """Whether a text is surely that: its letters are the same in central Europe's, or a name of a column proves it."""
    try:
        text = head.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    if _RUN.search(head) or _SIGN_INSIDE.search(text):
        return False
    letters = {sign for sign in text if not sign.isascii() and sign.isalpha()}
    central = {sign for sign in letters if sign.encode(WESTERN).decode("cp1250", "replace") != sign}
    return not central or any(_proves(cell) for cell in _header_cells(text))


def _proves(cell: str) -> bool:
    """Whether a cell is a known name, with letters that make it none, or the same, in central Europe."""
    other = cell.encode(WESTERN).decode("cp1250", "replace")
    return not cell.isascii() and bool(_scores(cell)) and (other == cell or not _scores(other))


def _known(text: str) -> int:
    return sum(not cell.isascii() and bool(_scores(cell)) for cell in _header_cells(text))


def _scores(cell: str) -> object:
    return vocabulary.meaning(cell).scores


def _header_cells(text: str) -> list[str]:
    return re.split(r"[,;\t|\r\n]+", "\n".join(text.splitlines()[:_HEADER_LINES]).replace('"', ""))


def _has_words(text: str) -> bool:
    """Whether its words are of one script each, and none has a sign in it."""
    words = re.findall(r"\w*[^\W\d_\x00-\x7f]\w*", text)[:_JUDGED_WORDS]
    if _SIGN_INSIDE.search(text) or re.search("[\x80-\x9f]", text):
        return False
    return all(len(_scripts(word)) == 1 for word in words) and bool(words)


def _scripts(word: str) -> set[str]:
    scripts = {unicodedata.name(sign, "?").partition(" ")[0] for sign in word if sign.isalpha()}
    return scripts - _EAST | ({"CJK"} if scripts & _EAST else set())


def _odd(text: str) -> int:
    """Letters with marks that stand in rows, as no language writes them, but other scripts read in the wrong way."""
    return len(re.findall("[\xc0-\u024f]{3}", text[:20_000]))
