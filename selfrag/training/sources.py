"""What generator data are made from: instructions with outputs, and gold evidence where it exists.

One JSON object a line. Keys:

- `id` (optional): unique; the line's number otherwise. `dataset` (optional): where it comes from.
- `instruction` (required), `input` (optional).
- `output`: the text that answers; cut into segments by the pipeline. Or `segments`: the answer
  already cut, a list of {"text": ..., "evidence": [passage ids]}, where `evidence` lists *all*
  passages of the corpus that support the text; [] where none is needed; the key is left out where
  it is not known. `continues`: the segment is supported by the passage of the one before.
- `utility` (optional): 1 to 5. `needs_retrieval` (optional): true or false.
- `passages` (optional): {"id", "title", "text"} objects that belong to the row alone, for data sets
  that bring a pool of their own (HotpotQA); otherwise passages come from an index.
- `asides` (optional): {passage id: sentence}: what such a passage says that was not asked, for
  passages that look as if they answered.
- `judged` (optional): {passage id: [[sentence, IsSup token, utility or null], ...]}: sentences in
  whatever words that are only there to be judged, where the answer goes on from that passage.

This module knows nothing of critics, retrievers and tokenizers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoding.vocabulary import GROUPS
from indexes.errors import InvalidPassage
from indexes.passage import Passage
from selfrag.training.errors import InvalidRow

JudgedSentences = Mapping[str, Sequence[tuple[str, str, int | None]]]
"""Passage id -> sentences, each with its IsSup token, and its utility if the output ends there."""


@dataclass(frozen=True, slots=True)
class SourceSegment:
    """A part of an answer.

    Attributes:
        text: not empty.
        evidence: ids of all passages that support it; () where it needs none; None where unknown.
        continues: the passage of the segment before supports it too.
        learnt: False where the text is wrong and only there to be judged.
        support: the IsSup token where it is known and not `[Fully supported]`.
        relevant: ids of passages that help to answer the instruction and state something else.
    """

    text: str
    evidence: tuple[str, ...] | None = None
    continues: bool = False
    learnt: bool = True
    support: str = ""
    relevant: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        values: dict[str, Any] = {"text": self.text}
        if self.evidence is not None:
            values["evidence"] = list(self.evidence)
        if self.continues:
            values["continues"] = True
        if not self.learnt:
            values["learnt"] = False
        if self.support:
            values["support"] = self.support
        if self.relevant:
            values["relevant"] = list(self.relevant)
        return values


@dataclass(frozen=True, slots=True)
class SourceRow:
    """An instruction and what answers it; see the module's text for the fields."""

    id: str
    instruction: str
    segments: tuple[SourceSegment, ...]
    output: str = ""
    input: str | None = None
    dataset: str = ""
    utility: int | None = None
    needs_retrieval: bool | None = None
    passages: tuple[Passage, ...] = ()
    asides: Mapping[str, str] = field(default_factory=dict, hash=False)
    judged: JudgedSentences = field(default_factory=dict, hash=False)

    @property
    def prompt(self) -> str:
        """The instruction with its `input`, where there is one, behind a blank line."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what has its default is left out."""
        values: dict[str, Any] = {"id": self.id, "instruction": self.instruction}
        for name in ("output", "input", "dataset", "utility", "needs_retrieval"):
            value = getattr(self, name)
            if value not in ("", None):
                values[name] = value
        if self.segments:
            values["segments"] = [segment.to_dict() for segment in self.segments]
        if self.passages:
            values["passages"] = [
                {"id": one.id, "title": one.title, "text": one.text} for one in self.passages
            ]
        if self.asides:
            values["asides"] = dict(self.asides)
        if self.judged:
            values["judged"] = {name: [*map(list, said)] for name, said in self.judged.items()}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], default_id: str = "") -> SourceRow:
        """Read one row.

        Raises:
            InvalidRow: a value is missing, empty or of a wrong type; the message names the row.
        """
        row_id = default_id if values.get("id") is None else str(values["id"])
        instruction, output = values.get("instruction"), values.get("output", "")
        given = values.get("segments", [])
        if not isinstance(instruction, str) or not instruction.strip():
            raise InvalidRow(f"Row {row_id!r}: `instruction` is {instruction!r}.", "Give a text.")
        if not isinstance(output, str) or not isinstance(given, list):
            raise InvalidRow(f"Row {row_id!r}: `output` is a text, `segments` a list.", "Mend it.")
        if not output.strip() and not given:
            raise InvalidRow(
                f"Row {row_id!r} has neither `output` nor `segments`.", "Give one of them."
            )
        needs_retrieval, given_input = values.get("needs_retrieval"), values.get("input")
        if needs_retrieval not in (None, True, False) or not isinstance(given_input or "", str):
            raise InvalidRow(
                f"Row {row_id!r}: `needs_retrieval` is {needs_retrieval!r}, `input` is "
                f"{type(given_input).__name__}.",
                "The first is true or false, the second a text.",
            )
        utility = values.get("utility")
        if utility is not None and (type(utility) is not int or utility not in range(1, 6)):
            raise InvalidRow(f"Row {row_id!r}: `utility` is {utility!r}.", "Allowed: 1 to 5.")
        asides = values.get("asides") or {}
        if not isinstance(asides, Mapping) or not all(
            isinstance(text, str) and text.strip() for text in asides.values()
        ):
            raise InvalidRow(
                f"Row {row_id!r}: `asides` is {asides!r}.", "Give a sentence for each passage id."
            )
        try:
            passages = tuple(Passage.from_dict(one) for one in values.get("passages", []))
        except (InvalidPassage, TypeError) as error:
            raise InvalidRow(f"Row {row_id!r}: {error}", "Mend its passages.") from None
        return cls(
            id=row_id,
            instruction=instruction,
            segments=tuple(_segment(one, row_id) for one in given),
            output=output,
            input=given_input or None,
            dataset=str(values.get("dataset", "")),
            utility=utility,
            needs_retrieval=needs_retrieval,
            passages=passages,
            asides=dict(asides),
            judged=_judged(values.get("judged") or {}, row_id),
        )


def _judged(values: Any, row_id: str) -> JudgedSentences:
    try:
        found = {
            str(name): tuple((str(text), str(token), worth) for text, token, worth in said)
            for name, said in values.items()
        }
    except (AttributeError, TypeError, ValueError):
        found = {"": (("", "", None),)}
    for text, token, worth in (one for said in found.values() for one in said):
        known = token in GROUPS["IsSup"] and worth in (None, 1, 2, 3, 4, 5)
        if not text.strip() or not known:
            raise InvalidRow(
                f"Row {row_id!r}: `judged` is {values!r}.",
                "Give [sentence, IsSup token, utility or null] for each passage id.",
            )
    return found


def _segment(values: Any, row_id: str) -> SourceSegment:
    if not isinstance(values, Mapping) or not str(values.get("text", "")).strip():
        raise InvalidRow(f"Row {row_id!r}: a segment has no `text`.", "Give each segment one.")
    evidence, support = values.get("evidence"), values.get("support", "")
    relevant = values.get("relevant", [])
    if not isinstance(evidence, list | None) or not isinstance(relevant, list):
        raise InvalidRow(
            f"Row {row_id!r}: `evidence` is {evidence!r}, `relevant` {relevant!r}.",
            "Give lists of ids.",
        )
    if support not in ("", *GROUPS["IsSup"]):
        raise InvalidRow(
            f"Row {row_id!r}: `support` is {support!r}.", f"Allowed: {', '.join(GROUPS['IsSup'])}."
        )
    return SourceSegment(
        text=str(values["text"]),
        evidence=None if evidence is None else tuple(map(str, evidence)),
        continues=bool(values.get("continues", False)),
        learnt=bool(values.get("learnt", True)),
        support=support,
        relevant=tuple(map(str, relevant)),
    )
