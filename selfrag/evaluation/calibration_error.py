"""How far confidences are from what they promise: expected calibration error and its curve.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2: confidences in (0, 1]
are put into bins of equal width, ((m - 1) / M, m / M]; the error is the mean over the items of
|accuracy - mean confidence| of their bin. A confidence of exactly 0 falls into the first bin. This
module knows nothing of models; a confidence is the probability of the label that was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfrag.evaluation.intervals import Proportion

BINS = 15

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The items whose confidence is above `low` and at most `high`.

    Attributes:
        low, high: the bin's borders.
        confidence: mean confidence of its items.
        accuracy: how many of them were right, of how many.
    """

    low: float
    high: float
    confidence: float
    accuracy: Proportion

    def to_dict(self) -> dict[str, Any]:
        """Plain data: borders, mean confidence, and accuracy with interval and n."""
        return {
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "accuracy": self.accuracy.to_dict(),
        }


def expected_calibration_error(
    confidences: Sequence[float] | Floats,
    correct: Sequence[bool] | npt.NDArray[np.bool_],
    bins: int = BINS,
    weights: Floats | None = None,
) -> float:
    """The expected calibration error, in 0 to 1.

    Args:
        confidences: probability of each item's chosen label, in 0 to 1.
        correct: whether that label was right, as many.
        bins: how many bins of equal width.
        weights: how often each item counts (for resampling); once when not given.

    Raises:
        ValueError: no item, different lengths, a confidence outside 0 to 1, or no bin.
    """
    values, right = _checked(confidences, correct, bins)
    counts = np.ones(len(values)) if weights is None else weights
    gaps = np.bincount(_bin_of(values, bins), weights=counts * (right - values), minlength=bins)
    return float(np.abs(gaps).sum() / counts.sum())


def reliability_curve(
    confidences: Sequence[float] | Floats,
    correct: Sequence[bool] | npt.NDArray[np.bool_],
    bins: int = BINS,
) -> tuple[ReliabilityBin, ...]:
    """The bins that hold an item, in ascending order; errors as in `expected_calibration_error`."""
    values, right = _checked(confidences, correct, bins)
    places, borders = _bin_of(values, bins), np.linspace(0.0, 1.0, bins + 1)
    return tuple(
        ReliabilityBin(
            float(borders[place]),
            float(borders[place + 1]),
            float(values[places == place].mean()),
            Proportion(int(right[places == place].sum()), int((places == place).sum())),
        )
        for place in sorted(set(places.tolist()))
    )


def _bin_of(values: Floats, bins: int) -> npt.NDArray[np.int64]:
    """Each value's bin, borders belonging to the bin below."""
    borders = np.linspace(0.0, 1.0, bins + 1)
    return np.maximum(np.searchsorted(borders, values, side="left") - 1, 0).astype(np.int64)


def _checked(confidences: Any, correct: Any, bins: int) -> tuple[Floats, Floats]:
    values = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if values.ndim != 1 or values.shape != right.shape or not len(values):
        raise ValueError(
            f"got {values.shape} confidences and {right.shape} outcomes; give one of each for "
            "every item, at least one"
        )
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError("confidences are probabilities: each must lie between 0 and 1")
    if bins < 1:
        raise ValueError(f"got {bins} bins; at least one is needed")
    return values, right
