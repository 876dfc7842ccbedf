"""Recall curves of the same search settings over two sets of vectors, side by side.

Each kind of index is made for either set by itself, with the same settings, and asked the same
questions; truth is exact search in the set. Where two sets give the same curves, an index finds
them equally hard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.choice import lists_for

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Points = dict[str, list[tuple[int, float]]]
NEIGHBOURS = 10
_PROBES = (1, 2, 4, 8, 16, 32, 64)
_EFFORTS = (10, 16, 32, 64, 128)
_DEPTHS = (10, 20, 40, 80, 160)
_TRAINING_POINTS_PER_LIST = 40
_CODE_TRAINING_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Curve:
    """Recall@10 of one kind of index at points of growing effort.

    Attributes:
        name: of the kind and of what grows.
        efforts: the values of what grows.
        real: recall over real vectors, for each effort.
        made: recall over made ones.
    """

    name: str
    efforts: tuple[int, ...]
    real: tuple[float, ...]
    made: tuple[float, ...]

    @property
    def difference(self) -> float:
        """The largest difference between the two, of all efforts."""
        return max(abs(one - other) for one, other in zip(self.real, self.made, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "efforts": list(self.efforts),
            "real": list(self.real),
            "made": list(self.made),
            "difference": self.difference,
        }


def matched(real: Points, made: Points) -> list[Curve]:
    """The curves of two sets side by side, as `curves_of` gives them."""
    if real.keys() != made.keys():
        raise ValueError(f"Curves {list(real)} and {list(made)} are not of the same settings.")
    return [
        Curve(
            name,
            tuple(effort for effort, _ in points),
            tuple(recall for _, recall in points),
            tuple(recall for _, recall in made[name]),
        )
        for name, points in real.items()
    ]


def curves_of(vectors: Floats, questions: Floats) -> Points:
    """Recall@10 of IVF, PQ and HNSW over a set of vectors, by name: efforts and recalls.

    IVF: lists that are read grow, vectors are whole. PQ: candidates that get exact scores grow,
    all codes are read. HNSW: efSearch grows.

    Args:
        vectors: of length 1, shape [n, dimension].
        questions: likewise.
    """
    return dict(_curves(vectors, questions, exact_rows(vectors, questions)))


def exact_rows(vectors: Floats, questions: Floats, k: int = NEIGHBOURS) -> Rows:
    """The rows of the `k` largest inner products of each question, shape [questions, k]."""
    import faiss

    _, rows = faiss.knn(questions, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(rows, dtype=np.int64)


def recall_of(found: Rows, truth: Rows) -> float:
    """The share of the true rows that were found, whatever their order; shapes [questions, any]."""
    hits = [len(np.intersect1d(row, wanted)) for row, wanted in zip(found, truth, strict=True)]
    return float(np.sum(hits) / truth.size)


def _curves(
    vectors: Floats, questions: Floats, truth: Rows
) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    import faiss

    dimension, metric = vectors.shape[1], faiss.METRIC_INNER_PRODUCT
    lists = lists_for(len(vectors))
    index: Any = faiss.index_factory(dimension, f"IVF{lists},Flat", metric)
    index.train(_sample(vectors, lists * _TRAINING_POINTS_PER_LIST))
    index.add(vectors)
    points = []
    for effort in _PROBES:
        index.nprobe = effort
        points.append((effort, recall_of(index.search(questions, NEIGHBOURS)[1], truth)))
    yield f"IVF{lists},Flat by nprobe", points
    # "np": without the polysemous order of codes, which nothing here uses and which takes longest.
    pieces = dimension // 8
    index = faiss.index_factory(dimension, f"PQ{pieces}np", metric)
    index.train(_sample(vectors, _CODE_TRAINING_POINTS))
    index.add(vectors)
    _, rows = index.search(questions, min(_DEPTHS[-1], len(vectors)))
    yield (
        f"PQ{pieces} by candidates",
        [(depth, recall_of(rows[:, :depth], truth)) for depth in _DEPTHS],
    )
    index = faiss.index_factory(dimension, "HNSW32,Flat", metric)
    index.add(vectors)
    points = []
    for effort in _EFFORTS:
        index.hnsw.efSearch = effort
        points.append((effort, recall_of(index.search(questions, NEIGHBOURS)[1], truth)))
    yield "HNSW32,Flat by efSearch", points


def _sample(vectors: Floats, count: int) -> Floats:
    chosen = np.linspace(0, len(vectors) - 1, min(count, len(vectors))).astype(np.int64)
    return vectors[chosen]
