"""What a generator learns from: a prompt and a tree of segments that follow it.

The paper's rows are chains: one segment after the other, one passage each. Ours may branch, because
at the time of the question they do: after `[Retrieval]` stand as many passages as were found, each
with its own judgement, and the answer goes on from one of them. Written as a tree, the question is
read once for all of them, and a passage that does not help costs its own tokens only. A chain is a
tree without branches. Grammar: the paper's, see `decoding.training_grammar`.

Text is data: a control string inside an instruction, a sentence or a passage is ordinary text.
This module knows nothing of tokenizers, critics and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    GROUPS,
    IRRELEVANT,
    NO_RETRIEVAL,
    RELEVANT,
    RETRIEVAL,
    UTILITY,
)
from indexes.passage import Passage
from selfrag.training.errors import InvalidRow

OPENINGS = (RETRIEVAL, NO_RETRIEVAL, CONTINUE_EVIDENCE, "")
PROMPT_END = -1
"""The parent of a segment that stands right after the prompt."""


@dataclass(frozen=True, slots=True)
class TreeSegment:
    """One segment of a row.

    Attributes:
        parent: place of the segment before it in the row; `PROMPT_END` at the beginning.
        opening: a token of the Retrieve group, or "" where none stands.
        sentence: the text; "" where the segment ends with its judgement of the passage.
        passage: given exactly when `opening` is `[Retrieval]`.
        relevance: `[Relevant]` or `[Irrelevant]`, exactly when there is a passage.
        support: an IsSup token, only behind a sentence that is read as relevant.
        utility: 1 to 5 where the output ends behind this segment; None elsewhere.
        learnt: whether the sentence is to be learnt; False where it is only there to be judged.
        accepted: the model reads `[Relevant]`, though `relevance` is to be learnt: what follows is
            what an answer is worth, should the model write one all the same.
    """

    parent: int
    opening: str = ""
    sentence: str = ""
    passage: Passage | None = None
    relevance: str = ""
    support: str = ""
    utility: int | None = None
    learnt: bool = True
    accepted: bool = False

    def __post_init__(self) -> None:
        _require(self.opening in OPENINGS, "opening", self.opening, f"one of {OPENINGS}")
        passage = self.passage is not None
        _require(
            passage == (self.opening == RETRIEVAL),
            "passage",
            self.passage,
            "given exactly when the segment opens with [Retrieval]",
        )
        allowed = GROUPS["IsRel"] if passage else ("",)
        _require(self.relevance in allowed, "relevance", self.relevance, f"one of {allowed}")
        _require(
            not self.accepted or self.relevance == IRRELEVANT,
            "accepted",
            self.accepted,
            "only with [Irrelevant]",
        )
        read_relevant = self.relevance == RELEVANT or self.accepted
        allowed = (*GROUPS["IsSup"], "") if read_relevant and self.sentence else ("",)
        _require(self.support in allowed, "support", self.support, f"one of {allowed}")
        _require(
            bool(self.sentence.strip()) or (passage and not self.sentence),
            "sentence",
            self.sentence,
            "a text, or '' behind a passage that is only judged",
        )
        _require(
            self.utility is None or self.utility in range(1, 6),
            "utility",
            self.utility,
            "1 to 5, or nothing",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
        if self.passage is not None:
            passage = self.passage
            values["passage"] = {"id": passage.id, "title": passage.title, "text": passage.text}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TreeSegment:
        """The segment that `to_dict` wrote. InvalidRow where it is none."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InvalidRow(f"A segment has unknown keys {unknown}.", f"Allowed: {sorted(known)}.")
        given = dict(values)
        if given.get("passage") is not None:
            given["passage"] = Passage.from_dict(given["passage"])
        try:
            return cls(**given)
        except TypeError as error:
            raise InvalidRow(
                f"A segment is not complete: {error}.", "`parent` is needed."
            ) from None


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A prompt and the tree of segments behind it.

    Attributes:
        id: unique in its file; drops and errors name it.
        instruction: what is asked; not empty.
        segments: at least one; each names an earlier one, or `PROMPT_END`, as its parent.
        input: a further part of the prompt, or None.
        dataset: where the row comes from; the balance is reported by it.

    Raises:
        InvalidRow: a value is not allowed; the message names the row and the value.
    """

    id: str
    instruction: str
    segments: tuple[TreeSegment, ...]
    input: str | None = None
    dataset: str = ""

    def __post_init__(self) -> None:
        if not self.instruction.strip():
            raise InvalidRow(
                f"Row {self.id!r} has no instruction.", "Give it one, or leave it out."
            )
        if not self.segments:
            raise InvalidRow(f"Row {self.id!r} has no segment.", "A row needs at least one.")
        for place, segment in enumerate(self.segments):
            if not PROMPT_END <= segment.parent < place:
                raise InvalidRow(
                    f"Row {self.id!r}, segment {place}: its parent is {segment.parent}.",
                    f"Allowed: {PROMPT_END} for the prompt, or an earlier segment's place.",
                )
            parent = self.segments[segment.parent] if segment.parent >= 0 else None
            if parent is not None and (parent.utility is not None or not parent.sentence):
                raise InvalidRow(
                    f"Row {self.id!r}, segment {place}: its parent {segment.parent} has ended.",
                    "Nothing follows [Utility:*], or a passage that is only judged.",
                )

    @property
    def is_chain(self) -> bool:
        """Whether no two segments have the same parent: the paper's own form."""
        parents = [segment.parent for segment in self.segments]
        return parents == list(range(-1, len(parents) - 1))

    def paths(self) -> Iterator[tuple[TreeSegment, ...]]:
        """The segments from the prompt to each segment that no other follows."""
        parents = {segment.parent for segment in self.segments}
        for place in range(len(self.segments)):
            if place in parents:
                continue
            path: list[TreeSegment] = []
            at = place
            while at != PROMPT_END:
                path.append(self.segments[at])
                at = self.segments[at].parent
            yield tuple(reversed(path))

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values: dict[str, Any] = {"id": self.id, "instruction": self.instruction}
        if self.input is not None:
            values["input"] = self.input
        if self.dataset:
            values["dataset"] = self.dataset
        values["segments"] = [segment.to_dict() for segment in self.segments]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingRow:
        """The row that `to_dict` wrote. InvalidRow where it is none."""
        try:
            return cls(
                id=str(values["id"]),
                instruction=values["instruction"],
                segments=tuple(TreeSegment.from_dict(one) for one in values["segments"]),
                input=values.get("input"),
                dataset=values.get("dataset", ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRow(
                f"A row is not complete: {error!r}.",
                "Needed are id, instruction and segments.",
            ) from None


def segment_text(segment: TreeSegment) -> str:
    """The segment as the paper writes it; for reading and for the grammar check."""
    paragraph = ""
    if segment.passage is not None:
        passage = segment.passage
        paragraph = f"<paragraph>{passage.title}\n{passage.text}</paragraph>{segment.relevance}"
    end = UTILITY[segment.utility - 1] if segment.utility is not None else ""
    return f"{segment.opening}{paragraph}{segment.sentence}{segment.support}{end}"


def _require(holds: bool, name: str, got: object, allowed: str) -> None:
    if not holds:
        raise InvalidRow(f"A segment's {name} is {got!r}.", f"It must be {allowed}.")
