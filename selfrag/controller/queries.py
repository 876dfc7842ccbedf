"""What a retrieval asks for: the question at first, later also what the last segment said.

The paper asks for the question and the last segment together (appendix; x and y_{t-1}). Where a
question takes several steps, such a query finds the passage of the step before once more, because
both texts name it: of "What is the currency of the country whose capital is Ouagadougou?" and "The
capital of Burkina Faso is Ouagadougou." the words "capital" and "Ouagadougou" stand in both. What
is still open is what only one of the two says: currency, country, Burkina Faso.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from retrievers.hit import Hit

_WORD = re.compile(r"\w+(?:[.,'\u2019-]\w+)*")


def later_queries(question: str, segment: str, kind: str) -> list[str]:
    """The queries after a segment: one, or for "open" two, whose passages are taken in turn.

    A request for several things about one thing ("Tell me three facts about Mali.") shares with
    each segment just the name that it goes on with, so "open" asks the paper's query as well.
    """
    both = f"{question} {segment}".strip()
    if kind == "question":
        return [question]
    if kind == "open":
        return [open_words(question, segment), both]
    return [both]


def open_words(question: str, segment: str) -> str:
    """The words that only one of the two texts has, in order; case does not count.

    Both texts where nothing is left.
    """
    asked, said = _WORD.findall(question), _WORD.findall(segment)
    in_asked = {word.casefold() for word in asked}
    in_said = {word.casefold() for word in said}
    open_ones = [word for word in asked if word.casefold() not in in_said]
    new_ones = [word for word in said if word.casefold() not in in_asked]
    return " ".join((*open_ones, *new_ones)) or f"{question} {segment}".strip()


def taken_in_turn(lists: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """The best `k` hits of several queries: first ones, then second ones; each passage once.

    A score is divided by the best of its own list, so that scores of different queries compare.
    """
    found: dict[str, Hit] = {}
    for place in range(max(map(len, lists), default=0)):
        for hits in lists:
            if place < len(hits) and hits[place].passage.id not in found:
                hit, best = hits[place], hits[0].score
                score = hit.score / best if best > 0 else hit.score
                found[hit.passage.id] = Hit(hit.passage, score, len(found) + 1)
    return list(found.values())[:k]
