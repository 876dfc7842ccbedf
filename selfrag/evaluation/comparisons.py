"""Paired comparisons of two configurations on the same questions.

The paper claims that searching over segments beats writing greedily, and that choosing by the
model's critique beats the retriever's first passage alone. Both are questions of configuration:
everything else is equal, so every question is a pair. The difference of accuracies comes with a
95 % interval from resampled questions, and with the exact p-value of McNemar's test (a binomial
test of the questions on which the two differ), which also holds where few do.

Answerable questions only: what is compared is whether the answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from decoding.config import DecodingConfig
from selfrag.evaluation.intervals import Estimate, Proportion
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import ANSWERABLE_SECTIONS, EvaluationQuestion
from selfrag.evaluation.resampling import bootstrap_interval

BEAM = {"beam_width": 2}
CONTRASTS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "beam_2_against_greedy": (BEAM, {"beam_width": 1}),
    "critique_against_top_1": (BEAM, {**BEAM, "passages": 1}),
}
"""For each comparison what is changed in the adaptive configuration: on the left, on the right."""

ALL = "all"

Ask = Callable[[Sequence[EvaluationQuestion], DecodingConfig], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Two configurations on the same questions.

    Attributes:
        left, right: their accuracies.
        difference: left minus right, with its interval.
        only_left, only_right: questions that one of the two alone has right.
        p_value: of McNemar's exact test, two-sided; None where no question differs.
    """

    left: Proportion
    right: Proportion
    difference: Estimate
    only_left: int
    only_right: int
    p_value: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "left": self.left.to_dict(),
            "right": self.right.to_dict(),
            "difference": self.difference.to_dict(),
            "only_left": self.only_left,
            "only_right": self.only_right,
            "p_value": self.p_value,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contrast: over all answerable questions ("all") and over those of each kind.

    `left` and `right` are what each side changes in the common configuration, as in `CONTRASTS`.
    """

    name: str
    left: Mapping[str, int]
    right: Mapping[str, int]
    differences: Mapping[str, PairedDifference]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the two configurations, and a difference for "all" and every kind."""
        return {
            "left": dict(self.left),
            "right": dict(self.right),
            "differences": {name: one.to_dict() for name, one in self.differences.items()},
        }


def configurations(config: DecodingConfig) -> list[DecodingConfig]:
    """The different configurations that `compare` asks under."""
    adaptive = config.replace(mode="adaptive")
    changes = (side for sides in CONTRASTS.values() for side in sides)
    return list(dict.fromkeys(adaptive.replace(**change) for change in changes))


def comparable(questions: Iterable[EvaluationQuestion]) -> list[EvaluationQuestion]:
    """The questions that `compare` asks: those with a right answer in the corpus."""
    return [question for question in questions if question.answerable]


def compare(
    ask: Ask, questions: Sequence[EvaluationQuestion], config: DecodingConfig
) -> list[Comparison]:
    """Ask the answerable questions under every configuration once, and compare.

    Args:
        ask: asks questions under a configuration; outcomes in their order.
        questions: those that are not answerable are left out.
        config: what all configurations have in common; its mode is taken as adaptive.
    """
    asked = comparable(questions)
    if not asked:
        return []
    outcomes = {one: ask(asked, one) for one in configurations(config)}
    adaptive = config.replace(mode="adaptive")
    return [
        Comparison(
            name,
            left,
            right,
            _differences(outcomes[adaptive.replace(**left)], outcomes[adaptive.replace(**right)]),
        )
        for name, (left, right) in CONTRASTS.items()
    ]


def paired_difference(
    left: Sequence[bool], right: Sequence[bool], groups: Sequence[str]
) -> PairedDifference:
    """The difference of two accuracies over the same questions.

    Args:
        left, right: whether each question was answered rightly, in the same order; not empty.
        groups: the questions' ids.
    """
    from scipy.stats import binomtest

    signs = np.array(left, dtype=np.float64) - np.array(right, dtype=np.float64)
    only_left, only_right = int((signs > 0).sum()), int((signs < 0).sum())
    differing = only_left + only_right
    interval = bootstrap_interval(
        lambda weights: float((weights * signs).sum() / weights.sum()), groups
    )
    return PairedDifference(
        Proportion.of(left),
        Proportion.of(right),
        Estimate(float(signs.mean()), interval, len(signs)),
        only_left,
        only_right,
        float(binomtest(only_left, differing).pvalue) if differing else None,
    )


def _differences(left: Sequence[Outcome], right: Sequence[Outcome]) -> dict[str, PairedDifference]:
    """Over all questions, and over each kind that there is."""
    found = {}
    for name in (ALL, *ANSWERABLE_SECTIONS):
        pairs = [
            (one, other)
            for one, other in zip(left, right, strict=True)
            if name in (ALL, one.question.section)
        ]
        if pairs:
            found[name] = paired_difference(
                [one.right for one, _ in pairs],
                [other.right for _, other in pairs],
                [one.question.id for one, _ in pairs],
            )
    return found
