"""Figures of one mode: proportions with intervals and costs per question, from judged answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoding.config import Mode
from selfrag.evaluation.intervals import Proportion
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import KINDS
from selfrag.evaluation.sections import Section, sections_of

HEADLINES = (
    "accuracy",
    "citation_accuracy",
    "decision_accuracy",
    "refusal_accuracy",
    "false_refusal_rate",
    "retrieval_rate",
)


@dataclass(frozen=True, slots=True)
class Latency:
    """Cost of questions asked one by one in a warm process.

    Attributes:
        questions: how many were asked.
        seconds: wall-clock seconds, all together.
        processor_seconds: processor seconds of the whole process, all threads together.
        same_text: how many got the same text as in the batch.
    """

    questions: int
    seconds: float
    processor_seconds: float
    same_text: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything measured in one mode.

    `proportions` has the six of `HEADLINES`; one that does not apply is None (a decision that
    a mode took is nobody's merit). `groups` has the accuracy by kind, relation and phrasing;
    `decisions` the decision accuracy by kind, in "adaptive" only. The headlines and groups but
    for "kind" are about single-hop questions; `sections` is about every capability.
    `batch_seconds` is the wall-clock time of all questions asked in batches.
    """

    mode: Mode
    questions: int
    proportions: dict[str, Proportion | None]
    groups: dict[str, dict[str, Proportion]]
    decisions: dict[str, Proportion]
    passages: float
    generated_tokens: float
    batch_seconds: float
    statuses: dict[str, int]
    latency: Latency | None = field(default=None)
    sections: dict[str, Section] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: values by name, `intervals` and `n` beside them, then groups and costs."""
        shares = self.proportions
        latency = self.latency
        data: dict[str, Any] = {name: share and share.value for name, share in shares.items()}
        data["intervals"] = {name: share and _interval(share) for name, share in shares.items()}
        data["n"] = {name: share.n if share else 0 for name, share in shares.items()}
        data |= {
            "questions": self.questions,
            "passages_per_question": self.passages,
            "generated_tokens_per_question": self.generated_tokens,
            "seconds_per_question": latency and latency.seconds / latency.questions,
            "processor_seconds_per_question": (
                latency and latency.processor_seconds / latency.questions
            ),
            "asked_one_by_one": latency.questions if latency else 0,
            "same_text_one_by_one": latency.same_text if latency else 0,
            "batch_seconds_per_question": self.batch_seconds / self.questions,
            "statuses": self.statuses,
        }
        for group, by_name in self.groups.items():
            data[f"accuracy_by_{group}"] = _plain(by_name)
        data["decision_accuracy_by_kind"] = _plain(self.decisions)
        data["sections"] = {name: section.to_dict() for name, section in self.sections.items()}
        return data


def summarise(
    mode: Mode, outcomes: Sequence[Outcome], seconds: float, latency: Latency | None = None
) -> Figures:
    """Figures of the outcomes of one mode (at least one).

    accuracy: right answers among the single-hop questions (kind "single_hop" or "answerable").
    citation_accuracy: among those right answers, the ones with a passage cited that contains an
        acceptable answer.
    decision_accuracy: first decisions as wanted, over all questions; only in "adaptive".
    refusal_accuracy: unanswerable questions refused.
    false_refusal_rate: single-hop questions refused.
    retrieval_rate: questions with at least one retrieval.
    """
    if not outcomes:
        raise ValueError("no outcome to summarise")
    answerable = [outcome for outcome in outcomes if outcome.question.section == "single_hop"]
    unanswerable = [outcome for outcome in outcomes if outcome.question.kind == "unanswerable"]
    right = [outcome for outcome in answerable if outcome.right]
    adaptive = mode == "adaptive"
    proportions: dict[str, Proportion | None] = {
        "accuracy": Proportion(len(right), len(answerable)),
        "citation_accuracy": Proportion.of(outcome.cited for outcome in right),
        "decision_accuracy": Proportion.of(o.decided for o in outcomes) if adaptive else None,
        "refusal_accuracy": Proportion.of(outcome.refused for outcome in unanswerable),
        "false_refusal_rate": Proportion.of(outcome.refused for outcome in answerable),
        "retrieval_rate": Proportion.of(o.answer.usage.retrievals > 0 for o in outcomes),
    }
    judged = [outcome for outcome in outcomes if outcome.question.wanted]
    groups = {
        "kind": _grouped(judged, lambda outcome: outcome.question.kind, KINDS),
        "relation": _grouped(answerable, lambda outcome: outcome.question.relation),
        "phrasing": _grouped(answerable, lambda outcome: outcome.question.phrasing),
    }
    count = len(outcomes)
    return Figures(
        mode=mode,
        questions=count,
        proportions=proportions,
        groups=groups,
        decisions=_decisions(outcomes) if adaptive else {},
        passages=sum(outcome.answer.usage.passages for outcome in outcomes) / count,
        generated_tokens=sum(outcome.answer.usage.generated_tokens for outcome in outcomes) / count,
        batch_seconds=seconds,
        statuses=dict(Counter(outcome.answer.status for outcome in outcomes)),
        latency=latency,
        sections=sections_of(mode, outcomes),
    )


def _interval(share: Proportion) -> list[float] | None:
    bounds = share.interval
    return None if bounds is None else list(bounds)


def _plain(shares: dict[str, Proportion]) -> dict[str, Any]:
    return {name: share.to_dict() for name, share in shares.items()}


def _grouped(
    outcomes: Sequence[Outcome], name_of: Callable[[Outcome], str], order: Sequence[str] = ()
) -> dict[str, Proportion]:
    """Share of right answers by name, unnamed ones left out, in the given or sorted order."""
    by_name: dict[str, list[bool]] = {}
    for outcome in outcomes:
        if name := name_of(outcome):
            by_name.setdefault(name, []).append(outcome.right)
    names = [name for name in order if name in by_name] or sorted(by_name)
    return {name: Proportion.of(by_name[name]) for name in names}


def _decisions(outcomes: Sequence[Outcome]) -> dict[str, Proportion]:
    """Share of wanted first decisions by kind."""
    by_kind = {
        kind: Proportion.of(o.decided for o in outcomes if o.question.kind == kind)
        for kind in KINDS
    }
    return {kind: share for kind, share in by_kind.items() if share.n}
