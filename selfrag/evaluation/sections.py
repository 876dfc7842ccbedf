"""One section for each capability: what was measured of it, from the judged answers of a mode.

Every figure has its n and a 95 % interval: Wilson's for proportions, a bootstrap by question for
areas and calibration errors. A figure that nothing was measured of has no value and n = 0; the
sections are always all there. How an answer is judged is `outcomes`' affair; which of the model's
judgements are read, and against what, is `critiques`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from decoding.config import Mode
from selfrag.evaluation.auroc import Ranking
from selfrag.evaluation.calibration_error import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_curve,
)
from selfrag.evaluation.critiques import (
    Judged,
    Reading,
    relevance_readings,
    retrieval_readings,
    utility_readings,
)
from selfrag.evaluation.intervals import Estimate, Proportion
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import ANSWERABLE_SECTIONS, HOPS, KINDS
from selfrag.evaluation.resampling import bootstrap_interval

Measure = Proportion | Estimate

SECTIONS = (
    *ANSWERABLE_SECTIONS,
    "decision",
    "is_rel_auroc",
    "is_sup_accuracy",
    "calibration",
    "unanswerable",
)


@dataclass(frozen=True, slots=True)
class Section:
    """What was measured of one capability.

    Attributes:
        measures: figures by name; the first is the section's headline.
        groups: figures of parts of the questions, by what they are grouped by and name.
        others: plain data beside them.
        curves: reliability curves by token group.
    """

    measures: Mapping[str, Measure]
    groups: Mapping[str, Mapping[str, Measure]] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, tuple[ReliabilityBin, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: measures by name, then groups, others and curves under their names."""
        data: dict[str, Any] = {name: one.to_dict() for name, one in self.measures.items()}
        for name, group in self.groups.items():
            data[name] = {key: one.to_dict() for key, one in group.items()}
        data |= self.others
        if self.curves:
            data["reliability"] = {
                name: [one.to_dict() for one in curve] for name, curve in self.curves.items()
            }
        return data


def sections_of(mode: Mode, outcomes: Sequence[Outcome]) -> dict[str, Section]:
    """The sections of one mode; is_sup_accuracy, which no mode changes, is `support`'s."""
    by_kind = {
        kind: [outcome for outcome in outcomes if outcome.question.section == kind]
        for kind in KINDS
    }
    sections: dict[str, Section] = {
        kind: _answers(kind, by_kind[kind]) for kind in ANSWERABLE_SECTIONS
    }
    relevance = relevance_readings(outcomes)
    judged: dict[str, Sequence[Judged]] = {
        "Retrieve": retrieval_readings(outcomes),
        "IsRel": relevance,
        "IsUse": utility_readings(outcomes),
    }
    return {
        **sections,
        "decision": _decisions(outcomes if mode == "adaptive" else []),
        "is_rel_auroc": _relevance(relevance),
        "calibration": calibration_section(judged),
        "unanswerable": _unanswerable(outcomes),
    }


def calibration_section(readings: Mapping[str, Sequence[Judged]]) -> Section:
    """Expected calibration error and reliability curve of every token group."""
    return Section(
        {name: calibration_error(group) for name, group in readings.items()},
        curves={
            name: reliability_curve(
                [one.confidence for one in group], [one.correct for one in group]
            )
            for name, group in readings.items()
            if group
        },
    )


def calibration_error(readings: Sequence[Judged]) -> Estimate:
    """The expected calibration error of chosen labels, resampled by question."""
    if not readings:
        return Estimate(None, None, 0)
    confidences = np.array([reading.confidence for reading in readings])
    correct = np.array([reading.correct for reading in readings])
    interval = bootstrap_interval(
        lambda weights: expected_calibration_error(confidences, correct, weights=weights),
        [reading.group for reading in readings],
    )
    value = expected_calibration_error(confidences, correct)
    return Estimate(value, interval, len(readings))


def _answers(kind: str, outcomes: Sequence[Outcome]) -> Section:
    right = [outcome for outcome in outcomes if outcome.right]
    measures: dict[str, Measure] = {
        "accuracy": Proportion(len(right), len(outcomes)),
        "citation_accuracy": Proportion.of(outcome.cited for outcome in right),
        "evidence_cited": Proportion.of(
            outcome.evidence_cited for outcome in outcomes if outcome.evidence_cited is not None
        ),
    }
    groups: dict[str, dict[str, Measure]] = {}
    if kind in HOPS or kind == "long_form":
        least = HOPS.get(kind, 2)
        measures["different_passages"] = Proportion.of(
            outcome.different_passages >= least for outcome in outcomes
        )
    if kind == "long_form":
        measures["parts_found"] = Proportion(
            sum(outcome.parts_found for outcome in outcomes),
            sum(len(outcome.question.wanted) for outcome in outcomes),
        )
    if kind in ("fact_check", "multiple_choice"):
        measures["readable"] = Proportion.of(outcome.read is not None for outcome in outcomes)
        groups["accuracy_by_answer"] = _grouped(outcomes, _gold, lambda outcome: outcome.right)
    return Section(measures, groups)


def _gold(outcome: Outcome) -> str:
    question = outcome.question
    if question.section == "fact_check":
        return str(question.verdict).lower()
    return ", ".join(sorted(question.right_choices))


def _decisions(outcomes: Sequence[Outcome]) -> Section:
    return Section(
        {"accuracy": Proportion.of(outcome.decided for outcome in outcomes)},
        {"accuracy_by_kind": _grouped(outcomes, _kind, lambda outcome: outcome.decided)},
    )


def _relevance(readings: Sequence[Reading]) -> Section:
    ranking = Ranking([one.probability for one in readings], [one.truth for one in readings])
    interval = bootstrap_interval(ranking.area, [one.group for one in readings])
    return Section(
        {"auroc": Estimate(ranking.area(), interval, len(readings))},
        others={
            "relevant": sum(one.truth for one in readings),
            "irrelevant": sum(not one.truth for one in readings),
            "from_evidence": sum(one.from_evidence for one in readings),
        },
    )


def _unanswerable(outcomes: Sequence[Outcome]) -> Section:
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    return Section(
        {
            "recognised": Proportion.of(
                outcome.refused for outcome in outcomes if outcome.question.kind == "unanswerable"
            ),
            "false_refusals": Proportion.of(outcome.refused for outcome in answerable),
        },
        {"false_refusals_by_kind": _grouped(answerable, _kind, lambda outcome: outcome.refused)},
    )


def _kind(outcome: Outcome) -> str:
    return outcome.question.section


def _grouped(
    outcomes: Sequence[Outcome],
    name_of: Callable[[Outcome], str],
    counted: Callable[[Outcome], bool],
) -> dict[str, Measure]:
    """Shares by name, in the order of `KINDS` for kinds, else sorted."""
    by_name: dict[str, list[bool]] = {}
    for outcome in outcomes:
        by_name.setdefault(name_of(outcome), []).append(counted(outcome))
    order: dict[str, int] = {name: place for place, name in enumerate(KINDS)}
    names = sorted(by_name, key=lambda name: (order.get(name, 0), name))
    return {name: Proportion.of(by_name[name]) for name in names}
