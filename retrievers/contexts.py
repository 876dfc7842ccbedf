"""How near words of a question stand to the names that a passage mentions.

"directed by Ada Brook" counts for a question for the director, "stars Tom Reed" does not. Words
are compared by their first letters. This module knows texts and places in them, no graph.
"""

from __future__ import annotations

from collections.abc import Iterator

from indexes.graph_names import words_of
from indexes.words import ENGLISH_STOPWORDS

_STEM_LETTERS = 5
_OUTSIDE = frozenset({"film", "movie"})
"""Words of many questions that name the sort of thing meant, and so say little about relations."""


def nearness(text: str, place: int, before: int, after: int, wanted: set[str]) -> float:
    """How near the wanted stems stand to a place in a text: the sum over them of 0 to 1.

    Args:
        text: what is looked at.
        place: where the name begins, in characters.
        before, after: how many characters beside it are looked at.
        wanted: see `stems`.
    """
    beside = _stems_before(text[max(0, place - before) : place])
    for stem, near in _stems_after(text[place : place + after]).items():
        beside[stem] = max(near, beside.get(stem, 0.0))
    return sum(near for stem, near in beside.items() if stem in wanted)


def stems(text: str) -> set[str]:
    """The words of a text that say something, by their first letters ("directed", "director")."""
    return {stem for stem, _, _ in _stem_places(text)}


def _stem_places(text: str) -> Iterator[tuple[str, int, int]]:
    """Each of them with its start and its end."""
    for word in words_of(text):
        if word.folded not in ENGLISH_STOPWORDS and word.folded not in _OUTSIDE:
            yield word.folded[:_STEM_LETTERS], word.start, word.end


def _stems_before(text: str) -> dict[str, float]:
    """How near each stands to the end of a text: 1 at the end, towards 0 at the start."""
    return {stem: end / len(text) for stem, _, end in _stem_places(text)}


def _stems_after(text: str) -> dict[str, float]:
    """How near each stands to the start of a text."""
    places = reversed(list(_stem_places(text)))
    return {stem: 1 - start / len(text) for stem, start, _ in places}
