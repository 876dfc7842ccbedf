"""Area under the receiver operating characteristic: do scores put what is right above the rest?

The area equals the Mann-Whitney statistic: the probability that a positive item, drawn at random,
scores above a negative one, equal scores counting one half (Hanley and McNeil, 1982). This module
knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Ranking:
    """Scores sorted once, for areas under many weightings.

    Args:
        scores: finite numbers, one an item; higher should mean positive.
        positive: whether each item is, as many.

    Raises:
        ValueError: different lengths, or a score that is not finite.
    """

    def __init__(
        self, scores: Sequence[float] | Floats, positive: Sequence[bool] | npt.NDArray[np.bool_]
    ) -> None:
        values: Any = np.asarray(scores, dtype=np.float64)
        self._positive: Floats = np.asarray(positive, dtype=np.float64)
        if values.ndim != 1 or values.shape != self._positive.shape:
            raise ValueError(
                f"got {values.shape} scores and {self._positive.shape} labels; give one of each "
                "for every item"
            )
        if not np.isfinite(values).all():
            raise ValueError("scores must be finite numbers")
        self._level = np.unique(values, return_inverse=True)[1]

    def area(self, weights: Floats | None = None) -> float | None:
        """The area, in 0 to 1; None where a class is missing.

        Args:
            weights: how often each item counts; once when not given.
        """
        counts = np.ones(len(self._positive)) if weights is None else weights
        positive = np.bincount(self._level, weights=counts * self._positive)
        negative = np.bincount(self._level, weights=counts * (1.0 - self._positive))
        pairs = positive.sum() * negative.sum()
        if pairs == 0.0:
            return None
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2.0)).sum() / pairs)


def auroc(
    scores: Sequence[float] | Floats, positive: Sequence[bool] | npt.NDArray[np.bool_]
) -> float | None:
    """The area under the curve, in 0 to 1; None where a class is missing. See `Ranking`."""
    return Ranking(scores, positive).area()
