"""What a critic is asked and what it answers.

Four questions, one for each group of reflection tokens (Self-RAG, Table 1; prompts in appendix A):

- Retrieve: does the instruction (with what precedes the sentence and the passage at hand) need a
  passage? Two labels for an instruction alone, three where a passage is at hand.
- IsRel: does the passage help to answer the instruction?
- IsSup: does the passage support the sentence?
- IsUse: how useful is the output as an answer to the instruction?

This module knows nothing of models, servers and files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from decoding.vocabulary import CONTINUE_EVIDENCE, GROUPS, GroupName
from indexes.passage import Passage
from selfrag.training.errors import InvalidRow


@dataclass(frozen=True, slots=True)
class CriticQuestion:
    """One question to a critic.

    Attributes:
        group: which kind of judgement is wanted.
        instruction: with its `input`, where there is one, behind a blank line.
        preceding: the text of the output before the sentence; "" at the beginning.
        passage: the passage at hand; needed for IsRel and IsSup.
        sentence: the sentence (Retrieve, IsSup) or the whole output (IsUse); "" for Retrieve on an
            instruction alone.

    Raises:
        InvalidRow: something that the group needs is missing.
    """

    group: GroupName
    instruction: str
    preceding: str = ""
    passage: Passage | None = None
    sentence: str = ""

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise InvalidRow(f"{self.group!r} is no group.", f"Allowed: {', '.join(GROUPS)}.")
        if not self.instruction.strip():
            raise InvalidRow(f"A question for {self.group} has no instruction.", "Give it one.")
        if self.group in ("IsRel", "IsSup") and self.passage is None:
            raise InvalidRow(f"A question for {self.group} has no passage.", "Give it one.")
        if self.group in ("IsSup", "IsUse") and not self.sentence.strip():
            raise InvalidRow(f"A question for {self.group} has no sentence.", "Give it one.")

    @property
    def labels(self) -> tuple[str, ...]:
        """The control strings that may answer it, in the order of `decoding.vocabulary.GROUPS`."""
        strings = GROUPS[self.group]
        if self.group == "Retrieve" and self.passage is None:
            return tuple(string for string in strings if string != CONTINUE_EVIDENCE)
        return strings

    @property
    def key(self) -> str:
        """A name that depends on the content alone: 32 hexadecimal digits."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        passage = self.passage
        return {
            "group": self.group,
            "instruction": self.instruction,
            "preceding": self.preceding,
            "passage": passage and {"id": passage.id, "title": passage.title, "text": passage.text},
            "sentence": self.sentence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CriticQuestion:
        """The question that `to_dict` wrote. InvalidRow where it is none."""
        try:
            passage = values.get("passage")
            return cls(
                group=values["group"],
                instruction=values["instruction"],
                preceding=values.get("preceding", ""),
                passage=None if passage is None else Passage.from_dict(passage),
                sentence=values.get("sentence", ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRow(
                f"A critic's question is not complete: {error!r}.", "Mend it."
            ) from None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A critic's answer.

    Attributes:
        question: what was asked.
        label: one of `question.labels`.
        source: who judged: "gold", "chat:NAME", "model:NAME".
        probabilities: label -> probability, in sum 1; empty where the critic gives none.
        row: the source row that it belongs to; "" where there is none.
    """

    question: CriticQuestion
    label: str
    source: str
    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)
    row: str = ""

    def __post_init__(self) -> None:
        if self.label not in self.question.labels:
            raise InvalidRow(
                f"{self.label!r} is no label of {self.question.group}.",
                f"Allowed: {', '.join(self.question.labels)}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = {"question": self.question.to_dict(), "label": self.label, "source": self.source}
        if self.probabilities:
            values["probabilities"] = dict(self.probabilities)
        if self.row:
            values["row"] = self.row
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Judgement:
        """The judgement that `to_dict` wrote. InvalidRow where it is none."""
        try:
            return cls(
                CriticQuestion.from_dict(values["question"]),
                values["label"],
                values["source"],
                values.get("probabilities", {}),
                values.get("row", ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRow(f"A judgement is not complete: {error!r}.", "Mend it.") from None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A question that a critic could not answer, and why; it is listed, never guessed."""

    question: CriticQuestion
    reason: str


class Critic(Protocol):
    """Whatever judges: rules over gold evidence, a chat model, a trained model."""

    name: str

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        """One result for each question, in order."""
