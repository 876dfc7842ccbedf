"""Rows as other procedures would have them: the paper's training ablations (section 5.2).

- Without a retriever the generator sees no passage: the sentences of the answer follow
  `[No Retrieval]`.
- Without a critic nobody judges: the passage is whatever stands first among the candidates, and
  the tokens of judgement are the same everywhere, so that they say nothing.
- With less data a part of the rows, the same ones for every size: a smaller part is in a larger.

This module knows nothing of training and of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from decoding.vocabulary import FULLY_SUPPORTED, NO_RETRIEVAL, RELEVANT, RETRIEVAL
from selfrag.training.rows import PROMPT_END, TrainingRow, TreeSegment

CERTAIN = 5
"""The utility of every answer that nobody judged."""


def answered(row: TrainingRow) -> tuple[TreeSegment, ...]:
    """The path that answers: the first one that ends with the highest utility and says only what is
    to be learnt; () where there is none."""
    best: tuple[TreeSegment, ...] = ()
    highest = 0
    for path in row.paths():
        learnt = all(one.sentence and one.learnt and not one.accepted for one in path)
        utility = path[-1].utility or 0
        if learnt and utility > highest:
            best, highest = path, utility
    return best


def without_retriever(rows: Iterable[TrainingRow]) -> Iterator[TrainingRow]:
    """The answers without their passages, as chains; rows that have none are left out."""
    for row in rows:
        path = answered(row)
        segments = tuple(
            TreeSegment(
                place - 1,
                NO_RETRIEVAL,
                segment.sentence,
                utility=CERTAIN if place == len(path) - 1 else None,
            )
            for place, segment in enumerate(path)
        )
        if segments:
            yield replace(row, segments=segments)


def without_critic(rows: Iterable[TrainingRow]) -> Iterator[TrainingRow]:
    """The answers, each segment behind the first candidate that was found for it, as chains.

    Every passage counts as relevant, every sentence as supported and every answer as useful. What
    refuses is a judgement of passages, so such rows are left out.
    """
    for row in rows:
        path = answered(row)
        if not path or path[-1].relevance not in (RELEVANT, ""):
            continue
        segments: list[TreeSegment] = []
        parent = PROMPT_END
        for place, segment in enumerate(path):
            utility = CERTAIN if place == len(path) - 1 else None
            if segment.opening == RETRIEVAL:
                first = next(one for one in row.segments if one.parent == segment.parent)
                chosen = replace(
                    segment,
                    parent=parent,
                    passage=first.passage,
                    relevance=RELEVANT,
                    support=FULLY_SUPPORTED,
                    utility=utility,
                )
            else:
                chosen = replace(segment, parent=parent, utility=utility)
            parent = len(segments)
            segments.append(chosen)
        yield replace(row, segments=tuple(segments))


def part_of(rows: Iterable[TrainingRow], share: float) -> Iterator[TrainingRow]:
    """A share of the rows, chosen by a hash of their ids.

    Raises:
        ValueError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share!r}; it must be above 0 and at most 1")
    for row in rows:
        digest = hashlib.sha256(row.id.encode()).digest()
        if int.from_bytes(digest[:8], "big") < share * 2**64:
            yield row
