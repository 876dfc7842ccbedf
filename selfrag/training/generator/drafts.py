"""A draft: a source row on its way to a training row, and what each step adds to it.

Segmented: segments with their text. Decided: how each segment opens, where that is known before
passages are. Retrieved: candidates. Critiqued: their labels, the chosen one, the utility. A draft
is what the folders between the steps hold. This module knows nothing of how any of it is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from decoding.vocabulary import RETRIEVAL
from indexes.passage import Passage
from selfrag.training.sources import JudgedSentences


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may support a segment.

    Attributes:
        passage: the text.
        ensured: it was not found, but put in because it is known evidence.
        relevance: an IsRel token; "" before it is judged.
        support: an IsSup token for relevant ones; "" otherwise.
    """

    passage: Passage
    ensured: bool = False
    relevance: str = ""
    support: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        passage = self.passage
        values: dict[str, Any] = {"id": passage.id, "title": passage.title, "text": passage.text}
        labels = {"ensured": self.ensured, "relevance": self.relevance, "support": self.support}
        return values | {name: value for name, value in labels.items() if value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Candidate:
        """The candidate that `to_dict` wrote."""
        return cls(
            Passage(values["id"], values["title"], values["text"]),
            values.get("ensured", False),
            values.get("relevance", ""),
            values.get("support", ""),
        )


@dataclass(frozen=True, slots=True)
class DraftSegment:
    """A segment of the output; the first five attributes are those of `SourceSegment`.

    Attributes:
        opening: a Retrieve token; "" while it is open.
        candidates: the passages found, best first.
        chosen: place of the candidate that the output goes on from.
        refused: the chosen passage is irrelevant, and the output ends with a refusal here.
    """

    text: str
    evidence: tuple[str, ...] | None = None
    continues: bool = False
    learnt: bool = True
    support: str = ""
    opening: str = ""
    candidates: tuple[Candidate, ...] = ()
    chosen: int | None = None
    refused: bool = False

    @property
    def may_retrieve(self) -> bool:
        """Whether passages may be needed, as far as it is known."""
        return self.opening in ("", RETRIEVAL)

    @property
    def chosen_candidate(self) -> Candidate | None:
        """The candidate that the output goes on from."""
        return None if self.chosen is None else self.candidates[self.chosen]

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        values: dict[str, Any] = {"text": self.text}
        if self.evidence is not None:
            values["evidence"] = list(self.evidence)
        if not self.learnt:
            values["learnt"] = False
        for name in ("continues", "support", "opening", "refused"):
            if getattr(self, name):
                values[name] = getattr(self, name)
        if self.candidates:
            values["candidates"] = [one.to_dict() for one in self.candidates]
        if self.chosen is not None:
            values["chosen"] = self.chosen
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DraftSegment:
        """The segment that `to_dict` wrote."""
        given = dict(values)
        if given.get("evidence") is not None:
            given["evidence"] = tuple(given["evidence"])
        given["candidates"] = tuple(map(Candidate.from_dict, given.get("candidates", ())))
        return cls(**given)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A candidate that could not be used. segment: its place; passage: its id; reason: the same for
    equal causes; detail: what is particular to this one."""

    segment: int
    passage: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A row on its way; see the module's text.

    Attributes:
        id, instruction, input, dataset, utility, needs_retrieval, asides, judged: as in
            `SourceRow`.
        segments: at least one.
        pool: passages that belong to the row alone; not carried on once candidates are drawn.
        output: the whole text that answers.
        left_out: candidates that could not be used.
        utility_assumed: nobody judged the utility; it is the option's.
    """

    id: str
    instruction: str
    segments: tuple[DraftSegment, ...]
    output: str
    input: str | None = None
    dataset: str = ""
    utility: int | None = None
    needs_retrieval: bool | None = None
    asides: Mapping[str, str] = field(default_factory=dict, hash=False)
    judged: JudgedSentences = field(default_factory=dict, hash=False)
    pool: tuple[Passage, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    utility_assumed: bool = False

    @property
    def question(self) -> str:
        """The instruction with its input behind a blank line, as critics and retrievers get it."""
        return self.instruction if self.input is None else f"{self.instruction}\n\n{self.input}"

    def preceding(self, place: int) -> str:
        """The text of the output before a segment."""
        return " ".join(segment.text for segment in self.segments[:place])

    def with_segment(self, place: int, segment: DraftSegment) -> Draft:
        """The draft with one segment replaced."""
        segments = (*self.segments[:place], segment, *self.segments[place + 1 :])
        return replace(self, segments=segments)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        values: dict[str, Any] = {"id": self.id, "instruction": self.instruction}
        values["segments"] = [segment.to_dict() for segment in self.segments]
        values["output"] = self.output
        for name in ("input", "utility", "needs_retrieval"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        if self.dataset:
            values["dataset"] = self.dataset
        if self.utility_assumed:
            values["utility_assumed"] = True
        if self.asides:
            values["asides"] = dict(self.asides)
        if self.judged:
            values["judged"] = {name: [*map(list, said)] for name, said in self.judged.items()}
        if self.pool:
            values["pool"] = [
                {"id": one.id, "title": one.title, "text": one.text} for one in self.pool
            ]
        if self.left_out:
            values["left_out"] = [
                [one.segment, one.passage, one.reason, one.detail] for one in self.left_out
            ]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Draft:
        """The draft that `to_dict` wrote."""
        given = dict(values)
        given["segments"] = tuple(map(DraftSegment.from_dict, given["segments"]))
        given["judged"] = {
            name: tuple((text, token, worth) for text, token, worth in said)
            for name, said in given.get("judged", {}).items()
        }
        given["pool"] = tuple(Passage(**one) for one in given.get("pool", ()))
        given["left_out"] = tuple(LeftOut(*one) for one in given.get("left_out", ()))
        return cls(**given)


def draws(seed: int, row: str, segment: int, purpose: str) -> Random:
    """Random numbers that depend on these values alone, not on batches or resumption."""
    return Random(f"{seed}|{row}|{segment}|{purpose}")
