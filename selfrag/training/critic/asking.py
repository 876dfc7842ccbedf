"""Which questions a source row gives: what a critic is to learn, in the positions it is used in.

- Retrieve on the instruction alone, and for every sentence but the first: with the passage at hand
  (three labels), which is the evidence of what precedes, or with two labels where there is none.
- IsRel for every passage that is evidence anywhere in the row, or relevant, and for others of the
  row's own.
- IsSup for every sentence, with its evidence and with passages that do not support it: relevant
  ones first, then others of the row's own.
- IsUse on the whole output.

"Others" are named by no segment, so that gold evidence may call them irrelevant, and are chosen
by a hash, the same in every run. Where evidence is not known the row's first passages are asked
about. This module knows nothing of critics, labels and files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from decoding.vocabulary import GROUPS, GroupName
from indexes.passage import Passage
from indexes.sentences import sentences_of
from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import InvalidRow
from selfrag.training.sources import SourceRow, SourceSegment

FindPassage = Callable[[str], Passage | None]


@dataclass(frozen=True, slots=True)
class AskingPlan:
    """How much is asked of a row.

    Attributes:
        groups: the groups that are asked about.
        others: how many of the row's other passages IsRel is asked about.
        unsupporting: how many other passages IsSup is asked about for each sentence.

    Raises:
        InvalidRow: a group is unknown or none is named, or a number is negative.
    """

    groups: tuple[GroupName, ...] = tuple(GROUPS)
    others: int = 2
    unsupporting: int = 1

    def __post_init__(self) -> None:
        if not self.groups or not set(self.groups) <= set(GROUPS):
            raise InvalidRow(f"The groups are {self.groups}.", f"Allowed: {', '.join(GROUPS)}.")
        if self.others < 0 or self.unsupporting < 0:
            raise InvalidRow(f"The plan is {self}.", "Numbers must be 0 or more.")


@dataclass(frozen=True, slots=True)
class NotAsked:
    """A passage that the row names and that is nowhere to be found."""

    passage_id: str


def questions_of(
    row: SourceRow, plan: AskingPlan, find: FindPassage = lambda passage_id: None
) -> Iterator[CriticQuestion | NotAsked]:
    """The questions that a row gives, in the order of its text.

    Args:
        find: where evidence is looked for that is none of the row's own passages.
    """
    segments = segments_of(row)
    passages = {passage.id: passage for passage in row.passages}
    evidence_ids = (name for one in segments for name in (*(one.evidence or ()), *one.relevant))
    named = list(dict.fromkeys(evidence_ids))
    for name in named:
        if name not in passages:
            found = find(name)
            if found is None:
                yield NotAsked(name)
            else:
                passages[name] = found
    helpful = [passages[name] for name in named if name in passages]
    others = _shuffled(row, [passage for passage in row.passages if passage.id not in named])
    for question in _all_questions(row, segments, passages, helpful, others, plan):
        if question.group in plan.groups:
            yield question


def segments_of(row: SourceRow) -> tuple[SourceSegment, ...]:
    """The row's segments; the sentences of its output where it has none."""
    if row.segments:
        return row.segments
    return tuple(SourceSegment(row.output[start:end]) for start, end in sentences_of(row.output))


def _all_questions(
    row: SourceRow,
    segments: Sequence[SourceSegment],
    passages: dict[str, Passage],
    helpful: Sequence[Passage],
    others: Sequence[Passage],
    plan: AskingPlan,
) -> Iterator[CriticQuestion]:
    bare = CriticQuestion("Retrieve", row.prompt)
    yield bare
    unknown = all(segment.evidence is None for segment in segments)
    shown = row.passages[: 1 + plan.others] if unknown else [*helpful, *others[: plan.others]]
    for passage in shown:
        yield replace(bare, group="IsRel", passage=passage)
    preceding = ""
    at_hand: Passage | None = None
    for place, segment in enumerate(segments):
        asked = replace(bare, preceding=preceding, sentence=segment.text)
        if place:
            yield replace(asked, passage=at_hand)
        own = [passages[name] for name in segment.evidence or () if name in passages]
        if segment.continues and at_hand is not None and not own:
            own = [at_hand]
        chosen: Sequence[Passage] = []
        if segment.evidence is None and not own:
            chosen = row.passages[: 1 + plan.unsupporting]
        elif own:
            beside = [passages[name] for name in segment.relevant if name in passages]
            beside = [passage for passage in beside if passage not in own]
            beside += _next(others, place, plan.unsupporting)
            chosen = [*own, *beside[: plan.unsupporting]]
        for passage in chosen:
            yield replace(asked, group="IsSup", passage=passage)
        # A passage stays at hand until another takes its place.
        at_hand = at_hand if at_hand in own or not own else own[0]
        preceding = f"{preceding} {segment.text}".strip()
    output = row.output if row.output.strip() else preceding
    yield replace(bare, group="IsUse", sentence=output)


def _next(others: Sequence[Passage], place: int, number: int) -> list[Passage]:
    """Some of the others; further ones for a further sentence, as long as there are."""
    number = min(number, len(others))
    return [others[(place * number + step) % len(others)] for step in range(number)]


def _shuffled(row: SourceRow, passages: Sequence[Passage]) -> list[Passage]:
    def order(passage: Passage) -> bytes:
        return hashlib.sha256(f"{row.id}\n{passage.id}".encode("utf-8", "surrogatepass")).digest()

    return sorted(passages, key=order)
