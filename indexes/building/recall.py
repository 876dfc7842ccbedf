"""Measures how many of the exact nearest vectors an index finds, and sets its effort by that.

Queries are vectors of the corpus, evenly spread; a vector does not count as its own neighbour.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.matrix import MatrixFiles
from indexes.nearest import VectorIndex
from indexes.vectors import open_vectors

NEIGHBOURS = 10
# Real questions lie further from the passages than passages from each other: a margin over 0.95.
_WANTED = 0.98
_QUERIES = 100
_QUERIES_AT_A_TIME = 4
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
    chosen = np.linspace(0, rows - 1, min(rows, _QUERIES)).astype(np.int64)
    queries = matrices.take(chosen)
    k = min(NEIGHBOURS, rows - 1)
    truth = _exact(matrices, queries, chosen, k, similarity == "euclidean", tick)

    def recall(tried: str) -> float:
        found = []
        for begin in range(0, len(queries), _QUERIES_AT_A_TIME):
            # Opened anew, as the lists that searches touch stay mapped, and resident, until then.
            index = open_vectors(file, rows, matrices.dimension, similarity, tried)
            search = VectorIndex([index], similarity, matrices, refine)
            found.append(search.search(queries[begin : begin + _QUERIES_AT_A_TIME], k + 1)[1])
            del search, index
        return _overlap(np.concatenate(found), truth, chosen, k)

    name, _, value = parameters.partition("=")
    if not choose or not name:
        return parameters, recall(parameters), len(chosen)
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
    return best, measured, len(chosen)


def _exact(
    matrices: MatrixFiles,
    queries: npt.NDArray[np.float32],
    own: npt.NDArray[np.int64],
    k: int,
    euclidean: bool,
    tick: Callable[[int], None],
) -> npt.NDArray[np.int64]:
    """The exact `k` best rows of every query but itself, shape [queries, k]."""
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    for number in range(len(matrices.shard_rows)):
        for first, block in matrices.blocks(number):
            near = queries @ block.T
            if euclidean:
                near = 2 * near - np.einsum("ij,ij->i", block, block)
            inside = np.flatnonzero((own >= first) & (own < first + len(block)))
            near[inside, own[inside] - first] = -np.inf
            numbers = np.broadcast_to(np.arange(first, first + len(block)), near.shape)
            scores, rows = np.hstack([scores, near]), np.hstack([rows, numbers])
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores = np.take_along_axis(scores, best, axis=1)
            rows = np.take_along_axis(rows, best, axis=1)
            tick(first + len(block))
    return rows


def _overlap(
    found: npt.NDArray[np.int64],
    truth: npt.NDArray[np.int64],
    own: npt.NDArray[np.int64],
    k: int,
) -> float:
    hits = 0
    for number, row in enumerate(own.tolist()):
        others = [other for other in found[number].tolist() if other != row][:k]
        hits += len(set(others) & set(truth[number].tolist()))
    return round(hits / (len(own) * k), 4)
