"""The order of results: best score first, and among equal scores the lowest row first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def top_rows(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """The `k` rows with the highest scores (all when there are fewer), in order.

    Args:
        scores: one finite number per row, shape [rows].
        k: at least 0.
    """
    count = len(scores)
    if k <= 0 or count == 0:
        return np.empty(0, dtype=np.int64)
    if k >= count:
        rows = np.arange(count, dtype=np.int64)
    else:
        threshold = np.partition(scores, count - k)[count - k]
        rows = np.flatnonzero(scores >= threshold).astype(np.int64, copy=False)
        if len(rows) > 4 * k:  # many share the last place: sort only those that are needed
            values = scores[rows]
            better, equal = rows[values > threshold], rows[values == threshold]
            rows = np.concatenate([better, equal[: k - len(better)]])
    return rows[np.lexsort((rows, -scores[rows]))[:k]]
