"""Cuts documents into passages of about a hundred words, at the ends of sentences.

What counts as a word: a run of characters without white space. In scripts that are written
without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan) two characters count as one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from indexes.errors import InvalidSetting
from indexes.sentences import sentences_of

CHUNK_WORDS = 100

_CLAUSE_ENDS = frozenset(",;:)]—–،؛，；：、")  # noqa: RUF001
_UNSPACED = (
    (0x0E01, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3001, 0x312F),  # punctuation, kana, Bopomofo
    (0x31F0, 0x4DBF),  # kana extensions, Han
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF01, 0xFF9F),  # full-width forms, half-width kana
    (0x20000, 0x323AF),
)


def _unit_pattern() -> re.Pattern[str]:
    unspaced = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED)
    # A piece never begins with a combining mark or a closing mark of these scripts.
    trailing = "".join(
        re.escape(chr(code))
        for first, last in _UNSPACED[:6]
        for code in range(first, last + 1)
        if unicodedata.category(chr(code))[0] == "M" or unicodedata.category(chr(code)) == "Pe"
    )
    trailing += "、。，．！？：；）］｝ー々"  # noqa: RUF001
    return re.compile(f"[^\\s{unspaced}]+[{trailing}]*|[{unspaced}]{{1,2}}[{trailing}]*")


_UNIT = _unit_pattern()


def count_words(text: str) -> int:
    """How many words a text has, as this module counts them."""
    return sum(1 for _ in _UNIT.finditer(text))


def chunks_of(text: str, words: int = CHUNK_WORDS, overlap: int = 0) -> Iterator[str]:
    """Pieces of at most `words` words; see `spans_of`. White space becomes single spaces."""
    for start, end in spans_of(text, words, overlap):
        yield " ".join(text[start:end].split())


def spans_of(text: str, words: int = CHUNK_WORDS, overlap: int = 0) -> Iterator[tuple[int, int]]:
    """Where the pieces of a text stand in it: `text[start:end]`.

    Whole sentences are put together while they fit. A sentence that is longer than `words` is cut
    after a comma or the like in the second half of the room, else between words. Together the
    pieces hold every character that is not white space. A run without any white space, an address
    or encoded bytes, is one word however long it is.

    Args:
        text: any text.
        words: the most words of a piece.
        overlap: how many sentences a piece repeats from the end of the one before it; fewer where
            they leave no room for the next sentence.

    Raises:
        InvalidSetting: `words` is under 1 or `overlap` is negative.
    """
    check_chunking(words, overlap)
    window: list[tuple[int, int, int]] = []
    total = 0
    for piece in _pieces(text, words):
        if window and total + piece[2] > words:
            yield window[0][0], window[-1][1]
            window = window[-overlap:] if overlap else []
            total = sum(count for _, _, count in window)
            while window and total + piece[2] > words:
                total -= window.pop(0)[2]
        window.append(piece)
        total += piece[2]
    if window:
        yield window[0][0], window[-1][1]


def check_chunking(words: int, overlap: int) -> None:
    """Refuse sizes that make no sense.

    Raises:
        InvalidSetting: `words` is under 1 or `overlap` is negative.
    """
    if words < 1:
        raise InvalidSetting(
            f"Passages of {words} words were asked for.", "It must be 1 or more; 100 is usual."
        )
    if overlap < 0:
        raise InvalidSetting(f"The overlap is {overlap} sentences.", "It must be 0 or more.")


def _pieces(text: str, words: int) -> Iterator[tuple[int, int, int]]:
    """Sentences, long ones in parts: start, end and number of words."""
    for start, end in sentences_of(text):
        units = [unit.span() for unit in _UNIT.finditer(text, start, end)]
        first = 0
        while len(units) - first > words:
            cut = _cut(text, units, first, words)
            yield units[first][0], units[cut - 1][1], cut - first
            first = cut
        yield units[first][0], units[-1][1], len(units) - first


def _cut(text: str, units: list[tuple[int, int]], first: int, words: int) -> int:
    """The number of the unit in front of which a long sentence is cut."""
    choices = range(first + words, first + words // 2, -1)
    for cut in choices:
        if text[units[cut - 1][1] - 1] in _CLAUSE_ENDS:
            return cut
    for cut in choices:
        if units[cut][0] > units[cut - 1][1]:
            return cut
    return first + words
