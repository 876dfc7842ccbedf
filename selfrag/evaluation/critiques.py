"""What the model's own judgements said in an evaluation, each beside what is right.

A reading is a probability of one of two labels, and whether that label was right. Readings come
from the answers' trees; nothing is asked again.

- IsRel: p(Relevant) / (p(Relevant) + p(Irrelevant)) of every branch of the first segment of the
  single-hop questions, also of those that were given up later. Right is what the question's
  `evidence` names. A passage about something else (none of the evidence has its title) that
  contains an acceptable answer as whole words may answer too, or not: it is left out. Where no
  evidence is given, right is a passage whose title or text contains an acceptable answer; that is
  noisy, since a passage may hold the words by chance, or say the same in others.
- Retrieve: p(Retrieval) / (p(Retrieval) + p(No Retrieval)) of the first decision, against whether
  retrieval was wanted. The threshold of the decision itself is not asked.
- IsUse: p(Utility 4 or 5) within the group at the end of the best hypothesis, where it finished
  with a utility token, against whether what it wrote is right. Questions whose right answer is not
  known are left out; of an unanswerable question every answer is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from decoding.distributions import ReflectionDistribution
from selfrag.evaluation.matching import contains_answer
from selfrag.evaluation.outcomes import Outcome

HIGH = ("4", "5")
"""Utilities of an answer that is right."""


class Judged(Protocol):
    """A label that was chosen: with which probability, and whether it is right."""

    @property
    def group(self) -> str:
        """What it depends on: labels of one question are drawn together in a resample."""

    @property
    def confidence(self) -> float:
        """Probability of the chosen label, in 0 to 1."""

    @property
    def correct(self) -> bool:
        """Whether it is right."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One probability and its truth.

    Attributes:
        group: the question's id; readings of one question depend on each other.
        probability: of the label that is asked about, in 0 to 1.
        truth: whether that label is right.
        from_evidence: the truth was given, not found in a text.
        distribution: of the token group that the probability comes from.
        labels: the group's labels whose share the probability is.
    """

    group: str
    probability: float
    truth: bool
    from_evidence: bool = False
    distribution: ReflectionDistribution | None = None
    labels: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """Probability of the more probable label."""
        return max(self.probability, 1.0 - self.probability)

    @property
    def correct(self) -> bool:
        """Whether the more probable label is right; at one half that is the label asked about."""
        return (self.probability >= 0.5) == self.truth


def relevance_readings(outcomes: Sequence[Outcome]) -> list[Reading]:
    """IsRel of the first segments' branches; see the module's text."""
    return [
        reading
        for outcome in outcomes
        if outcome.question.section == "single_hop"
        for reading in _branches(outcome)
    ]


def retrieval_readings(outcomes: Sequence[Outcome]) -> list[Reading]:
    """Retrieve at the bare questions, where it was measured."""
    readings = []
    for outcome in outcomes:
        decisions = outcome.answer.decisions
        if decisions and decisions[0].p_retrieve is not None:
            wanted = outcome.question.kind != "no_retrieval"
            readings.append(Reading(outcome.question.id, decisions[0].p_retrieve, wanted))
    return readings


def utility_readings(outcomes: Sequence[Outcome]) -> list[Reading]:
    """IsUse at the end of the best hypotheses; see the module's text."""
    readings = []
    for outcome in outcomes:
        question, tree = outcome.question, outcome.answer.tree
        selected = tree.get("selected") if tree else None
        if not selected or not (question.wanted or question.kind == "unanswerable"):
            continue
        node = next(node for node in tree["nodes"] if node["id"] == selected[-1])
        if node["scores"].get("use") is None:
            continue
        is_use = ReflectionDistribution.from_dict(node["distributions"]["IsUse"])
        high = [is_use.share(label) for label in HIGH]
        if None not in high:
            probability = min(1.0, sum(share or 0.0 for share in high))
            right = outcome.written_right and question.kind != "unanswerable"
            readings.append(
                Reading(question.id, probability, right, distribution=is_use, labels=HIGH)
            )
    return readings


def _branches(outcome: Outcome) -> Iterator[Reading]:
    question, tree = outcome.question, outcome.answer.tree
    evidence = {passage for ids in question.evidence for passage in ids}
    nodes = tree.get("nodes", ()) if tree else ()
    titles = {node.get("passage_title") for node in nodes if node["passage_id"] in evidence}
    for node in nodes:
        measured = node["distributions"].get("IsRel")
        if node["depth"] != 1 or node["action"] != "retrieve" or measured is None:
            continue
        is_rel = ReflectionDistribution.from_dict(measured)
        probability = is_rel.share("relevant")
        if probability is None:
            continue
        texts = (node.get("passage_title") or "", node.get("passage_text") or "")
        answers = any(contains_answer(text, question.answers) for text in texts)
        truth = node["passage_id"] in evidence if evidence else answers
        if evidence and answers and not truth and node.get("passage_title") not in titles:
            continue
        yield Reading(question.id, probability, truth, bool(evidence), is_rel, ("relevant",))
