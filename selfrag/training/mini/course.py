"""A first course: examples of a mixture as training rows, in a file for the generator's trainer.

A model made from nothing cannot begin with a world's rows: most of them can be guessed from the
passage alone (`primer`). A course is drawn from a mixture, without corpus, retriever and critic; an
example becomes a chain, a judged question a tree with a branch for each passage. This module knows
nothing of tokens and training.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from indexes.passage import Passage
from selfrag.training.mini.example import FULLY, RELEVANT, Example, Judged, Segment
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.mixture import Mixture, Shares
from selfrag.training.mini.schemas import Entity
from selfrag.training.rows import TrainingRow, TreeSegment

FIRST = Shares(judged=0.0, reading=0.0, primer=0.85, requests=0.0, long=0.0)
"""Of a course for a model that knows nothing."""
JUDGED = "judged"
"""The sort of a judged question's row; other rows have their example's."""


@dataclass(frozen=True)
class CoursePlan:
    """What is drawn. Equal plans and things give equal rows.

    rows: how many. shares: of the sorts of examples. told_share: of the judged passages that
    answer, those whose answer is written out; of the others a tenth of that share is refused in
    words, and half of it is read with a sentence beside the question. The rest ends with the
    judgement.
    """

    rows: int
    seed: int = 1
    shares: Shares = field(default_factory=lambda: FIRST)
    told_share: float = 0.8

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows is {self.rows}; a course has at least one")
        if not 0 <= self.told_share <= 1:
            raise ValueError(f"told_share is {self.told_share}; it must lie between 0 and 1")


def course_rows(plan: CoursePlan, entities: Sequence[Entity]) -> Iterator[TrainingRow]:
    """The rows of a course about invented things like these, one at a time."""
    mixture = Mixture(Inventor(entities), plan.seed, plan.shares)
    rng = Random(plan.seed)
    for number in range(plan.rows):
        example = mixture.example()
        row_id = f"course-{plan.seed}-{number}"
        if isinstance(example, Judged):
            yield judged_row(example, row_id, rng, plan.told_share)
        else:
            yield example_row(example, row_id)


def write_course(rows: Iterable[TrainingRow], path: Path) -> Counter[str]:
    """Write the rows as JSON Lines, in one move at the end; how many there are of each sort."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    kinds: Counter[str] = Counter()
    with part.open("w", encoding="utf-8") as handle:
        for row in rows:
            kinds[row.dataset] += 1
            handle.write(json.dumps(row.to_dict(), ensure_ascii=False) + "\n")
    part.replace(path)
    return kinds


def example_row(example: Example, row_id: str) -> TrainingRow:
    """The example as a chain that ends with its utility."""
    chain = _chain(example.segments, row_id)
    segments = (*chain[:-1], replace(chain[-1], utility=example.utility))
    return TrainingRow(row_id, example.instruction, segments, dataset=example.kind)


def judged_row(
    example: Judged, row_id: str, rng: Random, told_share: float = CoursePlan.told_share
) -> TrainingRow:
    """The question and its path as a chain, then every passage as a branch behind it.

    Where the branches' sentences do not complete the answer, a told one ends with its support.
    """
    path = _chain(example.path, row_id)
    branches = [
        _branch(segment, len(path) - 1, f"{row_id}/{len(path) + number}", rng, told_share)
        for number, segment in enumerate(example.branches)
    ]
    if not example.last:
        branches = [
            replace(branch, utility=None) if branch.relevance == RELEVANT else branch
            for branch in branches
        ]
    return TrainingRow(row_id, example.instruction, (*path, *branches), dataset=JUDGED)


def _chain(segments: Sequence[Segment], row_id: str) -> tuple[TreeSegment, ...]:
    """Segments one behind the other, from the prompt on; none ends the output."""
    return tuple(
        _segment(segment, place - 1, f"{row_id}/{place}") for place, segment in enumerate(segments)
    )


def _branch(
    segment: Segment, parent: int, passage_id: str, rng: Random, told_share: float
) -> TreeSegment:
    """A passage with its judgement, and in a part of the cases with what follows it.

    After a passage that does not answer, that is the refusal, or what the passage does say, read
    behind `[Relevant]`: that it says so, and that nothing asked is answered by it.
    """
    whole = _segment(segment, parent, passage_id)
    chance = rng.random()
    if segment.support:
        if chance < told_share:
            return replace(whole, utility=5)
    elif chance < 0.1 * told_share:
        return replace(whole, utility=1)
    elif chance < 0.6 * told_share and segment.aside:
        return replace(
            whole, sentence=segment.aside, support=FULLY, utility=1, learnt=False, accepted=True
        )
    return replace(whole, sentence="", support="", learnt=True)


def _segment(segment: Segment, parent: int, passage_id: str) -> TreeSegment:
    passage = None if segment.passage is None else Passage(passage_id, *segment.passage)
    return TreeSegment(
        parent=parent,
        opening=segment.opening,
        sentence=segment.sentence,
        passage=passage,
        relevance=segment.relevance,
        support=segment.support,
        learnt=segment.learnt,
    )
