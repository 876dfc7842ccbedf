"""95 % intervals by the bootstrap: whole questions are drawn again, with all that belongs to them.

Items of one question (its branches, its two answers) depend on each other; drawing questions
instead of items keeps that in the interval (percentile bootstrap, Efron and Tibshirani, 1993,
chapter 13). Seeded, so that the same outcomes give the same interval. A statistic at the end of
its range, such as a perfect area, has an interval without width: then n says more than it does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
SEED = 20240501

Floats = npt.NDArray[np.float64]


def bootstrap_interval(
    statistic: Callable[[Floats], float | None],
    groups: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """The 2.5 % and 97.5 % quantiles of a statistic over resampled groups.

    Args:
        statistic: from a weight for every item (how often its group was drawn) to a number, or
            None where a resample has no value.
        groups: every item's group, such as its question.
        resamples: how many are drawn.
        seed: of the draws.

    Returns:
        None with fewer than two groups, or where less than half of the resamples have a value.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return None
    places = {name: place for place, name in enumerate(names)}
    group_of = np.array([places[group] for group in groups])
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(names), size=len(names))
        counts = np.bincount(drawn, minlength=len(names)).astype(np.float64)
        value = statistic(counts[group_of])
        if value is not None:
            values.append(value)
    if 2 * len(values) < resamples:
        return None
    low, high = np.quantile(np.array(values), (0.025, 0.975))
    return float(low), float(high)
