"""Whether a critic's probabilities mean what they say, and one number per group that mends them.

*Reliability curve*: judgements are put into bins of equal width by confidence, the probability of
the label that was given; a bin holds (low, high], the first also 0. In each, mean confidence and
share of right judgements are compared. *Expected calibration error*: sum over the bins of
n_b / N * |share right - mean confidence| (Naeini et al., 2015; Guo et al., 2017, equation 3).

*Temperature scaling* (Guo et al., 2017, section 4.2): log-probabilities are divided by the T that
makes a calibration split most probable. It never changes which label is the most probable one. This
module knows nothing of models and files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfrag.evaluation.calibration_error import expected_calibration_error
from selfrag.evaluation.intervals import Proportion

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are looked at: a split that is judged without an error has no best one."""
LEAST_FOR_TEMPERATURE = 20
"""Judgements of a group below which its temperature stays 1."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Judgements with a confidence in (low, high]. confidence: their mean; None without any."""

    low: float
    high: float
    confidence: float | None
    right: Proportion


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability curve. error: the expected calibration error, from 0 to 1."""

    bins: tuple[ReliabilityBin, ...]
    error: float

    @classmethod
    def of(
        cls, confidences: Sequence[float], right: Sequence[bool], bins: int = BINS
    ) -> Reliability:
        """Compare confidences, from 0 to 1, with whether each judgement was right.

        Raises:
            ValueError: lengths differ, there is none, a confidence is outside 0 to 1, or `bins` is
                not positive.
        """
        if len(confidences) != len(right) or not right:
            raise ValueError(f"{len(confidences)} confidences for {len(right)} judgements")
        if bins < 1:
            raise ValueError(f"bins is {bins}; it must be positive")
        values = np.asarray(confidences, dtype=np.float64)
        slack = 1e-9  # what a sum of rounded probabilities may exceed
        if not np.all((values >= -slack) & (values <= 1 + slack)):
            raise ValueError("a confidence lies outside 0 to 1")
        edges = np.linspace(0.0, 1.0, bins + 1)
        places = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, bins - 1)
        found = []
        for place in range(bins):
            members: list[int] = np.flatnonzero(places == place).tolist()
            share = Proportion.of(bool(right[member]) for member in members)
            mean = float(values[members].mean()) if len(members) else None
            low, high = float(edges[place]), float(edges[place + 1])
            found.append(ReliabilityBin(low, high, mean, share))
        error = expected_calibration_error(np.clip(values, 0.0, 1.0), list(right), bins)
        return cls(tuple(found), error)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "expected_calibration_error": self.error,
            "bins": [
                {
                    "low": one.low,
                    "high": one.high,
                    "n": one.right.n,
                    "confidence": one.confidence,
                    "right": one.right.value,
                    "interval": None if one.right.interval is None else list(one.right.interval),
                }
                for one in self.bins
            ],
        }


def mean_surprise(
    scores: Sequence[Sequence[float]], places: Sequence[int], temperature: float
) -> float:
    """Mean of -log p(true label) under a temperature, in nats.

    scores: log-probabilities of each question's labels, as many as it has. places: of the true
    label among them.
    """
    total = 0.0
    for row, place in zip(scores, places, strict=True):
        values = np.asarray(row, dtype=np.float64) / temperature
        best = values.max()
        total += float(best + np.log(np.exp(values - best).sum()) - values[place])
    return total / len(places)


def fit_temperature(scores: Sequence[Sequence[float]], places: Sequence[int]) -> float:
    """The temperature with the least mean surprise, between `COLDEST` and `HOTTEST`.

    The surprise is convex in 1 / temperature, so that a bounded search for one minimum finds it.
    ValueError where there is no question.
    """
    from scipy.optimize import minimize_scalar

    if not scores:
        raise ValueError("there is no question to fit a temperature on")
    found = minimize_scalar(
        lambda inverse: mean_surprise(scores, places, 1 / inverse),
        bounds=(1 / HOTTEST, 1 / COLDEST),
        method="bounded",
        options={"xatol": 1e-6},
    )
    inverse = float(found.x)
    assert math.isfinite(inverse)
    return 1 / inverse
