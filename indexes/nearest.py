"""Nearest vectors: FAISS proposes candidates, vectors that stay on disk put them in exact order.

An index is one FAISS file, and after passages were added one more for each addition. Deleted rows
are never found. This module knows row numbers and vectors, not passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import InvalidSetting
from indexes.matrix import MatrixFiles
from indexes.vectors import keeps_precision

_FEWEST_CANDIDATES = 64
_QUERIES_AT_A_TIME = 256


class VectorIndex:
    """The vectors of an index, open for searching.

    Args:
        segments: FAISS indexes; the rows of each follow those of the one before.
        similarity: "cosine", "dot" or "euclidean".
        kept: vectors for exact scores; None where the FAISS indexes are exact themselves.
        refine: candidates per result whose exact scores are computed, where vectors are kept.
        deleted: which rows are deleted, shape [rows]; None for none.
        threads: of FAISS while it searches; None leaves FAISS's own setting.
    """

    def __init__(
        self,
        segments: Sequence[Any],
        similarity: str,
        kept: MatrixFiles | None = None,
        refine: int = 1,
        deleted: npt.NDArray[np.bool_] | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise InvalidSetting(f"{threads} threads were asked for.", "Use 1 or more.")
        self.segments = tuple(segments)
        self.kept = kept
        self.d = int(segments[0].d)
        self.ntotal = sum(int(segment.ntotal) for segment in segments)
        self._ascending = similarity == "euclidean"
        self._refine = refine
        self._deleted = deleted if deleted is not None and deleted.any() else None
        self._threads = threads
        self._first_rows = np.cumsum([0, *(int(segment.ntotal) for segment in segments)])
        # FAISS keeps pointers only: bitmaps and selectors live as long as this object.
        self._alive: list[Any] = []
        self._filters = [self._filter(number) for number in range(len(segments))]

    @property
    def lossless(self) -> bool:
        """Whether the vectors that `stored` gives are exact, and not decoded from codes."""
        return self.kept is not None or all(map(keeps_precision, self.segments))

    def search(
        self, queries: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The `k` nearest rows of each query, best first.

        Args:
            queries: shape [n, dimension].
            k: at least 1.

        Returns:
            Scores, shape [n, k], inner products or squared distances, and rows, shape [n, k]; -1
            where fewer rows were found.
        """
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        with faiss_threads(self._threads):
            for begin in range(0, len(queries), _QUERIES_AT_A_TIME):
                part = slice(begin, begin + _QUERIES_AT_A_TIME)
                scores[part], rows[part] = self._search(queries[part], k)
        return scores, rows

    def candidates(self, k: int) -> int:
        """How many rows FAISS proposes where the `k` nearest are wanted."""
        return k if self.kept is None else max(k * self._refine, _FEWEST_CANDIDATES)

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """The exact vectors of rows, shape [n, dimension]; None where none are kept.

        A row of -1 stands for no row, and gives the vector of another.
        """
        rows = np.maximum(rows, 0)
        if self.kept is not None:
            return self.kept.take(rows)
        taken = np.empty((len(rows), self.d), dtype=np.float32)
        places = np.searchsorted(self._first_rows, rows, side="right") - 1
        for number, segment in enumerate(self.segments):
            matrix = _flat_matrix(segment)
            if matrix is None:
                return None
            chosen = places == number
            taken[chosen] = matrix[rows[chosen] - self._first_rows[number]]
        return taken

    def stored(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors of rows, shape [n, dimension], as exact as they are stored."""
        taken = self.take(rows)
        if taken is not None:
            return taken
        taken = np.empty((len(rows), self.d), dtype=np.float32)
        places = np.searchsorted(self._first_rows, rows, side="right") - 1
        for number, (place, row) in enumerate(zip(places.tolist(), rows.tolist(), strict=True)):
            first = int(self._first_rows[place])
            taken[number] = self.segments[place].reconstruct(row - first)
        return taken

    def reconstruct_n(self, first: int, count: int) -> npt.NDArray[np.float32]:
        """The vectors of `count` rows from `first` on, as `stored` gives them."""
        return self.stored(np.arange(first, first + count))

    def _search(
        self, queries: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        wanted = self.candidates(k)
        found = [self._candidates(number, queries, wanted) for number in range(len(self.segments))]
        if self.kept is None and len(found) == 1:
            return found[0]
        worst = np.float32(np.inf if self._ascending else -np.inf)
        scores = np.full((len(queries), k), worst, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        for number, query in enumerate(queries):
            near = np.concatenate([part[0][number] for part in found])
            candidates = np.concatenate([part[1][number] for part in found])
            near, candidates = near[candidates >= 0], candidates[candidates >= 0]
            if self.kept is not None:
                near = self._exact(query, self.kept.take(candidates))
            best = np.lexsort((candidates, near if self._ascending else -near))[:k]
            scores[number, : len(best)], rows[number, : len(best)] = near[best], candidates[best]
        return scores, rows

    def _candidates(
        self, number: int, queries: npt.NDArray[np.float32], wanted: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        segment, parameters = self.segments[number], self._filters[number]
        count = min(wanted, int(segment.ntotal)) if len(self.segments) > 1 or self.kept else wanted
        scores, rows = segment.search(queries, count, params=parameters)
        first = int(self._first_rows[number])
        return scores, np.where(rows >= 0, rows + first, -1) if first else rows

    def _exact(
        self, query: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        exact: npt.NDArray[np.float32]
        if self._ascending:
            differences = vectors - query
            exact = np.einsum("ij,ij->i", differences, differences)
        else:
            exact = vectors @ query
        return exact

    def _filter(self, number: int) -> Any:
        """Search parameters that leave deleted rows out; None where none are deleted."""
        faiss = _untyped_faiss()
        if self._deleted is None:
            return None
        part = self._deleted[self._first_rows[number] : self._first_rows[number + 1]]
        live = np.packbits(~part, bitorder="little")
        selector = faiss.IDSelectorBitmap(live)
        self._alive += [live, selector]
        return _parameters(faiss.downcast_index(self.segments[number]), selector)


@contextmanager
def faiss_threads(count: int | None) -> Iterator[None]:
    """Let FAISS use so many threads inside the block, and as many as before after it."""
    import faiss

    if count is None:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _untyped_faiss() -> Any:
    """FAISS, whose annotations leave out what its Python wrappers add."""
    import faiss

    return faiss


def _parameters(index: Any, selector: Any) -> Any:
    faiss = _untyped_faiss()
    if isinstance(index, faiss.IndexPreTransform):
        inner = _parameters(faiss.downcast_index(index.index), selector)
        return faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexIVFPQ):
        return faiss.IVFPQSearchParameters(sel=selector, nprobe=index.nprobe)
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(sel=selector, nprobe=index.nprobe)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(sel=selector, efSearch=index.hnsw.efSearch)
    return faiss.SearchParameters(sel=selector)


def _flat_matrix(index: Any) -> npt.NDArray[np.float32] | None:
    """A view of a flat index's vectors, shape [rows, dimension]; None for other kinds."""
    import faiss

    flat = faiss.downcast_index(index)
    if not isinstance(flat, faiss.IndexFlat):
        return None
    view = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    return np.asarray(view, dtype=np.float32).reshape(flat.ntotal, flat.d)
