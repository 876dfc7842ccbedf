"""What a group's probabilities mean, mended by two kinds of numbers: vector scaling.

A model trained with weighted losses, or on other text than it is asked about, may judge well and
still be too sure, or lean to one label. Log-shares are divided by a temperature and moved by an
offset per label (Guo et al., 2017, section 4.2); the group's mass stays. The numbers are fitted on
a split that nothing is measured on (`selfrag.evaluation.scaling_fit`). This module knows nothing
of models and files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from decoding.scores import log_sum_exp


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one group is read.

    Attributes:
        temperature: above 0; above 1 makes the model less sure.
        offsets: one natural-log offset for each label, in the group's order.

    Raises:
        ValueError: the temperature is not above 0, or a number is not finite.
    """

    temperature: float
    offsets: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.temperature, *self.offsets))) or self.temperature <= 0:
            raise ValueError(f"{self} is no scaling: finite numbers, the temperature above 0")

    def apply(self, log_probabilities: Sequence[float]) -> tuple[float, ...]:
        """The scaled log-probabilities; their mass is that of the given ones.

        Raises:
            ValueError: there are more or fewer values than offsets.
        """
        mass = log_sum_exp(log_probabilities)
        if mass == -math.inf:
            return tuple(log_probabilities)
        moved = [
            (value - mass) / self.temperature + offset
            for value, offset in zip(log_probabilities, self.offsets, strict=True)
        ]
        total = log_sum_exp(moved)
        return tuple(value - total + mass for value in moved)


def choice_offsets(scaling: Scaling | None, threshold: float | None) -> tuple[float, ...]:
    """What the unscaled log-probabilities of two labels need, for the second one to come first
    exactly where its scaled share is above the threshold (None: one half); () for nothing.

    Thresholds of 0 and 1 are taken as the nearest ones that are neither.
    """
    if scaling is None and threshold is None:
        return ()
    temperature, first, second = 1.0, 0.0, 0.0
    if scaling is not None:
        temperature, (first, second) = scaling.temperature, scaling.offsets
    least = min(max(0.5 if threshold is None else threshold, 1e-9), 1 - 1e-9)
    return (temperature * first, temperature * (second - math.log(least / (1.0 - least))))
