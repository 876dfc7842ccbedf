"""Exact search and an index side by side: A B A B in one run, medians, the same threads.

One at a time and in batches, wall time and processor time; and what the index finds of the exact
ten. Encoding of questions is left out: it is the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Search = Callable[[Floats, int], tuple[Floats, npt.NDArray[np.int64]]]
BATCH = 64
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one way of searching is.

    Attributes:
        single: seconds a query one at a time, the median.
        batch: seconds a query in batches, the median over batches.
        single_processor: processor seconds a query one at a time, the mean.
        batch_processor: processor seconds a query in batches, the mean.
    """

    single: float
    batch: float
    single_processor: float
    batch_processor: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "single_seconds": self.single,
            "batch_seconds": self.batch,
            "single_processor_seconds": self.single_processor,
            "batch_processor_seconds": self.batch_processor,
            "single_queries_per_second": 1 / self.single,
            "batch_queries_per_second": 1 / self.batch,
        }


def measure_speed(
    searches: Mapping[str, Search],
    questions: Floats,
    *,
    rounds: int = 4,
    singles: int = 48,
    batches: int = 3,
    tick: Callable[[int], None] = lambda done: None,
) -> dict[str, Speed]:
    """Ask all searches the same questions, in turns.

    Args:
        searches: by name; in each round they are asked one after the other, in this order.
        questions: shape [n, dimension]; taken in turn, from the beginning again where they end.
        rounds: how often the turns go round.
        singles: questions of a round that are asked one at a time.
        batches: batches of 64 of a round.
        tick: told how many turns are done.

    Returns:
        By name, over all rounds.
    """
    single: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
    batch: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
    for search in searches.values():  # the first call of a library makes its threads
        search(questions[:1], DEPTH)
        search(np.resize(questions, (BATCH, questions.shape[1])), DEPTH)
    done = 0
    for number in range(rounds):
        for name, search in searches.items():
            for place in range(number * singles, (number + 1) * singles):
                row = place % len(questions)
                single[name].append(_timed(search, questions[row : row + 1]))
            for place in range(number * batches, (number + 1) * batches):
                rows = np.arange(place * BATCH, (place + 1) * BATCH) % len(questions)
                wall, processor = _timed(search, questions[rows])
                batch[name].append((wall / BATCH, processor / BATCH))
            tick(done := done + 1)
    return {
        name: Speed(
            single=float(np.median([wall for wall, _ in single[name]])),
            batch=float(np.median([wall for wall, _ in batch[name]])),
            single_processor=float(np.mean([processor for _, processor in single[name]])),
            batch_processor=float(np.mean([processor for _, processor in batch[name]])),
        )
        for name in searches
    }


def _timed(search: Search, questions: Floats) -> tuple[float, float]:
    processor, wall = time.process_time(), time.perf_counter()
    search(questions, DEPTH)
    return time.perf_counter() - wall, time.process_time() - processor
