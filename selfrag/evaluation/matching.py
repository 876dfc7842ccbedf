"""Whether a text contains an acceptable answer: normalised, as whole words.

Two spellings are the same when they differ in case, accents, Unicode form, punctuation, the
thousands separators of numbers ("1,230" and "1230"), the writing of initials ("J. J.", "J.J."),
a possessive "'s" or an article in front.
A decimal point is part of its number, so that "3" is not in "3.14". This module knows nothing of
questions, models or passages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_ANSWER_WORDS = 25

_ARTICLES = frozenset({"a", "an", "the"})
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "\u0131": "i", "æ": "ae", "œ": "oe"}
)
_APOSTROPHES = "'\u2018\u2019\u02bb\u02bc\u0060\u00b4"
_POSSESSIVE = re.compile(rf"[{_APOSTROPHES}]s\b")
_JOINERS = re.compile(rf"[{_APOSTROPHES}]")
_THOUSANDS = re.compile(r"(?<=\d)[,\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_INITIALS = re.compile(r"\b([^\W\d_])\. ?(?=[^\W\d_]\.)")
_WORD = re.compile(r"\d+(?:\.\d+)+|\w+")


def normalise(text: str) -> tuple[str, ...]:
    """The words of a text in the form in which they are compared."""
    plain = _THOUSANDS.sub("", text)
    plain = unicodedata.normalize("NFKC", plain).casefold()
    plain = _JOINERS.sub("", _POSSESSIVE.sub("", plain))
    plain = unicodedata.normalize("NFKD", plain)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = _INITIALS.sub(r"\1", plain.translate(_LETTERS))
    return tuple(_WORD.findall(plain))


def contains_answer(text: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers occurs in the text as consecutive whole words.

    An article at the start of an answer is optional. An answer without a word (punctuation
    alone) is never contained.
    """
    words = normalise(text)
    return any(_contains(words, _without_article(normalise(answer))) for answer in answers)


def is_right(text: str, answers: Iterable[str], *, max_words: int = MAX_ANSWER_WORDS) -> bool:
    """Whether a text is short enough (words between blanks) and contains an acceptable answer."""
    return len(text.split()) <= max_words and contains_answer(text, answers)


def _without_article(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if len(words) > 1 and words[0] in _ARTICLES else words


def _contains(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    size = len(wanted)
    if size == 0:
        return False
    return any(words[start : start + size] == wanted for start in range(len(words) - size + 1))
