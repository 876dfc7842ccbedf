"""Measures how many of the exact nearest vectors an index finds, and sets its effort by that.

Questions lie near several passages and on none, and an index finds the neighbours of a passage's
own vector too easily: graphs found 0.98 for passages where they found 0.87 for real questions. So
queries are means of three vectors of the corpus, which real questions resemble more closely
(docs/benchmarks/auto.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.building.codes import layout_of
from indexes.matrix import MatrixFiles
from indexes.nearest import VectorIndex
from indexes.vectors import open_vectors

NEIGHBOURS = 10
# A margin over 0.95, as questions differ from means of passages too.
_WANTED = 0.98
_QUERIES = 100
_LEAST_EFFORT = 8


def measure_recall(
    file: Path,
    matrices: MatrixFiles,
    similarity: str,
    parameters: str,
    refine: int,
    choose: bool,
    tick: Callable[[int], None],
) -> tuple[str, float | None, int]:
    """The search parameters, the recall with them, and the number of queries.

    Args:
        file: the FAISS file.
        matrices: the vectors in it, for the exact search.
        similarity: how they are compared.
        parameters: FAISS search parameters, as "nprobe=32".
        refine: candidates per result whose exact scores are computed.
        choose: whether to look for the least effort with a recall of 0.98, from `parameters` up
            and down by factors of two; otherwise `parameters` stay.
        tick: told how many vectors were compared.
    """
    rows = len(matrices)
    if rows < 2:
        return parameters, None, 0
    queries = stand_ins(matrices)
    k = min(NEIGHBOURS, rows)
    truth = _exact(matrices, queries, k, similarity == "euclidean", tick)

    def recall(tried: str) -> float:
        found: list[npt.NDArray[np.int64]] = []
        while (done := sum(map(len, found))) < len(queries):
            index = open_vectors(file, rows, matrices.dimension, similarity, tried)
            # Lists that searches touch stay mapped, and resident, until the index is opened anew.
            together = 1 if layout_of(index) == "lists" else len(queries)
            search = VectorIndex([index], similarity, matrices, refine)
            found.append(search.search(queries[done : done + together], k)[1])
            del search, index
        return _overlap(np.concatenate(found), truth)

    name, _, value = parameters.partition("=")
    if not choose or not name:
        return parameters, recall(parameters), len(queries)
    best, measured = parameters, recall(parameters)
    effort = int(value)
    if measured >= _WANTED:
        while (effort := effort // 2) >= _LEAST_EFFORT:
            tried = recall(f"{name}={effort}")
            if tried < _WANTED:
                break
            best, measured = f"{name}={effort}", tried
    else:
        for _ in range(3):
            effort *= 2
            tried = recall(f"{name}={effort}")
            if tried <= measured:
                break
            best, measured = f"{name}={effort}", tried
            if measured >= _WANTED:
                break
    return best, measured, len(queries)


def stand_ins(matrices: MatrixFiles) -> npt.NDArray[np.float32]:
    """Vectors that stand for questions, shape [100 or rows, dimension].

    Means of three vectors of the corpus: one of rows spread evenly, two by a fixed draw.
    """
    rows = len(matrices)
    count = min(rows, _QUERIES)
    spread = np.linspace(0, rows - 1, count).astype(np.int64)
    drawn = np.random.default_rng(0).integers(0, rows, 2 * count)
    vectors = matrices.take(np.concatenate([spread, drawn]))
    means = vectors.reshape(3, count, -1).mean(axis=0)
    return np.asarray(means, dtype=np.float32)


def _exact(
    matrices: MatrixFiles,
    queries: npt.NDArray[np.float32],
    k: int,
    euclidean: bool,
    tick: Callable[[int], None],
) -> npt.NDArray[np.int64]:
    """The exact `k` best rows of every query, shape [queries, k]."""
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    for number in range(len(matrices.shard_rows)):
        for first, block in matrices.blocks(number):
            near = queries @ block.T
            if euclidean:
                near = 2 * near - np.einsum("ij,ij->i", block, block)
            numbers = np.broadcast_to(np.arange(first, first + len(block)), near.shape)
            scores, rows = np.hstack([scores, near]), np.hstack([rows, numbers])
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores = np.take_along_axis(scores, best, axis=1)
            rows = np.take_along_axis(rows, best, axis=1)
            tick(first + len(block))
    return rows


def _overlap(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    pairs = zip(found.tolist(), truth.tolist(), strict=True)
    return round(sum(len(set(one) & set(other)) for one, other in pairs) / truth.size, 4)
