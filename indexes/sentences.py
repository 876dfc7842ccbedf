"""Where the sentences of a text begin and end.

A sentence ends at a mark such as `.`, `!`, `?`, `।` or `؟` with its closing quotes, when white
space follows; at `。`, `！` or `？` even without; and at a blank line or in front of a list item.
It does not end after an initial, a known abbreviation or a number of a list, nor where the next
word begins in lower case. In doubt two sentences stay one, which damages nothing. The rules fit
text in most scripts; nothing here knows a language, and text is never changed.
"""  # noqa: RUF002

from __future__ import annotations

import re
from collections.abc import Iterator

_CLOSING = "\"'”’»)\\]}」』）】〕〉》"  # noqa: RUF001
_OPENING = "\"'“‘«([{¿¡„‚"  # noqa: RUF001
_BREAK = re.compile(
    r"(?P<line>\n[^\S\n]*\n|\n(?=[^\S\n]*(?:[-*•‣▪]|\d{1,3}[.)])\s))"
    rf"|(?P<mark>[.!?…‽।॥؟۔։።]+[{_CLOSING}]*)"  # noqa: RUF001
    rf"|[。！？｡]+[{_CLOSING}]*"  # noqa: RUF001
)
_LONGEST_ABBREVIATION = 24
_DOTTED = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|\d{1,2}")
_ABBREVIATIONS = (
    "mr mrs ms dr prof rev gen col capt lt sgt maj cmdr adm gov sen rep pres hon messrs st ste mt "
    "ft jr sr vs cf ca approx al viz inc ltd co corp bros dept univ assn est jan feb mar apr jun "
    "jul aug sept sep oct nov dec mme mlle hr fr bzw evtl ggf usw sra srta ing av"
)
# In front of a number only: "He said no." is a sentence.
_BEFORE_NUMBERS = "no nos nr vol vols pp ch chap sec fig figs eq eqs art tab bd"
_ALWAYS_WHOLE = frozenset(_ABBREVIATIONS.split())
_WHOLE_BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS.split())


def sentences_of(text: str) -> Iterator[tuple[int, int]]:
    """The sentences of a text as `text[start:end]`, without the white space around them.

    Together they hold every character of the text that is not white space.
    """
    start = 0
    for found in _BREAK.finditer(text):
        if found["mark"] is not None and not _ends(text, found):
            continue
        yield from _trimmed(text, start, found.end())
        start = found.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    kept = piece.strip()
    if kept:
        begin = start + len(piece) - len(piece.lstrip())
        yield begin, begin + len(kept)


def _ends(text: str, found: re.Match[str]) -> bool:
    """Whether a sentence ends at this mark."""
    end = found.end()
    if end == len(text):
        return True
    if not text[end].isspace():
        return False
    following = _first_letter(text, end)
    if following.islower():
        return False
    if found["mark"][0] != "." or found["mark"].startswith(".."):
        return True
    begin = max(0, found.start() - _LONGEST_ABBREVIATION)
    before = text[begin : found.start()].split()
    if not before or text[found.start() - 1].isspace():
        return True
    word = before[-1].lstrip(_OPENING)
    if _DOTTED.fullmatch(word) or word.lower() in _ALWAYS_WHOLE:
        return False
    return not (word.lower() in _WHOLE_BEFORE_NUMBERS and following.isdigit())


def _first_letter(text: str, position: int) -> str:
    """The first character behind white space and opening quotes; of a few that are looked at."""
    return text[position : position + 40].lstrip().lstrip(_OPENING)[:1]
