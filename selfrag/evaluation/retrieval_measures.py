"""Measures of rankings against gold passages, with intervals and paired tests.

Recall@k is the share of a question's gold passages among the first k hits; nDCG@10 has gain 1 for
a gold passage where it is found first (Järvelin and Kekäläinen, TOIS 2002). Figures are means over
questions, with percentile bootstrap intervals; two retrievers are compared by a permutation test
that swaps them question by question (Smucker, Allan and Carterette, CIKM 2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CUTOFFS = (2, 5, 10)
MEASURES = (*(f"recall@{k}" for k in CUTOFFS), "ndcg@10")
CONFIDENCE = 0.95
_RESAMPLES = 9_999
_NDCG_DEPTH = 10
_ROUNDING = 1e-12


def recall(rows: Sequence[int], gold: Sequence[frozenset[int]], k: int) -> float:
    """The share of gold passages of which one of the first `k` rows is one."""
    first = set(rows[:k])
    return sum(not first.isdisjoint(group) for group in gold) / len(gold)


def ndcg(rows: Sequence[int], gold: Sequence[frozenset[int]]) -> float:
    """Discounted cumulative gain of the first 10 rows over the best that is possible."""
    left = list(gold)
    gained = 0.0
    for place, row in enumerate(rows[:_NDCG_DEPTH]):
        reached = next((group for group in left if row in group), None)
        if reached is not None:
            left.remove(reached)
            gained += 1 / math.log2(place + 2)
    best = sum(1 / math.log2(place + 2) for place in range(min(len(gold), _NDCG_DEPTH)))
    return gained / best


def ceiling(golds: Sequence[Sequence[frozenset[int]]], k: int) -> float:
    """The highest possible mean recall@k: a question with more gold than k cannot reach 1."""
    return sum(min(k, len(gold)) / len(gold) for gold in golds) / len(golds)


def measure(rows: Sequence[int], gold: Sequence[frozenset[int]]) -> dict[str, float]:
    """Every measure of one ranking, by name."""
    values = {f"recall@{k}": recall(rows, gold, k) for k in CUTOFFS}
    return {**values, "ndcg@10": ndcg(rows, gold)}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions, with its 95 % interval; None where one question allows none."""

    mean: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Estimate:
        """The mean of values, one per question; equal inputs give equal intervals."""
        mean = float(values.mean())
        if len(values) < 2:
            return cls(mean, None)
        if np.ptp(values) < _ROUNDING:
            return cls(mean, (mean, mean))
        from scipy.stats import bootstrap

        drawn = bootstrap(
            (values,),
            np.mean,
            n_resamples=_RESAMPLES,
            batch=500,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        )
        bounds = drawn.confidence_interval
        return cls(mean, (float(bounds.low), float(bounds.high)))


def p_value(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """How likely so large a mean difference is if both were equally good, two-sided.

    Args:
        one: values of one retriever, one per question.
        other: those of the other, on the same questions.
    """
    differences = one - other
    if np.abs(differences).max() < _ROUNDING:
        return 1.0
    from scipy.stats import permutation_test

    result = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=500,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)
