"""Chooses the passage that a segment goes on from (Self-RAG, appendix A.3).

The order is the paper's: a relevant passage that supports the sentence fully; else, with a
probability, one that supports it partially; else, with a smaller one, one that does not; else an
irrelevant one. The irrelevant one is drawn among those that were judged irrelevant (the published
script draws among the first passages of the list, whatever they were judged).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from random import Random

from decoding.vocabulary import (
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_SUPPORT,
    PARTIALLY_SUPPORTED,
    RELEVANT,
)
from selfrag.training.generator.drafts import Candidate
from selfrag.training.generator.options import GeneratorDataOptions

SUPPORTS = (FULLY_SUPPORTED, PARTIALLY_SUPPORTED, NO_SUPPORT)
"""IsSup tokens, the best first."""


def choose_candidate(
    candidates: Sequence[Candidate],
    options: GeneratorDataOptions,
    random: Random,
    following: Container[str] = (),
) -> int | None:
    """The place of the candidate to go on from.

    Args:
        candidates: judged, best first.
        options: how probably partial and missing support are taken.
        random: drawn from for this segment alone.
        following: ids of passages that support the next segment too; among equals they are taken.

    Returns:
        None where there are no candidates. Where the draws refuse what is relevant and nothing is
        irrelevant, the best relevant one is taken all the same.
    """
    supported = {label: _places(candidates, label) for label in SUPPORTS}
    chances = (1.0, options.partially, options.no_support)
    for label, chance in zip(SUPPORTS, chances, strict=True):
        if supported[label] and (chance >= 1 or random.random() < chance):
            return _first(candidates, supported[label], following)
    irrelevant = [p for p, one in enumerate(candidates) if one.relevance == IRRELEVANT]
    if irrelevant:
        return random.choice(irrelevant)
    left = next((places for places in supported.values() if places), None)
    return None if left is None else _first(candidates, left, following)


def _places(candidates: Sequence[Candidate], support: str) -> list[int]:
    return [
        place
        for place, one in enumerate(candidates)
        if one.relevance == RELEVANT and one.support == support
    ]


def _first(
    candidates: Sequence[Candidate], places: Sequence[int], following: Container[str]
) -> int:
    return next((p for p in places if candidates[p].passage.id in following), places[0])
