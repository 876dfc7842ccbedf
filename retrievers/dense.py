"""Dense retrieval: passages whose vectors are close to the query's vector, by FAISS.

Scores are inner products (cosines, where the encoder's vectors have length 1) or, for euclidean
encoders, negative squared distances. Over exact vectors they are computed again in float64, so
that a query's results do not depend on the queries beside it or on the order of equal scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.encoding import PassageEncoder
from indexes.errors import DimensionMismatch, EncoderMismatch
from indexes.index import Index
from indexes.vectors import check_vectors
from retrievers.base import IndexRetriever, RankedRows

_SPARE_ROWS = 16
_TIE_TOLERANCE = 1e-4


class QueryEncoder(PassageEncoder, Protocol):
    """What dense retrieval needs of an encoder."""

    def encode_queries(self, queries: list[str]) -> npt.NDArray[np.float32]:
        """One vector per query, shape [len(queries), dimension]."""
        ...


class SearchableVectors(Protocol):
    """What dense retrieval needs of vectors; `indexes.nearest.VectorIndex` says what each means."""

    @property
    def ntotal(self) -> int:
        """How many rows one search can give."""
        ...

    def search(
        self, queries: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The `k` nearest rows of each query, best first."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """The exact vectors of rows; None where the scores of `search` are to be used."""
        ...


class DenseRetriever(IndexRetriever):
    """Ranks by the similarity of vectors.

    Args:
        index: what is searched.
        encoder: the one that it was built with.
        vectors: where its vectors are searched; None for the index's own.

    Raises:
        MissingPart: the index was built, or opened, without vectors.
        DimensionMismatch: the encoder's vectors have another dimension than the index's.
        EncoderMismatch: the encoder is not the one that the index was built with.
    """

    def __init__(
        self, index: Index, encoder: QueryEncoder, vectors: SearchableVectors | None = None
    ) -> None:
        super().__init__(index)
        self.encoder = encoder
        self._vectors = index.require_vectors() if vectors is None else vectors
        record = index.manifest.encoder
        assert record is not None, "an index with vectors records its encoder"
        if encoder.dimension != record.dimension:
            raise DimensionMismatch(
                f"The encoder {encoder.name!r} makes vectors of {encoder.dimension} dimensions; "
                f"the index {index.path} holds {record.dimension}.",
                f"Use the encoder {record.name!r}, or build the index again with this one.",
            )
        if encoder.fingerprint != record.fingerprint:
            raise EncoderMismatch(
                f"The encoder {encoder.name!r} (fingerprint {encoder.fingerprint[:12]}) is not "
                f"the one of the index {index.path} ({record.name!r}, "
                f"{record.fingerprint[:12]}): its weights, prefixes or settings differ.",
                "Use the encoder that the index was built with, or build the index again.",
            )
        self._dimension = record.dimension
        self._euclidean = record.similarity == "euclidean"
        self._recent: dict[str, npt.NDArray[np.float32]] = {}

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, encoder and index settings."""
        manifest = self.index.manifest
        return sha256_of_json(
            {
                "retriever": "dense",
                "corpus": manifest.corpus_fingerprint,
                "encoder": self.encoder.fingerprint,
                "factory": manifest.factory,
                "search_parameters": manifest.search_parameters,
            }
        )

    def rank_rows(self, queries: Sequence[str], k: int) -> list[RankedRows]:
        """See `IndexRetriever.rank_rows`."""
        matrix = self._encode(queries)
        total = self._vectors.ntotal
        wanted = min(k, total)
        fetched = min(total, wanted + _SPARE_ROWS)
        near, numbers = self._vectors.search(matrix, fetched)
        return [
            self._ranking(matrix[number], near[number], numbers[number], wanted)
            for number in range(len(queries))
        ]

    def closeness(self, query: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """How close chosen rows are to a query, more is closer, shape [rows].

        The vectors of the queries that were ranked last are not made again.
        """
        vector = self._recent.get(query)
        if vector is None:
            vector = self._encode([query])[0]
        near = self.index.require_vectors().stored(rows).astype(np.float64)
        if self._euclidean:
            differences = near - vector
            return np.asarray(-np.einsum("ij,ij->i", differences, differences), dtype=np.float64)
        return np.asarray(near @ vector.astype(np.float64), dtype=np.float64)

    def _encode(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        matrix = self.encoder.encode_queries(list(queries))
        matrix = check_vectors(matrix, len(queries), self._dimension)
        self._recent = dict(zip(queries, matrix, strict=True))
        return matrix

    def _ranking(
        self,
        vector: npt.NDArray[np.float32],
        near: npt.NDArray[np.float32],
        rows: npt.NDArray[np.int64],
        k: int,
    ) -> RankedRows:
        if not vector.any():
            # No token of the query is known to the encoder: every passage would be as good.
            return RankedRows.empty()
        total = self._vectors.ntotal
        while True:
            scores = self._scores(vector, near, rows)
            rows, scores = rows[rows >= 0], scores[rows >= 0]
            order = np.lexsort((rows, -scores))[:k]
            best = RankedRows(rows[order], scores[order])
            if len(rows) < len(near) or len(near) >= total:
                return best
            # A row that was not fetched may equal the last one kept, and have a lower number.
            kept = float(best.scores[-1])
            if kept - float(scores.min()) > _TIE_TOLERANCE * max(1.0, abs(kept)):
                return best
            found = self._vectors.search(vector[None], min(total, 4 * len(near)))
            near, rows = found[0][0], found[1][0]

    def _scores(
        self,
        vector: npt.NDArray[np.float32],
        near: npt.NDArray[np.float32],
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        exact_vectors = self._vectors.take(rows)
        if exact_vectors is None:
            scores = near.astype(np.float64)
            return -scores if self._euclidean else scores
        vectors = exact_vectors.astype(np.float64)
        query = vector.astype(np.float64)
        if self._euclidean:
            differences = vectors - query
            exact: npt.NDArray[np.float64] = -np.einsum("ij,ij->i", differences, differences)
        else:
            exact = np.einsum("ij,j->i", vectors, query)
        # Rounded, so that equal vectors have equal scores whatever the order of the additions.
        return exact.astype(np.float32).astype(np.float64)
